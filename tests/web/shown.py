"""Pictures that views are to show."""

from collections.abc import Iterator

import httpx

from tests.pictures import encoded, scene
from tests.waiting import until


def added(rest: httpx.Client, seed: int, **fields: str) -> int:
    """A picture that can be found."""
    answer = rest.post("/images", files={"image": ("a.jpg", encoded(scene(seed=seed)))}, data=fields)
    assert answer.is_success, answer.text
    rest.post(
        "/search", json={"image_id": answer.json()["id"], "receipts": [answer.json()["receipt"]], "timeout_ms": 50_000}
    )
    return int(answer.json()["id"])


def copies_of(rest: httpx.Client, seed: int) -> list[int]:
    """One picture at three sizes, the smallest first, all to be found."""
    picture = scene(640, 480, seed)
    ids, receipts = [], []
    for width in (160, 320, 640):
        content = encoded(picture.resize((width, width * 3 // 4)))
        answer = rest.post("/images", files={"image": ("a.jpg", content)}, data={"external_id": f"copy {seed} {width}"})
        assert answer.status_code == 201, answer.text
        ids.append(int(answer.json()["id"]))
        receipts.append(answer.json()["receipt"])
    seen = {"image_id": ids[0], "receipts": receipts, "timeout_ms": 50_000}
    assert rest.post("/search", json=seen).json()["degraded"] == []
    until(lambda: any(set(ids) <= set(group) for group in groups_of_copies(rest)), seconds=120)
    return ids


def groups_of_copies(rest: httpx.Client) -> Iterator[list[int]]:
    """Page by page, as the view asks for them."""
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        page = rest.get("/duplicates", params=cursor).json()
        yield from (group["ids"] for group in page.get("groups", ()))
        cursor = {"cursor": page["next_cursor"]} if "next_cursor" in page else None
