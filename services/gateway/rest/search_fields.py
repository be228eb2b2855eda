"""The fields of a search, from a form, a query string or JSON, to the one domain query."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from omma.errors import InvalidQuery
from omma.filters import parse_filter
from omma.identity import ImageId, Receipt
from omma.vectors import Float32
from services.gateway.rest.fields import (
    as_integer,
    as_number,
    as_numbers,
    as_object,
    as_text,
    as_texts,
    as_truth,
    as_user_id,
    require_known,
    said,
)
from services.gateway.search.query import (
    MAX_DIM,
    Region,
    SearchQuery,
    Sought,
    SoughtPicture,
    SoughtStored,
    SoughtUrl,
    SoughtVector,
    SoughtWords,
    check_space,
    region_of,
)
from services.rerank.client import NearDuplicates

AUTO: Final = "auto"
"""For score_threshold: the index's own."""
KINDS: Final = ("image", "image_url", "image_id", "text", "vector")
_WITH_REGION: Final = frozenset({"image", "image_url", "image_id"})
_PLACES: Final = {"bbox", "bbox_unit"}
_OPTIONS: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "k": as_integer,
    "score_threshold": as_number,
    "phash_gate": as_integer,
    "use_crops": as_truth,
    "policy": as_text,
    "index": as_text,
    "effort": as_integer,
    "exact": as_truth,
    "explain": as_truth,
    "timeout_ms": as_integer,
    "min_coverage": as_number,
    "cursor": as_text,
    "user_id": as_user_id,
}
_NUMBERS_AND_TRUTHS: Final = frozenset(
    {
        "weight",
        *(f"{kind}_weight" for kind in KINDS),
        *(name for name, convert in _OPTIONS.items() if convert in (as_integer, as_number, as_truth)),
    }
)
_CONVERTED: Final = {"filter", "near_duplicates", "receipts", "space"}
_WEIGHTS: Final = {f"{kind}_weight" for kind in KINDS}

REPEATED: Final = frozenset({"receipts"})
FORM_FIELDS: Final = frozenset({*KINDS, *_WEIGHTS, *_PLACES, *_OPTIONS, *_CONVERTED})
JSON_FIELDS: Final = (FORM_FIELDS | {"queries"}) - {"image", "image_weight"}
QUERY_FIELDS: Final = JSON_FIELDS - {"queries"}
_ONE_OF_QUERIES: Final = frozenset({"image_url", "image_id", "text", "vector", "weight", *_PLACES})


def search_query(given: Mapping[str, Any], image: bytes | None = None) -> SearchQuery:
    """given: texts of a form or values of JSON, by known names. image: the picture's file.

    Raises InvalidQuery or TooLarge, naming the field.
    """
    auto = given.get("score_threshold") == AUTO
    given = {name: value for name, value in given.items() if not (auto and name == "score_threshold")}
    options: dict[str, Any] = {
        name: convert(given[name], name) for name, convert in _OPTIONS.items() if given.get(name) not in (None, "")
    }
    if given.get("effort") not in (None, "") and not 1 <= options["effort"] <= 10:
        raise InvalidQuery("effort must be 1 to 10.", field="effort", limit=10)
    return SearchQuery(
        sought=_sought(given, image),
        auto_threshold=auto,
        filter=parse_filter(_filter(given.get("filter"))),
        near_duplicates=_near_duplicates(given.get("near_duplicates")),
        receipts=tuple(Receipt.parse(text) for text in as_texts(said(given, "receipts", []), "receipts")),
        **options,
    )


def json_query(body: Any) -> SearchQuery:
    """The JSON body of one search. Raises InvalidQuery or TooLarge, naming the field."""
    given = as_object(body)
    if "image" in given:
        raise InvalidQuery(
            "A picture's file goes as multipart/form-data; JSON takes image_url or image_id.", field="image"
        )
    require_known(given, JSON_FIELDS)
    require_json_types(given)
    return search_query(given)


def require_json_types(given: Mapping[str, Any], also: Collection[str] = ()) -> None:
    """A form writes everything as text; in JSON text is neither a number nor true. also: further names of such fields.

    An `image_id` may be text: it has 63 bits, and JavaScript's numbers tell 53 apart. Raises InvalidQuery, naming the
    field.
    """
    for name, value in given.items():
        typed = name in _NUMBERS_AND_TRUTHS or name in also
        if typed and isinstance(value, str) and value not in ("", AUTO):
            raise InvalidQuery(f"{name} is no text in JSON: write it without quotes.", field=name)


