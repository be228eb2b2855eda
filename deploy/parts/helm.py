"""Helm, from its Go module: what renders and installs the chart."""

from pathlib import Path
from typing import Final

from deploy.parts.cache import go_program

HELM_VERSION: Final = "v3.22.0"


def install_helm() -> Path:
    """Its program, built once. Raises PartMissing."""
    return go_program("helm", "helm.sh/helm/v3/cmd/helm", HELM_VERSION)
