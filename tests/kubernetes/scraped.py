"""A Prometheus that scrapes a release's pods, as its operator would with the chart's ServiceMonitor."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.parts.http import get_ok
from deploy.parts.ports import free_port
from deploy.parts.server import Server
from tests.kubernetes.cluster import Namespace


@contextmanager
def scraped(namespace: Namespace, prometheus: Path) -> Iterator[httpx.Client]:
    """A client of its API. Pods that come later are not scraped."""
    targets = [
        {
            "targets": [f"{pod['status']['podIP']}:9464"],
            "labels": {"namespace": namespace.name, "pod": pod["metadata"]["name"], "job": f"{namespace.name}/r-omma"},
        }
        for pod in measured(namespace)
    ]
    config = {
        "global": {"scrape_interval": "5s"},  # and as long for an answer, of a busy node
        "scrape_configs": [{"job_name": "omma", "honor_labels": True, "static_configs": targets}],
    }
    server = Server("prometheus")
    try:
        address = f"127.0.0.1:{free_port('127.0.0.1')}"
        file = server.folder / "prometheus.yaml"
        file.write_text(yaml.safe_dump(config))
        flags = [f"--config.file={file}", f"--storage.tsdb.path={server.folder}", f"--web.listen-address={address}"]
        server.start([prometheus, *flags], lambda: get_ok(f"http://{address}/-/ready"))
        with httpx.Client(base_url=f"http://{address}", timeout=30) as client:
            yield client
    finally:
        server.close()


def measured(namespace: Namespace) -> list[dict[str, Any]]:
    """The pods that have metrics: NGINX has none."""
    return [
        pod
        for pod in namespace.pods()
        if any(port["name"] == "metrics" for one in pod["spec"]["containers"] for port in one.get("ports", ()))
    ]


def series(client: httpx.Client, query: str) -> list[dict[str, Any]]:
    """What it answers now."""
    answer = client.get("/api/v1/query", params={"query": query})
    assert answer.is_success, (query, answer.text)
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found
