"""The topology: a YAML document that says which indexes have processes, of which model they are, and where.

indexes:
  - index: main
    model: omma-mini@1.3.0
    egs: egs:9090
    shards: [[shard-0-0:9090, shard-0-1:9090], [shard-1-0:9090, shard-1-1:9090]]
  - index: next
    model: clip@1.0.0
    egs: egs-clip:9090
    shards: next-{shard}:9090
  - index: products
    space: products
    shards: [[products-0:9090]]
"""

import re
import reprlib
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Final, TypeAlias

import yaml  # type: ignore[import-untyped]  # its stubs are not among our dependencies
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from omma.errors import InvalidQuery, WrongState
from omma.index import MAX_SHARDS, Factory
from omma.settings import Section
from omma.space import Space

SETTING: Final = "OMMA_TOPOLOGY"
MAX_BYTES: Final = 1 << 20
_MAX_INDEXES: Final = 64
_MAX_REPLICAS: Final = 64
_ADDRESS: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_NUMBER: Final = "{shard}"


def _address(given: Any) -> str:
    match = _ADDRESS.fullmatch(given) if isinstance(given, str) else None
    if match is None or not 1 <= int(match[1]) <= 65_535:
        shown = repr(given[:80]) if isinstance(given, str) else reprlib.repr(given)
        raise ValueError(f"{shown} is not host:port")
    return str(given)


def _shards(given: Any) -> tuple[tuple[str, ...], ...] | str:
    if isinstance(given, str):
        if given.count(_NUMBER) != 1:
            raise ValueError(f"a pattern has {_NUMBER} once, where the shard's number goes")
        _address(given.replace(_NUMBER, "0"))
        return given
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_SHARDS:
        raise ValueError(f"1 to {MAX_SHARDS} lists of replicas, or a pattern with {_NUMBER}")
    for number, replicas in enumerate(given):
        if not isinstance(replicas, list) or not 1 <= len(replicas) <= _MAX_REPLICAS:
            raise ValueError(f"shard {number} is absent: it has 1 to {_MAX_REPLICAS} replicas, each host:port")
    shards = tuple(tuple(map(_address, replicas)) for replicas in given)
    most, times = Counter(replica for replicas in shards for replica in replicas).most_common(1)[0]
    if times > 1:
        raise ValueError(f"{most} is there twice")
    return shards


Address: TypeAlias = Annotated[str, BeforeValidator(_address)]
Shards: TypeAlias = Annotated[tuple[tuple[str, ...], ...] | str, BeforeValidator(_shards)]


class Entry(Section):
    """An index that has processes. index: its name, which is its id in the catalog as well. model: `name@version`, or
    `name` where its version is whatever the embedder serves. egs: that embeds for it. space: in their place, of one
    whose vectors callers bring.

    shards: the replicas of shard 0, of shard 1, …; or a DNS pattern, `shards-{shard}:9090`, whose every address is a
    replica. count: of a pattern's shards; unset: as the catalog has it. factory: of FAISS, when the index is made;
    unset: the default, or what a rollout says.
    """

    index: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")
    model: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99}(@[A-Za-z0-9._-]{1,99})?)?$")
    egs: Address = ""
    space: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9._-]{0,99})?$")
    shards: Shards
    count: int | None = Field(default=None, ge=1, le=MAX_SHARDS, strict=True)
    factory: str = ""

    @field_validator("factory")
    @classmethod
    def _is_known(cls, factory: str) -> str:
        try:
            if factory:
                Factory.parsed(factory)
        except InvalidQuery as error:
            raise ValueError(error.detail) from error
        return factory

    @model_validator(mode="after")
    def _counted_once(self) -> "Entry":
        if not isinstance(self.shards, str) and self.count not in (None, len(self.shards)):
            raise ValueError(f"count is {self.count} and {len(self.shards)} shards are listed")
        return self

    @model_validator(mode="after")
    def _embeds_or_not(self) -> "Entry":
        if self.space and (self.model or self.egs):
            raise ValueError("space is of an index whose vectors callers bring: it has neither model nor egs")
        if not self.space and not (self.model and self.egs):
            raise ValueError("model and egs say what embeds for it; or space, where callers bring the vectors")
        return self

    @property
    def numbered(self) -> int | None:
        """How many shards it has, None where only the catalog knows."""
        return self.count if isinstance(self.shards, str) else len(self.shards)

    def named(self, shard: int) -> tuple[str, ...]:
        """`host:port` of each replica of a shard; of a pattern, the one name whose addresses they are."""
        if isinstance(self.shards, str):
            return (self.shards.replace(_NUMBER, str(shard)),)
        return self.shards[shard]

    def addresses(self) -> Iterator[str]:
        """Those of its shards, as far as the document alone says: of a pattern without a count, that of shard 0."""
        for shard in range(self.numbered or 1):
            yield from self.named(shard)

    def fits(self, space: Space) -> bool:
        """Whether an index of this space may be here."""
        return self.is_of(space.model) if space.model else self.space == space.id

    def is_of(self, model: str) -> bool:
        """Whether its model is this `name@version`."""
        return bool(model) and model in (self.model, f"{self.model}@{model.rpartition('@')[2]}")


class Topology(Section):
    """Every index that has processes, in order; a new catalog begins with the first."""

    indexes: tuple[Entry, ...] = Field(max_length=_MAX_INDEXES)

    @model_validator(mode="after")
    def _no_two_of_one_name(self) -> "Topology":
        names = [one.index for one in self.indexes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two indexes are called {name!r}")
        return self

    @model_validator(mode="after")
    def _no_shard_of_two(self) -> "Topology":
        """An embedder may serve several indexes; a shard is of one."""
        holders: dict[str, str] = {}
        for one in self.indexes:
            for address in one.addresses():
                if address in holders:
                    raise ValueError(f"{address} is there twice: a shard of {holders[address]} and of {one.index}")
                holders[address] = one.index
        return self

    def entry(self, index: str) -> Entry | None:
        return next((one for one in self.indexes if one.index == index), None)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # see its import
    """Refuses what YAML forbids and PyYAML takes: a key that is there twice, of which the last would count."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{reprlib.repr(key.value)} is there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return node


def parsed(content: bytes) -> Topology:
    """Raises WrongState, field OMMA_TOPOLOGY, which names what is wrong in the document, whatever the content is."""
    if len(content) > MAX_BYTES:
        raise WrongState(f"The topology has more than {MAX_BYTES:,} bytes.", field=SETTING, limit=MAX_BYTES)
    try:
        document = yaml.load(content, _Loader)  # noqa: S506  it is a safe one
    except Exception as error:  # noqa: BLE001  of what only looks like a date or a number PyYAML raises anything
        raise WrongState(f"The topology is no YAML: {' '.join(str(error).split())[:300]}", field=SETTING) from None
    try:
        return Topology.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(_fault(one)[:300] for one in error.errors()[:3])
        raise WrongState(f"The topology is wrong: {faults}.", field=SETTING) from None


def _fault(error: Any) -> str:
    place = ".".join(map(str, error["loc"]))
    said = "no such field" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said
