"""Every resource has only fields that Kubernetes knows, of the type that it wants."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from omma.errors import InvalidQuery
from omma.index import MAX_SHARDS, Factory
from omma.rollouts.asked import RolloutRequest
from omma.space import Space, SpaceId
from services.standalone.settings import StandaloneSettings
from services.topology.document import Entry
from tests.helm.chart import CHART, EVERYTHING, OF_OPERATORS, PLACES, VALUES_FILES, Chart, name_of

Schemas = Mapping[str, Mapping[str, Any]]
TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}


@pytest.fixture(scope="module")
def schemas(kubernetes_schemas: Path) -> Schemas:
    definitions: Schemas = json.loads(kubernetes_schemas.read_text())["definitions"]
    return definitions


@pytest.mark.parametrize("case", ["least", "everything", *VALUES_FILES], ids=lambda case: getattr(case, "name", case))
def test_resources_are_what_kubernetes_takes(case: str | Path, chart: Chart, schemas: Schemas, tmp_path: Path) -> None:
    values = EVERYTHING if case == "everything" else PLACES
    rendered = chart.render(values, tmp_path, files=[case] if isinstance(case, Path) else [])
    kinds = {
        (kind["group"], kind["version"], kind["kind"]): name
        for name, schema in schemas.items()
        for kind in schema.get("x-kubernetes-group-version-kind", ())
    }
    for one in rendered:
        group, _, version = one["apiVersion"].rpartition("/")
        name = kinds.get((group, version, one["kind"]))
        assert name or one["kind"] in OF_OPERATORS, name_of(one)
        if name:
            assert list(faults(one, schemas[name], schemas, name_of(one))) == []


def test_an_index_has_as_many_shards_everywhere() -> None:
    """The chart's bound is that of the topology, of a rollout and of one process; none is beyond a space's buckets."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    shards = [found for found in every(schema, "shards") if found.get("type") == "integer"]
    assert shards and {(one["minimum"], one["maximum"]) for one in shards} == {(1, MAX_SHARDS)}
    assert Space(SpaceId("m"), "m@1.0.0", "0" * 64, 8).buckets >= MAX_SHARDS
    for shards_asked, fits in ((MAX_SHARDS, True), (MAX_SHARDS + 1, False)):
        with nullcontext() if fits else pytest.raises(InvalidQuery, match=f"1 to {MAX_SHARDS}"):
            RolloutRequest(index="next", shards=shards_asked).checked()
        with nullcontext() if fits else pytest.raises(ValidationError, match="shards"):
            StandaloneSettings(shards=shards_asked)
        with nullcontext() if fits else pytest.raises(ValidationError, match="shards"):
            Entry(index="i", model="m", egs="e:1", shards=[[f"s{n}:1"] for n in range(shards_asked)])
        with nullcontext() if fits else pytest.raises(ValidationError, match="count"):
            Entry(index="i", model="m", egs="e:1", shards="s{shard}:1", count=shards_asked)


@pytest.mark.parametrize(
    "factory",
    ["IVF64,PQ16", "OPQ128_256,IVF{nlist},PQ128x4fs", "IVF{nlist},PQ1x8", "IVF{nlist},PQ0x8", "IVF{k},PQ8", "PQ64x8",
     "IVF64,PQ16x4", "OPQ64,IVF64,PQ64", "OPQ64_256,IVF64,PQ64,RFlat", "IVF12345678,PQ8", "IVF64,PQ12345", "HNSW32"],
)  # fmt: skip
def test_the_chart_takes_a_factory_that_the_code_takes(factory: str) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    ((pattern,),) = ([found["pattern"]] for found in every(schema, "factory"))
    assert re.search(pattern, "")
    with nullcontext() if re.search(pattern, factory) else pytest.raises(InvalidQuery, match="form"):
        Factory.parsed(factory)


def every(schema: Any, name: str) -> Iterator[dict[str, Any]]:
    """What a schema says of each property of this name, wherever it is."""
    if isinstance(schema, dict):
        if isinstance(found := schema.get(name), dict):
            yield found
        for one in schema.values():
            yield from every(one, name)
    elif isinstance(schema, list):
        for one in schema:
            yield from every(one, name)


def test_a_field_that_is_none_is_a_fault(schemas: Schemas) -> None:
    pod = schemas["io.k8s.api.core.v1.PodSpec"]
    wrong = {"containers": [{"name": "one", "imagee": "two"}], "hostNetwork": "yes", "volumes": None}
    assert len(list(faults(wrong, pod, schemas, "pod"))) == 3


def faults(value: Any, schema: Mapping[str, Any], schemas: Schemas, where: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    wanted = TYPES.get(schema.get("type", ""), object)
    free = schema.get("format") == "int-or-string" or "Quantity" in schema.get("description", "")
    if not free and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
        yield f"{where} is no {schema['type']}: {value!r}"
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from faults(item, schema["items"], schemas, f"{where}[{number}]")
    elif isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        yield from (f"{where} lacks {name}" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            if known and name not in known:
                yield f"{where} has {name}, which is no field"
            else:
                yield from faults(item, known.get(name, others), schemas, f"{where}.{name}")
