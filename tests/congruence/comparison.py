"""Whether two servers said the same."""

from collections.abc import Sequence
from typing import Any, Final

SCORE_TOLERANCE: Final = 2e-6
"""Sums of the same products in another order, and the sixth decimal that answers are rounded to."""

Pages = Sequence[tuple[int, dict[str, Any]]]


def differences(some: Pages, others: Pages) -> list[str]:
    """What differs, in words; empty when pages are equal: ids, order, scores, boxes, payloads, duplicates, refusals.

    Where two scores are closer than the tolerance their order is free, and so is what of them the last place got.
    """
    if len(some) != len(others):
        return [f"{len(some)} pages and {len(others)}"]
    found: list[str] = []
    for (status, one), (other_status, other) in zip(some, others, strict=True):
        if status != other_status:
            return [f"status {status} {one.get('detail', '')!r} and {other_status} {other.get('detail', '')!r}"]
        found += _results(one, other) if status == 200 else _refusals(one, other)
    return found


def _refusals(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    names = ("status", "kind", "field", "limit", "detail")
    return [f"{name}: {one.get(name)!r} and {other.get(name)!r}" for name in names if one.get(name) != other.get(name)]


def _results(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    for document in (one, other):
        if document["degraded"] or document["coverage"]["fraction"] < 1:
            return [f"degraded: {document['degraded']}, {document['coverage']}"]
    if ("next_cursor" in one) != ("next_cursor" in other):
        return ["only one of them goes on"]
    hits, others = one["results"], other["results"]
    if len(hits) != len(others):
        return [f"{len(hits)} hits and {len(others)}"]
    found = [
        f"place {place}: score {a['score']} and {b['score']}"
        for place, (a, b) in enumerate(zip(hits, others, strict=True))
        if abs(a["score"] - b["score"]) > SCORE_TOLERANCE
    ]
    if not hits or found:
        return found
    last = min(hit["score"] for hit in hits) + SCORE_TOLERANCE
    sure, other_sure = ({hit["id"] for hit in those if hit["score"] > last} for those in (hits, others))
    if sure != other_sure:
        return [f"ids: {sorted(sure - other_sure)} and {sorted(other_sure - sure)}"]
    return shared_differences(one, other, SCORE_TOLERANCE, duplicates=True)


def shared_differences(one: dict[str, Any], other: dict[str, Any], tolerance: float, *, duplicates: bool) -> list[str]:
    """Of hits that both have. duplicates: also what collapsed into them, which hangs on what else was found."""
    theirs = {hit["id"]: hit for hit in other["results"]}
    found = []
    for hit in one["results"]:
        twin = theirs.get(hit["id"])
        if twin is None:
            continue
        if abs(hit["score"] - twin["score"]) > tolerance:
            found.append(f"picture {hit['id']}: score {hit['score']} and {twin['score']}")
        told, told_by_other = _payload(hit, duplicates), _payload(twin, duplicates)
        if told != told_by_other:
            found.append(f"picture {hit['id']}: {told} and {told_by_other}")
    return found


def recall(answer: dict[str, Any], exact: dict[str, Any]) -> float:
    """Share of the exact answer's pictures that this one has; 1 when there are none."""
    wanted = {hit["id"] for hit in exact["results"]}
    return len(wanted & {hit["id"] for hit in answer["results"]}) / len(wanted) if wanted else 1.0


def _payload(hit: dict[str, Any], duplicates: bool) -> dict[str, Any]:
    """All but scores, which are compared by tolerance."""
    told = {name: value for name, value in hit.items() if name not in ("score", "duplicates")}
    if duplicates:
        told["duplicates"] = sorted((one["id"], one["uri"]) for one in hit.get("duplicates", []))
    return told
