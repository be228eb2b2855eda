"""Helm, which renders and installs the chart, and what Kubernetes says of its own resources; both from Go modules."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

from deploy.parts.cache import cached, go_program, require
from deploy.parts.missing import PartMissing

HELM_VERSION: Final = "v3.22.0"
KUBERNETES_VERSION: Final = "v1.34.3"
_SCHEMAS: Final = "swagger.json"


def install_helm() -> Path:
    """Its program, built once. Raises PartMissing."""
    return go_program("helm", "helm.sh/helm/v3/cmd/helm", HELM_VERSION)


def install_kubernetes_schemas() -> Path:
    """The OpenAPI document of every resource that comes with Kubernetes, downloaded once. Raises PartMissing."""
    return cached(f"kubernetes-schemas-{KUBERNETES_VERSION}", _download) / _SCHEMAS


def _download(folder: Path) -> None:
    require("Kubernetes' schemas", ["go"], "Install Go 1.24 or newer: Debian 13's golang-go, or https://go.dev/dl")
    command = ["go", "mod", "download", "-json", f"k8s.io/kubernetes@{KUBERNETES_VERSION}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout or "{}")
    if "Dir" not in said:
        raise PartMissing("Kubernetes' schemas", f"go mod download failed: {done.stderr}{said.get('Error', '')}"[-600:])
    shutil.copyfile(Path(said["Dir"]) / "api/openapi-spec" / _SCHEMAS, folder / _SCHEMAS)
