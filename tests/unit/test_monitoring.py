"""Alerts and dashboards ask only for what Omma exports, and every alert says what to do."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client import REGISTRY

import omma.telemetry.metrics
from tests.conftest import ROOT

CHART = ROOT / "helm" / "omma"
ALERTS = [
    rule for group in yaml.safe_load((CHART / "alerts/omma.yaml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
LABELS_OF_PROMETHEUS = {"namespace", "pod", "job", "le", "instance", "persistentvolumeclaim", "name"}


def exported() -> dict[str, set[str]]:
    """Names of samples, and the labels that each has."""
    assert omma.telemetry.metrics
    names: dict[str, set[str]] = {}
    for metric in REGISTRY._names_to_collectors.values():
        name = getattr(metric, "_name", "")
        if not name.startswith("omma_"):
            continue
        suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}[metric._type]
        names |= {name + suffix: set(metric._labelnames) for suffix in suffixes}
    return names


def queries() -> Iterator[tuple[str, str]]:
    for rule in ALERTS:
        yield rule["alert"], rule["expr"]
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.name}: {panel['title']}", target["expr"]


@pytest.mark.parametrize(("where", "query"), list(queries()), ids=lambda one: one[:40])
def test_a_query_asks_for_metrics_and_labels_that_there_are(where: str, query: str) -> None:
    known = exported()
    labels = set(LABELS_OF_PROMETHEUS)
    for name in re.findall(r"\bomma_\w+", query):
        assert name in known, f"{where}: {name} is not exported"
        labels |= known[name]
    used = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.replace(" ", "").split(",")}
    used |= {
        label for group in re.findall(r"\{([^}]*)\}", query) for label in re.findall(r"(\w+)\s*(?:=~|!=|=)", group)
    }
    assert used <= labels, (where, used - labels)


def test_every_alert_has_a_section_and_every_section_an_alert() -> None:
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/alerts.md").read_text(), re.MULTILINE)
    assert sections == [rule["alert"] for rule in ALERTS]
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("warning", "critical") and rule["annotations"]["summary"]


def test_dashboards_are_told_apart_and_named() -> None:
    boards = [json.loads(file.read_text()) for file in DASHBOARDS]
    assert len({board["uid"] for board in boards}) == len(boards) == 6
    for board in boards:
        assert all(panel["title"] and panel["targets"] for panel in board["panels"])
