"""What the chart renders, as the API server takes it; nothing is made: every values file, and everything turned on."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import EVERYTHING, OF_OPERATORS, PLACES, VALUES_FILES, Chart
from tests.kubernetes.cluster import Namespace, ask
from tests.kubernetes.conftest import Servers

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def namespace(servers: Servers, program: Path) -> Iterator[Namespace]:
    made = Namespace(f"omma-validated-{secrets.token_hex(3)}", program)
    ask("kubectl", "create", "namespace", made.name)
    yield made
    ask("kubectl", "delete", "namespace", made.name, "--timeout=120s")


@pytest.fixture(scope="module")
def known() -> set[tuple[str, str]]:
    """(version, kind) of what this cluster has definitions of, operators' too where they are there."""
    said = ask("kubectl", "api-resources", "--no-headers").splitlines()
    return {(columns[-3], columns[-1]) for columns in (line.split() for line in said)}


@pytest.mark.parametrize("case", ["least", "everything", *VALUES_FILES], ids=lambda case: getattr(case, "name", case))
def test_a_server_side_dry_run_takes_it(
    case: str | Path,
    program: Path,
    namespace: Namespace,
    known: set[tuple[str, str]],
    report: Callable[[str, object], None],
    tmp_path: Path,
) -> None:
    values = EVERYTHING if case == "everything" else PLACES
    rendered = Chart(program).render(values, tmp_path, files=[case] if isinstance(case, Path) else [])
    left_out = {f"{one['apiVersion']} {one['kind']}" for one in rendered if kind_of(one) not in known}
    assert {name.rpartition(" ")[2] for name in left_out} <= OF_OPERATORS
    if left_out:
        report("no definitions on this cluster, so not validated", ", ".join(sorted(left_out)))
    asked = [one for one in rendered if kind_of(one) in known]
    for one in asked:
        one["metadata"]["namespace"] = namespace.name
    text = yaml.safe_dump_all(asked)
    said = namespace.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=text)
    assert said.count("server dry run") == len(asked)


def kind_of(resource: dict[str, Any]) -> tuple[str, str]:
    return resource["apiVersion"], resource["kind"]
