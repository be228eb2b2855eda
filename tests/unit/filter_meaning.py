"""Pictures and filters at random, and that the catalog and a shard's engine keep what a filter means."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from omma.catalog.interface import Catalog
from omma.catalog.picture import Embedded, NewPicture, Picture
from omma.filters import ATTRIBUTES, And, AnyOf, Between, Filter, Not, Or, Value, canonical, parse_filter
from omma.identity import Sha256, Tenant
from omma.records import VectorRecord
from omma.sources import source_domain_of
from services.nn_shard.engine import SearchOptions
from tests.unit.engine_lives import clustered, far, opened, record

QUERY = clustered(1, seed=1)

names = st.sampled_from(["n", 'a"b', "a\\b", "ä.ö", "$"])
texts = st.sampled_from(["", "a", "A", "b", "ä", "%", "'", '"', "1", "true"])
numbers = st.sampled_from([-1.5, 0.0, 1.0, 2.0, 1e12, 2.0**53 - 1])
whole = st.sampled_from([-2, 0, 1, 2, 2**53 - 1, 2**53, 2**53 + 1, 10**18])
flags = st.booleans()
urls = st.sampled_from(["", "https://a.org/x", "HTTPS://A.org:80/y", "b", "http://[broken"])

pictures = st.builds(
    lambda owner, tags, url, attributes: (owner, tuple(tags), url, attributes),
    texts,
    st.lists(texts.filter(bool), max_size=3),
    urls,
    st.dictionaries(
        names,
        st.one_of(texts, flags, whole, numbers, st.just(-0.0)),
        max_size=3,
    ),
)

attribute_fields = names.map(lambda name: ATTRIBUTES + name)


def bounds(fields: st.SearchStrategy[str]) -> st.SearchStrategy[Filter]:
    return st.one_of(
        st.builds(Between, fields, low=numbers, low_open=flags),
        st.builds(Between, fields, high=numbers, high_open=flags),
        st.builds(Between, fields, low=numbers, high=numbers, low_open=flags, high_open=flags),
    )


def any_of(fields: st.SearchStrategy[str], values: st.SearchStrategy[Value]) -> st.SearchStrategy[Filter]:
    return st.builds(AnyOf, fields, st.lists(values, min_size=1, max_size=4, unique_by=repr).map(tuple))


number_fields = st.sampled_from(["width", "height", "created_at"])
terms = st.one_of(
    any_of(st.sampled_from(["tags", "owner"]), texts),
    any_of(st.just("source"), urls),
    any_of(st.just("source_domain"), st.sampled_from(["", "a.org", "A.org"])),
    any_of(number_fields, numbers),
    any_of(attribute_fields, st.one_of(texts, numbers, flags)),
    bounds(st.one_of(number_fields, attribute_fields)),
)
filters = st.recursive(
    terms,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def keeps(filter: Filter, picture: Picture) -> bool:
    """What a filter means, said once more in Python."""
    match filter:
        case And(parts):
            return all(keeps(part, picture) for part in parts)
        case Or(parts):
            return any(keeps(part, picture) for part in parts)
        case Not(part):
            return not keeps(part, picture)
        case AnyOf("tags", values):
            return any(tag in values for tag in picture.tags)
        case AnyOf(name, values):
            return any(same(value_of(name, picture), value) for value in values)
        case Between(name, low, high, low_open, high_open):
            value = value_of(name, picture)
            if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > sys.float_info.max:
                return False
            value = float(value)
            return (value > low if low_open else value >= low) and (value < high if high_open else value <= high)


def same(value: Any, wanted: Value) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, int) and abs(value) <= sys.float_info.max:
        value = float(value)
    return bool(value == wanted)


def value_of(name: str, picture: Picture) -> Any:
    if name.startswith(ATTRIBUTES):
        return picture.attributes.get(name.removeprefix(ATTRIBUTES))
    return {
        "owner": picture.owner,
        "source": picture.source_url,
        "source_domain": source_domain_of(picture.source_url),
        "created_at": picture.created_at_ms,
        "width": picture.width,
        "height": picture.height,
    }[name]


async def compare(catalog: Catalog, tenant: Tenant, given_pictures: list[Any], given_filters: list[Filter]) -> None:
    new = [
        NewPicture(f"{i}", Sha256("0" * 64), "omma:0", 1, owner, tags, url, attributes)
        for i, (owner, tags, url, attributes) in enumerate(given_pictures)
    ]
    answers = await catalog.upsert(tenant, new)
    await catalog.record_embedded("s", [Embedded(a.id, a.version, a.id % 3, 2, 0) for a in answers])
    rows = (await catalog.list_pictures(tenant, None, None, 100)).pictures
    with tempfile.TemporaryDirectory() as folder:
        engine = opened(Path(folder))
        engine.apply([record_of(row) for row in rows])
        engine.checkpoint(engine.freeze(), {})  # a sealed segment keeps what filters came to
        for filter in given_filters:
            kept = tuple(row for row in rows if keeps(filter, row))
            page = await catalog.list_pictures(tenant, filter, None, 100)
            assert page.pictures == kept, filter
            assert page.count == len(page.pictures)
            options = SearchOptions(tenant, 100, filter=parse_filter(canonical(filter)), exact=True)
            assert set(engine.search(QUERY, options, far())[0].hits.ids.tolist()) == {row.id for row in kept}, filter


def record_of(row: Picture) -> VectorRecord:
    known = {
        "owner": row.owner,
        "tags": row.tags,
        "source_url": row.source_url,
        "attributes": dict(row.attributes),
        "created_at_ms": row.created_at_ms,
        "width": row.width,
        "height": row.height,
    }
    return record(row.id, QUERY, tenant=row.tenant, **known)
