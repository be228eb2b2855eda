"""A Kubernetes cluster as the tests reach it: `kubectl`, `helm`, a KUBECONFIG, and nothing else of it."""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import yaml

from tests.conftest import ROOT

T = TypeVar("T")

CHART = ROOT / "helm" / "omma"
WAIT_SECONDS = 600.0
"""For pods to come: a machine with other work starts ten processes slowly."""


class Failed(Exception):
    """What the program said."""


def ask(*command: str | Path, given: str | None = None) -> str:
    """Raises Failed."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command[:4]))} …: {done.stderr}{done.stdout}")
    return done.stdout


def until(what: str, attempt: Callable[[], T | None], seconds: float = WAIT_SECONDS) -> T:
    """The attempt's first result that is not None, False nor empty. Raises Failed, with the last error."""
    deadline, error = monotonic() + seconds, ""
    while monotonic() < deadline:
        try:
            if result := attempt():
                return result
        except Exception as failed:  # noqa: BLE001  whatever is not there yet
            error = repr(failed)[:500]
        sleep(0.5)  # another machine's state is looked at, not waited for
    raise Failed(f"{what} did not come in {seconds:.0f} s {error}")


@dataclass(frozen=True)
class Namespace:
    """One of ours, with a release named `r`."""

    name: str
    helm: Path

    def kubectl(self, *command: str, given: str | None = None) -> str:
        return ask("kubectl", "-n", self.name, *command, given=given)

    def get(self, *what: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", *what, "-o", "json"))["items"]
        return items

    def apply(self, *resources: Mapping[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(resources))

    def secret(self, name: str, **values: str) -> None:
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values})

    def release(self, command: str, values: Mapping[str, Any], *more: str) -> str:
        """`helm install` or `helm upgrade`, waited for. Raises Failed."""
        wait = ["--wait", "--timeout", f"{WAIT_SECONDS:.0f}s"]
        return ask(
            self.helm, "-n", self.name, command, "r", CHART, *wait, *more, "-f", "-", given=yaml.safe_dump(dict(values))
        )

    def pods(self, selector: str = "app.kubernetes.io/name=omma,omma.io/component!=migration") -> list[dict[str, Any]]:
        """Without those that are going, and without hooks, whose last pod stays when it has refused something."""
        every = self.get("pods", "-l", selector)
        return [pod for pod in every if "deletionTimestamp" not in pod["metadata"]]

    def evicted(self, pod: str) -> bool:
        """Whether the API server let it go now, which its budget decides. Raises Failed for anything else."""
        asked = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": self.name}}
        path = f"/api/v1/namespaces/{self.name}/pods/{pod}/eviction"
        try:
            self.kubectl("create", "--raw", path, "-f", "-", given=json.dumps(asked))
        except Failed as failed:
            if "disruption budget" in str(failed):
                return False
            raise
        return True

    def sync_now(self) -> None:
        """What is mounted is looked at again at once, not within a minute: the kubelet looks when a pod has changed."""
        self.kubectl("annotate", "pods", "--all", "--overwrite", f"omma.test/synced={monotonic()}")

    def all_ready(self) -> bool:
        """Every Deployment and StatefulSet has what it wants, up to date."""
        for one in self.get("deployments,statefulsets"):
            wanted, status = one["spec"]["replicas"], one["status"]
            seen = (status.get("observedGeneration"), status.get("readyReplicas", 0), status.get("updatedReplicas", 0))
            if seen != (one["metadata"]["generation"], wanted, wanted) or status.get("replicas") != wanted:
                return False
        return True

    def node_port(self, service: str, port: str) -> str:
        """host:port that reaches it from here."""
        (found,) = self.get("services", "--field-selector", f"metadata.name={service}")
        number = next(one["nodePort"] for one in found["spec"]["ports"] if one["name"] == port)
        return f"{host()}:{number}"


def host() -> str:
    """This machine's address as pods reach it, and the node's as we do: OMMA_TEST_HOST, or the first node's own."""
    if given := os.environ.get("OMMA_TEST_HOST"):
        return given
    nodes = json.loads(ask("kubectl", "get", "nodes", "-o", "json"))["items"]
    address = next(one["address"] for one in nodes[0]["status"]["addresses"] if one["type"] == "InternalIP")
    with socket.socket() as bound:
        try:
            bound.bind((address, 0))
        except OSError:
            raise Failed(f"{address} is not ours: set OMMA_TEST_HOST to an address that pods reach") from None
    return str(address)
