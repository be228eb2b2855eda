"""The chart, rendered by a real Helm."""

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.conftest import ROOT

CHART: Final = ROOT / "helm" / "omma"
KUBERNETES: Final = "1.34"
"""Unless told, a Helm from a Go module takes a cluster for 1.20."""

VALUES_FILES: Final = sorted(CHART.glob("values-*.yaml"))

OF_OPERATORS: Final = {"HTTPRoute", "GRPCRoute", "ScaledObject", "PrometheusRule", "ServiceMonitor", "Certificate"}
"""Kinds whose definitions come with operators, not with Kubernetes."""

PLACES: Final[Mapping[str, Any]] = {
    "postgres": {"existingSecret": "postgres"},
    "kafka": {"brokers": "kafka:9092"},
    "s3": {"bucket": "pictures", "existingSecret": "s3"},
    "auth": {"adminKeySecret": "admin"},
}
"""The least that an install names."""

EVERYTHING: Final[Mapping[str, Any]] = {
    **PLACES,
    "kafka": {
        "brokers": "kafka:9092",
        "securityProtocol": "SASL_SSL",
        "existingSecret": "kafka",
        "tlsSecret": "kafka-tls",
        "prefix": "shop.",
    },
    "s3": {"bucket": "pictures", "endpoint": "http://s3:9000", "publicEndpoint": "https://s3", "inbox": "inbox/new"},
    "tls": {"enabled": True, "certManager": {"enabled": True, "issuer": {"name": "omma"}}},
    "traces": {"endpoint": "http://collector:4317"},
    "settings": {"OMMA_PICTURES__MAX_BYTES": 1_000_000},
    "gateway": {
        "ingress": {"enabled": True, "host": "omma.example", "tlsSecret": "omma-example"},
        "route": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["omma.example"]},
        "autoscaling": {"enabled": True, "targetSearchesInFlight": 30},
    },
    "page": {"nginx": {"enabled": True, "tlsSecret": "page"}},
    "egs": {
        "modelStorage": "s3://models/omma",
        "autoscaling": {"enabled": True, "targetQueueItems": 8},
        "runtimeClassName": "nvidia",
    },
    "rerank": {"enabled": True, "autoscaling": {"enabled": True}},
    "worker": {"autoscaling": {"enabled": True}},
    "indexer": {"autoscaling": {"enabled": True, "targetLag": 1000, "consumerGroup": "indexer.space"}},
    "triton": {"enabled": True},
    "monitoring": {
        "serviceMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True},
        "prometheusAddress": "http://prometheus:9090",
    },
    "indexes": [
        {
            "name": name,
            "model": model,
            "shards": shards,
            "replicas": 2,
            "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            "storage": {"size": "10Gi", "class": "fast"},
            "factory": "OPQ64_256,IVF{nlist},PQ64x8",
            "gpu": 1,
            "image": "registry.example:5000/omma:0.1.0-gpu",
        }
        for name, model, shards in (("main", "omma-mini", 3), ("next", "omma-mini@1.1.0", 2))
    ],
}
"""Every part that can be turned on, and two indexes of two models."""


@dataclass(frozen=True)
class Refused(Exception):
    """What Helm said instead."""

    said: str


@dataclass(frozen=True)
class Chart:
    """helm: the program."""

    helm: Path

    def render(self, values: Mapping[str, Any], folder: Path, *, files: Sequence[Path] = ()) -> list[dict[str, Any]]:
        """Every resource, hooks included, of a release named `r` in the namespace `n`. Raises Refused."""
        given = folder / "values.yaml"
        given.write_text(yaml.safe_dump(dict(values)))
        said = [argument for file in (*files, given) for argument in ("-f", str(file))]
        text = self.ask("template", "r", str(CHART), "-n", "n", "--kube-version", KUBERNETES, *said)
        return [one for one in yaml.safe_load_all(text) if one]

    def ask(self, *arguments: str) -> str:
        """Raises Refused."""
        done = subprocess.run([self.helm, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(done.stderr + done.stdout)
        return done.stdout


def of_kind(resources: Iterable[Mapping[str, Any]], *kinds: str) -> list[Mapping[str, Any]]:
    return [one for one in resources if one["kind"] in kinds]


def name_of(resource: Mapping[str, Any]) -> str:
    return f"{resource['kind']}/{resource['metadata']['name']}"


def pods(resources: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """(name, metadata of the pod, its spec) of everything that makes pods."""
    for one in of_kind(resources, "Deployment", "StatefulSet", "Job", "Pod"):
        template = one if one["kind"] == "Pod" else one["spec"]["template"]
        yield name_of(one), template["metadata"], template["spec"]


def containers(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*spec.get("initContainers", []), *spec["containers"]]
