"""Each alert fires when what it is about happens, says so in words, and is quiet else: by promtool's own engine."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import CHART

RULES = CHART / "alerts" / "omma.yaml"
POD = 'namespace="shop",pod="p"'
DISK = 'namespace="shop",persistentvolumeclaim="data-r-omma-shard-main-0-1"'


@dataclass(frozen=True)
class Case:
    """series: name with labels, then its values a minute as promtool has them: when it is bad, when it is well."""

    series: Mapping[str, tuple[str, str]]
    labels: Mapping[str, str]
    says: str
    minute: int = 60


def slow(metric: str, labels: str) -> Mapping[str, tuple[str, str]]:
    """Of 60 a minute all take between 0.5 and 1 s when it is bad, and less than 0.1 s when it is well."""
    counts = {"0.1": ("0x90", "0+60x90"), "0.5": ("0x90", "0+60x90"), "1.0": ("0+60x90", "0+60x90")}
    return {f'{metric}_bucket{{{labels},le="{le}"}}': one for le, one in {**counts, "+Inf": counts["1.0"]}.items()}


CASES = {
    "OmmaTargetDown": Case(
        {f'up{{job="shop/r-omma",{POD}}}': ("0x90", "1x90")},
        {"job": "shop/r-omma", "namespace": "shop", "pod": "p"},
        "p does not answer",
    ),
    "OmmaSearchErrors": Case(
        {
            f'omma_http_request_seconds_count{{{POD},route="/search",status="200"}}': ("0+95x90", "0+100x90"),
            f'omma_http_request_seconds_count{{{POD},route="/search",status="503"}}': ("0+5x90", "0x90"),
        },
        {"namespace": "shop"},
        "5% of searches fail",
    ),
    "OmmaSearchSlow": Case(
        slow("omma_http_request_seconds", f'{POD},route="/search"'),
        {"namespace": "shop"},
        "the 95th percentile of searches is 975ms",
    ),
    "OmmaStageSlow": Case(
        slow("omma_search_stage_seconds", f'{POD},stage="embed"'),
        {"namespace": "shop", "stage": "embed"},
        "the stage embed takes 975ms",
    ),
    "OmmaShardMissing": Case(
        {f'omma_search_degraded_total{{{POD},reason="shard_missing"}}': ("0+1x90", "7x90")},
        {"namespace": "shop"},
        "answers lack the pictures of a shard",
    ),
    "OmmaRerankSkipped": Case(
        {f'omma_search_degraded_total{{{POD},reason="rerank_skipped"}}': ("0+1x90", "7x90")},
        {"namespace": "shop"},
        "answers are not re-ranked",
    ),
    "OmmaRecallLow": Case(
        {f'omma_recall_at_10{{{POD},index="main"}}': ("0.8x90", "0.95x90")},
        {"namespace": "shop", "index": "main"},
        "searches of main find 80% of the ten nearest",
    ),
    "OmmaReplicaStale": Case(
        {f'omma_shard_stale{{{POD},index="main",shard="0"}}': ("1x90", "0x90")},
        {"namespace": "shop", "pod": "p", "index": "main", "shard": "0"},
        "p is behind the log, or hears nothing of it",
    ),
    "OmmaShardLag": Case(
        {f'omma_shard_lag_records{{{POD},index="main",shard="0"}}': ("20000x90", "10000x90")},
        {"namespace": "shop", "pod": "p", "index": "main", "shard": "0"},
        "p has 20000 records to apply",
    ),
    "OmmaShardFailing": Case(
        {f'omma_shard_failures_total{{{POD},part="merge",reason="disk_full"}}': ("0+1x90", "0 1x90")},
        {"namespace": "shop", "pod": "p", "part": "merge", "reason": "disk_full"},
        "merge of p fails: disk_full",
    ),
    "OmmaFilesCorrupt": Case(
        {f"omma_shard_corrupt_files_total{{{POD}}}": ("0x30 1x60", "1x90")},
        {"namespace": "shop", "pod": "p"},
        "p found a damaged file and made it again",
    ),
    "OmmaSnapshotOld": Case(
        {f'omma_shard_snapshot_timestamp_seconds{{{POD},index="main",shard="0"}}': ("60x120", "0+60x120")},
        {"namespace": "shop", "index": "main", "shard": "0"},
        "the newest snapshot of shard 0 of main is 1h 49m 0s old",
        minute=110,
    ),
    "OmmaDiskFilling": Case(
        {
            f"kubelet_volume_stats_{what}_bytes{{{DISK}}}": one
            for what, one in (("available", ("10x90", "20x90")), ("capacity", ("100x90", "100x90")))
        },
        {"namespace": "shop", "persistentvolumeclaim": "data-r-omma-shard-main-0-1"},
        "data-r-omma-shard-main-0-1 has 10% left",
    ),
    "OmmaEmbedderAway": Case(
        {f"omma_embed_towers_away{{{POD}}}": ("1x90", "0x90")},
        {"namespace": "shop", "pod": "p"},
        "the towers of p do not answer",
    ),
    "OmmaRequestsShed": Case(
        {f'omma_requests_shed_total{{{POD},reason="queue_full"}}': ("0+60x90", "0+1x90")},
        {"namespace": "shop", "reason": "queue_full"},
        "requests are refused with 429: queue_full",
    ),
    "OmmaIndexerHeld": Case(
        {f"omma_indexer_held{{{POD}}}": ("1x90", "0x90")},
        {"namespace": "shop"},
        "too many pictures of one place die of one fault: it is held",
    ),
    "OmmaIndexerFull": Case(
        {f"omma_indexer_full{{{POD}}}": ("1x90", "1x20 0x70")},
        {"namespace": "shop"},
        "more pictures come than are embedded",
    ),
    "OmmaDeadLetters": Case(
        {
            f'omma_indexed_pictures_total{{{POD},outcome="indexed"}}': ("0+9x90", "0+99x90"),
            f'omma_indexed_pictures_total{{{POD},outcome="dead"}}': ("0+1x90", "0+1x90"),
        },
        {"namespace": "shop"},
        "10% of pictures become dead letters",
    ),
    "OmmaOutboxOld": Case(
        {f"omma_outbox_oldest_timestamp_seconds{{{POD}}}": ("60x90", "0x90")},
        {"namespace": "shop"},
        "a change of a picture waits for 59m 0s to reach the log",
    ),
    "OmmaDifferences": Case(
        {f'omma_differences{{{POD},kind="missing_in_shard"}}': ("3x90", "0x90")},
        {"namespace": "shop", "kind": "missing_in_shard"},
        "3 differences of kind missing_in_shard",
        minute=80,
    ),
    "OmmaIndexMisplaced": Case(
        {f"omma_indexes_misplaced{{{POD}}}": ("1x90", "0x90")},
        {"namespace": "shop"},
        "answers are wanted of an index that has no place",
    ),
    "OmmaTopologyRefused": Case(
        {f"omma_topology_refused{{{POD}}}": ("1x90", "0x90")},
        {"namespace": "shop", "pod": "p"},
        "p keeps the last good topology: the present one is wrong",
    ),
    "OmmaWorkFailing": Case(
        {f'omma_tries_failed_total{{{POD},what="PostgreSQL",kind="replica_down"}}': ("0+30x90", "0+1x90")},
        {"namespace": "shop", "what": "PostgreSQL", "kind": "replica_down"},
        "PostgreSQL fails and is tried again: replica_down",
    ),
    "OmmaCertificateExpires": Case(
        {
            'certmanager_certificate_expiration_timestamp_seconds{namespace="shop",name="r-omma-shard"}': (
                "436800x90",
                "864000x90",
            )
        },
        {"namespace": "shop", "name": "r-omma-shard"},
        "the certificate r-omma-shard is valid for 5d 0h 0m 0s more",
        minute=80,
    ),
    "OmmaKeysOld": Case(
        {f"omma_keys_read_timestamp_seconds{{{POD}}}": ("60x90", "60+60x90")},
        {"namespace": "shop"},
        "API keys were last read 59m 0s ago",
    ),
}
"""In the order of the file."""


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_each_alert_has_a_case() -> None:
    assert [rule["alert"] for rule in rules()] == list(CASES)


@pytest.mark.timeout(600)
def test_each_alert_fires_and_is_quiet(promtool: Path, tmp_path: Path) -> None:
    severity = {rule["alert"]: rule["labels"]["severity"] for rule in rules()}
    tests = []
    for alert, case in CASES.items():
        labels = {**case.labels, "severity": severity[alert]}
        fires = [{"exp_labels": labels, "exp_annotations": {"summary": case.says}}]
        for state, expected in enumerate((fires, [])):
            series = [{"series": name, "values": values[state]} for name, values in case.series.items()]
            asked = {"eval_time": f"{case.minute}m", "alertname": alert, "exp_alerts": expected}
            name = f"{alert} {'is quiet' if state else 'fires'}"
            tests.append({"name": name, "interval": "1m", "input_series": series, "alert_rule_test": [asked]})
    file = tmp_path / "alerts.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
