"""What holds for every pod that the chart makes, whatever the values say."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.compose.settings import PROCESS_OF
from services.indexer.prepare import PrepareProcess
from services.rerank.main import RerankProcess
from services.standalone.settings import StandaloneSettings
from tests.helm.chart import CHART, EVERYTHING, PLACES, VALUES_FILES, Chart, containers, name_of, of_kind, pods

READ_BY = {**PROCESS_OF, "services.indexer.prepare": PrepareProcess, "services.rerank": RerankProcess}
OF_ALL = set(EVERYTHING["settings"])
"""Given to every process; each passes over sections of others."""
CASES: dict[str, Any] = {"least": PLACES, "everything": EVERYTHING, **{file.name: file for file in VALUES_FILES}}


@pytest.fixture(scope="module", params=CASES, ids=str)
def rendered(request: pytest.FixtureRequest, chart: Chart, tmp_path_factory: pytest.TempPathFactory) -> Any:
    case, folder = CASES[request.param], tmp_path_factory.mktemp("values")
    return chart.render(PLACES, folder, files=[case]) if isinstance(case, Path) else chart.render(case, folder)


def test_pods_have_no_privilege_no_token_and_no_address_of_others(rendered: Any) -> None:
    for name, _, spec in pods(rendered):
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        own = spec["securityContext"]
        assert own["runAsNonRoot"] and own["runAsUser"] >= 10_000, name
        assert own["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for one in containers(spec):
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, (name, one["name"])
        assert not any("hostPath" in volume for volume in spec["volumes"]), name


def test_images_are_pinned_and_containers_bounded(rendered: Any) -> None:
    for name, _, spec in pods(rendered):
        for one in containers(spec):
            tag = one["image"].rpartition(":")[2]
            assert tag and tag != "latest" and "/" not in tag, name
            assert one["resources"]["limits"]["memory"], name
            assert one["resources"]["requests"].keys() >= {"cpu", "memory"}, name
        for volume in spec["volumes"]:
            assert volume.get("emptyDir", {"sizeLimit": 1}).get("sizeLimit"), (name, volume["name"])


def test_what_serves_is_probed_and_drained(rendered: Any) -> None:
    for kind in ("Deployment", "StatefulSet"):
        for one in of_kind(rendered, kind):
            spec = one["spec"]["template"]["spec"]
            for container in spec["containers"]:
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), name_of(one)
                assert container["livenessProbe"] != container["readinessProbe"], name_of(one)
                before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
                drain = float(settings_of(container).get("OMMA_DRAIN_SECONDS", 0))
                assert spec["terminationGracePeriodSeconds"] >= before + drain + 30, name_of(one)


def test_whatever_serves_has_one_budget(rendered: Any) -> None:
    budgets = [one["spec"] for one in of_kind(rendered, "PodDisruptionBudget")]
    assert all(budget["maxUnavailable"] == 1 for budget in budgets)
    for one in of_kind(rendered, "Deployment", "StatefulSet"):
        labels = one["spec"]["template"]["metadata"]["labels"]
        meant = [budget for budget in budgets if budget["selector"]["matchLabels"].items() <= labels.items()]
        assert len(meant) == 1, name_of(one)
        assert one["spec"]["selector"]["matchLabels"] == meant[0]["selector"]["matchLabels"]


def test_every_setting_is_one_that_its_process_reads(rendered: Any) -> None:
    seen = set()
    for name, _, spec in pods(rendered):
        for one in containers(spec):
            command = one.get("command", [])
            if command[:2] == ["python", "-m"]:
                known = READ_BY[command[2]].known_names() | {"TMPDIR"} | OF_ALL
                seen.add(command[2])
            elif command[:1] == ["omma"]:
                known = StandaloneSettings.known_names()
            else:
                continue
            names = [each["name"] for each in one.get("env", [])]
            assert len(names) == len(set(names)), name
            assert set(names) <= known, (name, set(names) - known)
    assert seen | {"services.rerank"} == set(READ_BY)


def test_every_process_takes_its_environment(rendered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, _, spec in pods(rendered):
        for one in containers(spec):
            if one.get("command", [])[:2] != ["python", "-m"]:
                continue
            with monkeypatch.context() as environment:
                for variable, value in settings_of(one).items():
                    environment.setenv(variable, value)
                READ_BY[one["command"][2]](_env_file=None), name


def test_mounts_are_of_volumes_and_secrets_never_lie_in_a_pod(rendered: Any) -> None:
    for name, _, spec in pods(rendered):
        there = {volume["name"] for volume in spec["volumes"]} | {"data"}
        for one in containers(spec):
            assert {mount["name"] for mount in one.get("volumeMounts", [])} <= there, name
            for each in one.get("env", []):
                if re.search("PASSWORD|SECRET|ACCESS_KEY|POSTGRES__URL|API_KEY", each["name"]):
                    assert "secretKeyRef" in each["valueFrom"], (name, each["name"])


def test_labels_are_the_promised_ones_and_find_their_pods(rendered: Any) -> None:
    for name, metadata, _ in pods(rendered):
        assert metadata["labels"]["omma.io/component"], name
        if name.startswith("StatefulSet/"):
            assert metadata["labels"].keys() >= {"omma.io/index", "omma.io/shard"}, name
    (gateway,) = [one for one in of_kind(rendered, "Service") if one["metadata"]["name"] == "r-omma-gateway"]
    assert {port["port"] for port in gateway["spec"]["ports"]} == {8080, 9090}
    labels = [metadata["labels"].items() for _, metadata, _ in pods(rendered)]
    for service in of_kind(rendered, "Service"):
        assert any(service["spec"]["selector"].items() <= one for one in labels), name_of(service)


def test_each_account_is_there_and_one_file_has_one_kind(rendered: Any) -> None:
    accounts = {one["metadata"]["name"] for one in of_kind(rendered, "ServiceAccount")}
    for name, _, spec in pods(rendered):
        assert spec.get("serviceAccountName", "default") in accounts | {"default"}, name
    assert not of_kind(rendered, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
    for file in (CHART / "templates").glob("*/*.yaml"):
        kinds = set(re.findall(r"^kind: (\S+)", file.read_text(), re.MULTILINE))
        assert len(kinds) <= 1, file


def settings_of(container: Mapping[str, Any]) -> dict[str, str]:
    """Its variables; a secret as something that settings take."""
    samples = {"OMMA_POSTGRES__URL": "postgresql://u:p@host/omma"}
    return {
        one["name"]: one.get("value", samples.get(one["name"], "secret-enough-16")) for one in container.get("env", [])
    }
