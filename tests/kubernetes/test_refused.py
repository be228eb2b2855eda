"""Values that the chart or a release refuses: what is wrong is named, and nothing has changed."""

import json
from typing import Any

import pytest

from tests.kubernetes.cluster import Failed, ask
from tests.kubernetes.conftest import IMAGE, World, image

pytestmark = pytest.mark.timeout(600)

LATER = "9998"
"""A schema that no version knows."""
SAME_IMAGE = IMAGE if "/" in IMAGE else f"docker.io/library/{IMAGE}"
"""By another name, where it has one: an upgrade that keeps its image is never asked about its schema."""


def index(**changes: Any) -> Any:
    return lambda main: {"indexes": [{**main, **changes}]}


CASES: dict[str, tuple[Any, str]] = {
    "unknown value": ({"gatway": {"replicas": 3}}, "gatway"),
    "no shards": (index(shards=0), "shards"),
    "more shards than buckets": (index(shards=257), "shards"),
    "two indexes of one name": (lambda main: {"indexes": [main, main]}, 'two are called "main"'),
    "missing secret": ({"auth": {"adminKeySecret": "absent"}}, 'no Secret "absent"'),
    "other shards": (index(shards=3), "has 2 shards and keeps them"),
    "another model": (index(model="another@1.0.0"), "stays so"),
    "disks of another size": (index(storage={"size": "2Gi"}), "cascade=orphan"),
    "an index gone that is live": (index(name="other"), "Index main is live and would lose its processes"),
    "a schema of a later version": ({"image": image(SAME_IMAGE)}, f"{LATER}, of a later version of Omma"),
}
"""(values, or what makes them of the index that is there; what is said)."""


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said_before_anything_changes(case: str, installed: World) -> None:
    changes, said = CASES[case]
    values = {**installed.values, **(changes(installed.values["indexes"][0]) if callable(changes) else changes)}
    before = state(installed)
    if LATER in said and SAME_IMAGE == IMAGE:
        pytest.skip("the image has one name only; test_an_upgrade_and_its_rollback_cost_no_search looks at it too")
    with pytest.raises(Failed, match=said):
        if LATER in said:
            with installed.of_a_later_schema(LATER):
                installed.namespace.release("upgrade", values)
        else:
            installed.namespace.release("upgrade", values)
    assert state(installed) == before and installed.healthy()


def test_one_replica_is_warned_of(installed: World) -> None:
    values = {**installed.values, "indexes": [{**installed.values["indexes"][0], "replicas": 1}]}
    said = installed.namespace.release("upgrade", values, "--dry-run=server")
    assert "each shard of the index main has one replica" in said


def state(world: World) -> Any:
    """Its pods, what follows the values, and the revision that runs."""
    topology = json.loads(world.namespace.kubectl("get", "configmap", "r-omma-topology", "-o", "json"))["data"]
    history = json.loads(ask(world.namespace.helm, "-n", world.namespace.name, "history", "r", "-o", "json"))
    return world.uids(), topology, max(one["revision"] for one in history if one["status"] == "deployed")