def _sought(given: Mapping[str, Any], image: bytes | None) -> tuple[Sought, ...]:
    space = as_text(said(given, "space", ""), "space")
    region = region_field(given)
    kinds = [kind for kind in KINDS if _has(given, kind) or (kind == "image" and image is not None)]
    if region is not None and not _WITH_REGION.intersection(kinds):
        raise InvalidQuery("bbox is a part of a picture: give an image, an image_url or an image_id.", field="bbox")
    for kind in KINDS:
        if kind not in kinds and given.get(f"{kind}_weight") is not None:
            raise InvalidQuery(
                f"{kind}_weight weighs what {kind} says, and there is no {kind}.", field=f"{kind}_weight"
            )
    weights = {kind: _weight(given, f"{kind}_weight") for kind in kinds}
    sought = [
        replace(
            _one(kind, image if kind == "image" else given[kind], weights[kind], region, space),
            weight_field=f"{kind}_weight",
        )
        for kind in kinds
    ]
    queries = said(given, "queries", [])
    if not isinstance(queries, list):
        raise InvalidQuery("queries must be a list.", field="queries")
    if queries and region is None and said(given, "bbox_unit", "") != "":
        # Theirs would be pixels all the same.
        raise InvalidQuery("Each of queries has a bbox_unit of its own, beside its bbox.", field="bbox_unit")
    sought += [_of_queries(one, space) for one in queries]
    check_space(space, sought)
    return tuple(sought)


def _of_queries(value: Any, space: str) -> Sought:
    one = as_object(value, "queries")
    require_known(one, _ONE_OF_QUERIES)
    require_json_types(one)
    kinds = [kind for kind in KINDS if _has(one, kind)]
    if len(kinds) != 1:
        raise InvalidQuery("Each of queries has one of text, image_id, image_url or vector.", field="queries")
    region = region_field(one)
    if region is not None and kinds[0] not in _WITH_REGION:
        raise InvalidQuery(f"bbox is a part of a picture, not of a {kinds[0]}.", field="bbox")
    return _one(kinds[0], one[kinds[0]], _weight(one, "weight"), region, space)


def _one(kind: str, value: Any, weight: float, region: Region | None, space: str) -> Sought:
    match kind:
        case "image":
            return SoughtPicture(value, weight, region)
        case "image_url":
            return SoughtUrl(as_text(value, kind), weight, region)
        case "image_id":
            return SoughtStored(ImageId(as_integer(value, kind)), weight, region)
        case "text":
            return SoughtWords(as_text(value, kind), weight)
        case _:
            return SoughtVector(_vector(value), space, weight)


def _vector(value: Any) -> Float32:
    numbers = as_numbers(value, "vector", MAX_DIM)
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused as such
        return np.array(numbers, np.float64).astype(np.float32)


def region_field(given: Mapping[str, Any]) -> Region | None:
    """bbox in its bbox_unit; None without one. Raises InvalidQuery, field `bbox` or `bbox_unit`."""
    unit = said(given, "bbox_unit", "pixel")
    if unit not in ("pixel", "fraction"):
        raise InvalidQuery("bbox_unit must be pixel or fraction.", field="bbox_unit")
    bbox = given.get("bbox")
    if bbox is None:
        return None
    if not isinstance(bbox, str | list):
        raise InvalidQuery("A bbox is x1,y1,x2,y2, as text or as a list.", field="bbox")
    return region_of(bbox, fraction=unit == "fraction")


def _weight(given: Mapping[str, Any], name: str) -> float:
    value = given.get(name)
    return 1.0 if value is None else as_number(value, name)


def _has(given: Mapping[str, Any], kind: str) -> bool:
    return given.get(kind) is not None


def _filter(value: Any) -> str | dict[str, Any] | None:
    if value is None or isinstance(value, str | dict):
        return value
    raise InvalidQuery("filter must be a JSON object.", field="filter")


def _near_duplicates(value: Any) -> NearDuplicates:
    if value in (None, ""):
        return NearDuplicates.COLLAPSE
    if value not in [one.value for one in NearDuplicates]:
        raise InvalidQuery("near_duplicates must be collapse, drop or keep.", field="near_duplicates")
    return NearDuplicates(value)
