"""What values become: indexes, what finds what, and which edges the network has."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from omma.index import DEFAULT_FACTORY, Factory
from services.topology.document import parsed
from tests.helm.chart import EVERYTHING, PLACES, Chart, name_of, of_kind, pods
from tests.nginx import CONFIGURATION

EDGES = {
    ("gateway", "egs"),
    ("gateway", "rerank"),
    ("gateway", "shard"),
    ("indexer", "egs"),
    ("indexer", "shard"),
    ("worker", "shard"),
    ("test", "gateway"),
    ("page", "gateway"),
}
"""Who calls whom; every other pair is closed."""
STORAGE = {5432, 9092, 9000, 443}
OUTSIDE = {
    "gateway": STORAGE | {80, 443},
    "indexer": STORAGE,
    "worker": STORAGE,
    "shard": STORAGE,
    "migration": STORAGE,
    "egs": {9000, 443},  # models in a bucket
    "rerank": set(),
    "test": set(),
    "page": set(),
}
"""Ports of servers that are not of the release."""


@pytest.fixture(scope="module")
def everything(chart: Chart, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return chart.render(EVERYTHING, tmp_path_factory.mktemp("values"))


def test_each_shard_of_each_index_has_pods_a_name_and_a_budget(everything: Any) -> None:
    wanted = {f"r-omma-shard-{one['name']}-{n}" for one in EVERYTHING["indexes"] for n in range(one["shards"])}
    for kind in ("StatefulSet", "PodDisruptionBudget", "Service"):
        named = {one["metadata"]["name"] for one in of_kind(everything, kind)}
        assert {name for name in named if "-shard-" in name} == wanted, kind
    for one in of_kind(everything, "StatefulSet"):
        labels, spec = one["metadata"]["labels"], one["spec"]
        assert one["metadata"]["name"].endswith(f"{labels['omma.io/index']}-{labels['omma.io/shard']}")
        assert (spec["replicas"], spec["podManagementPolicy"]) == (2, "Parallel")
        (container,) = spec["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
        assert container["image"] == "registry.example:5000/omma:0.1.0-gpu"
        told = {variable["name"]: variable.get("value") for variable in container["env"]}
        assert told["OMMA_SHARD__NUMBER"] == labels["omma.io/shard"]
        assert told["OMMA_SHARD__INDEX"] == labels["omma.io/index"]


@pytest.mark.parametrize(("gpu", "factory", "four_bits"), [(0, "", True), (1, "", False), (0, "IVF64,PQ16x4fs", True)])
def test_an_index_on_gpus_is_made_with_codes_that_they_take(
    gpu: int, factory: str, four_bits: bool, chart: Chart, tmp_path: Path
) -> None:
    index = {**EVERYTHING["indexes"][0], "gpu": gpu, "factory": factory}
    rendered = chart.render({**PLACES, "indexes": [index]}, tmp_path)
    (config,) = (one for one in of_kind(rendered, "ConfigMap") if one["metadata"]["name"].endswith("-topology"))
    (entry,) = parsed(config["data"]["topology.yaml"].encode()).indexes
    assert Factory.parsed(entry.factory or DEFAULT_FACTORY).four_bits is four_bits


def test_replicas_are_spread_over_nodes(everything: Any) -> None:
    for name, metadata, spec in pods(everything):
        if not name.startswith("StatefulSet/"):
            continue
        spread = {one["topologyKey"]: one["labelSelector"]["matchLabels"] for one in spec["topologySpreadConstraints"]}
        assert spread["kubernetes.io/hostname"] == metadata["labels"], name


def test_every_address_that_a_process_is_told_is_a_service_here(everything: Any) -> None:
    services = {one["metadata"]["name"] for one in of_kind(everything, "Service")}
    told, follow = set(), set()
    for _, _, spec in pods(everything):
        for container in spec["containers"]:
            for variable in container.get("env", []):
                if variable["name"] == "OMMA_TOPOLOGY":
                    folders = {one["mountPath"] for one in container["volumeMounts"]}
                    assert variable["value"].rpartition("/")[0] in folders
                    follow.add(container["name"])
                if variable["name"].endswith("__RERANK"):
                    told.add(variable["value"])
    assert told and follow == {"gateway", "indexer", "worker"}
    for address in told:
        host, port = address.split(":")
        assert host.rpartition(".")[2] in services and port == "9090", address


def test_the_topology_names_what_there_is(everything: Any) -> None:
    (config,) = [one for one in of_kind(everything, "ConfigMap") if one["metadata"]["name"] == "r-omma-topology"]
    assert parsed(config["data"]["topology.yaml"].encode()).indexes  # as a gateway reads it
    topology = yaml.safe_load(config["data"]["topology.yaml"])["indexes"]
    services = {one["metadata"]["name"] for one in of_kind(everything, "Service")}
    assert [one["index"] for one in topology] == ["main", "next"]
    for one, index in zip(topology, EVERYTHING["indexes"], strict=True):
        assert one["model"] == index["model"] and one["egs"].removesuffix(":9090") in services
        assert one["count"] == index["shards"] and one.get("factory", "") == index.get("factory", "")
        for shard in range(index["shards"]):
            assert one["shards"].replace("{shard}", str(shard)).removesuffix(":9090") in services


def test_a_second_index_changes_no_pod_that_serves(chart: Chart, tmp_path: Path) -> None:
    one = chart.render({**EVERYTHING, "indexes": EVERYTHING["indexes"][:1]}, tmp_path)
    two = chart.render(EVERYTHING, tmp_path)
    before, after = ({name: (meta, spec) for name, meta, spec in pods(each)} for each in (one, two))
    serving = {name: one for name, one in before.items() if not name.startswith("Job/")}
    assert {name: after[name] for name in serving} == serving
    assert {name.split("-")[2] for name in after.keys() - before.keys()} == {"shard", "egs"}


def test_edges_are_the_named_ones_and_all_else_is_closed(everything: Any) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(everything, "NetworkPolicy")}
    every = policies.pop("r-omma")
    assert every["policyTypes"] == ["Ingress", "Egress"] and "ingress" not in every
    assert {port["port"] for rule in every["egress"] for port in rule["ports"]} == {53}
    components = {metadata["labels"]["omma.io/component"] for _, metadata, _ in pods(everything)}
    for _, metadata, _ in pods(everything):
        assert every["podSelector"]["matchLabels"].items() <= metadata["labels"].items()
    assert {f"r-omma-{component}" for component in components} == set(policies)
    out, into = set(), set()
    for name, spec in policies.items():
        own = name.removeprefix("r-omma-")
        outside = set()
        for rule in spec.get("egress") or []:
            ports = {port["port"] for port in rule["ports"]}
            inside = components_of(rule.get("to", []))
            out |= {(own, other) for other in inside}
            outside |= set() if inside else ports - {4317}
        assert outside == OUTSIDE[own], name
        for rule in spec.get("ingress") or []:
            into |= {(other, own) for other in components_of(rule.get("from", []))}
    assert out == EDGES
    assert into == {edge for edge in EDGES if edge[1] != "gateway"}  # the gateway's callers come from anywhere


def test_whoever_may_ask_the_gateway_may_ask_the_page_and_that_the_gateway(chart: Chart, tmp_path: Path) -> None:
    peer = {"namespaceSelector": {"matchLabels": {"shop": "yes"}}}
    closed = chart.render({**EVERYTHING, "networkPolicy": {"gatewayFrom": [peer]}}, tmp_path)
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(closed, "NetworkPolicy")}
    for component, inside in (("gateway", {"page", "test"}), ("page", set())):
        (asked,) = [
            rule["from"]
            for rule in policies[f"r-omma-{component}"]["ingress"]
            if {port["port"] for port in rule["ports"]} & {"http", "https"}
        ]
        assert peer in asked and components_of(asked) == inside


def test_nginx_is_configured_as_in_compose_with_names_of_the_cluster(everything: Any) -> None:
    (config,) = [one for one in of_kind(everything, "ConfigMap") if one["metadata"]["name"] == "r-omma-page"]
    here, composes = config["data"]["nginx.conf"].splitlines(), CONFIGURATION.read_text().splitlines()
    changed = {one.strip(): other.strip() for one, other in zip(here, composes, strict=True) if one != other}
    assert changed == {
        "set $gateway r-omma-gateway.n.svc.cluster.local:8080;": "set $gateway gateway:8080;",
        "set $gateway r-omma-gateway.n.svc.cluster.local:9090;": "set $gateway gateway:9090;",
        "resolver kube-dns.kube-system.svc.cluster.local valid=5s ipv6=off;": (
            "resolver 127.0.0.11 valid=5s ipv6=off;"
        ),
    }
    (page,) = [spec for _, metadata, spec in pods(everything) if metadata["labels"]["omma.io/component"] == "page"]
    folders = {mount["mountPath"] for mount in page["containers"][0]["volumeMounts"]}
    assert folders >= {"/tls", "/tmp"}  # where it looks and writes
    (certificate,) = [volume["secret"] for volume in page["volumes"] if "secret" in volume]
    assert {f"/tls/{item['path']}" for item in certificate["items"]} == set(re.findall(r"/tls/\S+(?=;)", "".join(here)))


def test_autoscaled_parts_are_not_given_a_number_too(everything: Any) -> None:
    scaled = {
        one["spec"]["scaleTargetRef"]["name"] for one in of_kind(everything, "HorizontalPodAutoscaler", "ScaledObject")
    }
    for one in of_kind(everything, "Deployment"):
        assert (one["metadata"]["name"] in scaled) != ("replicas" in one["spec"]), name_of(one)


def test_certificates_name_every_address(everything: Any) -> None:
    names = {name for one in of_kind(everything, "Certificate") for name in one["spec"]["dnsNames"]}
    for service in of_kind(everything, "Service"):
        # NGINX shows a certificate of yours; metrics are plain.
        if service["metadata"]["name"] not in ("r-omma-metrics", "r-omma-page"):
            assert service["metadata"]["name"] in names


def test_without_extras_only_kubernetes_own_kinds_are_made(chart: Chart, tmp_path: Path) -> None:
    versions = {one["apiVersion"] for one in chart.render(PLACES, tmp_path)}
    assert versions == {"v1", "apps/v1", "batch/v1", "policy/v1", "networking.k8s.io/v1"}


def components_of(peers: list[Mapping[str, Any]]) -> set[str]:
    selectors = [peer["podSelector"]["matchLabels"] for peer in peers if "podSelector" in peer]
    return {labels["omma.io/component"] for labels in selectors}
