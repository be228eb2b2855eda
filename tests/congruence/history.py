"""A collection's life, drawn from a seed: uploads, edited copies, changes, replacements and deletes, in one order."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import numpy as np
from PIL import Image

OWNERS: Final = ("ann", "bob", "")
TAGS: Final = ("lamp", "chair", "red", "old")
SOURCES: Final = ("", "https://shop.example/a", "https://www.museum.example/b")
_SECONDS: Final = 120.0
_RECEIPTS: Final = 50


@dataclass
class Collection:
    """What a server holds once the life was lived. ids: of every picture that ever was, by key; gone: deleted ones."""

    ids: dict[str, int] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    receipts: dict[int, str] = field(default_factory=dict)
    """The newest write of each picture."""

    def living(self) -> list[int]:
        return sorted(set(self.ids.values()) - self.gone)


@dataclass(frozen=True, slots=True)
class Upload:
    """Also of a key that is there: other bytes, or only another description."""

    key: str
    content: bytes
    form: dict[str, Any]

    def apply(self, client: httpx.Client, held: Collection) -> None:
        sent = {"external_id": self.key, **self.form}
        answer = client.post("/images", files={"image": self.content}, data=sent).raise_for_status().json()
        held.ids[self.key] = answer["id"]
        held.gone.discard(answer["id"])
        held.sizes[answer["id"]] = Image.open(io.BytesIO(self.content)).size
        held.receipts[answer["id"]] = answer["receipt"]


@dataclass(frozen=True, slots=True)
class Change:
    key: str
    body: dict[str, Any]

    def apply(self, client: httpx.Client, held: Collection) -> None:
        answer = client.patch(f"/images/{held.ids[self.key]}", json=self.body).raise_for_status()
        held.receipts[held.ids[self.key]] = answer.headers["Omma-Receipt"]


@dataclass(frozen=True, slots=True)
class Delete:
    key: str

    def apply(self, client: httpx.Client, held: Collection) -> None:
        answer = client.delete(f"/images/{held.ids[self.key]}").raise_for_status()
        held.receipts[held.ids[self.key]] = answer.headers["Omma-Receipt"]
        held.gone.add(held.ids[self.key])


Step = Upload | Change | Delete


def life(random: np.random.Generator, pictures: Sequence[bytes]) -> list[Step]:
    """Each picture once, a quarter of them with edited copies or the same bytes again; a third of them changed,
    replaced or deleted later, some of those uploaded again.
    """
    steps: list[Step] = []
    for number, content in enumerate(pictures):
        steps.append(Upload(f"picture/{number}", content, _form(random)))
        if random.random() < 0.25:
            copy = content if random.random() < 0.3 else _edited(content, random)
            steps.append(Upload(f"copy/{number}", copy, _form(random)))
        if random.random() < 0.33:
            steps += _later(random, f"picture/{random.integers(number + 1)}", pictures, steps)
    return steps


def lived(client: httpx.Client, steps: Sequence[Step], replicas: int = 1) -> Collection:
    """Apply them in order; every replica of every shard has taken in all of it when it returns."""
    held = Collection()
    for step in steps:
        step.apply(client, held)
    _until_taken_in(client, held, replicas)
    return held


def _later(random: np.random.Generator, key: str, pictures: Sequence[bytes], before: Sequence[Step]) -> list[Step]:
    deleted = {step.key for step in before if isinstance(step, Delete)}
    what = random.random()
    if key in deleted or what < 0.2:
        return [Upload(key, pictures[random.integers(len(pictures))], _form(random))]
    if what < 0.5:
        return [Delete(key)]
    changes = {"tags": _tags(random), "owner": str(random.choice(OWNERS)), "attributes": _attributes(random)}
    chosen = [name for name in changes if random.random() < 0.6] or ["tags"]
    return [Change(key, {name: changes[name] for name in chosen})]


def _form(random: np.random.Generator) -> dict[str, Any]:
    return {
        "owner": str(random.choice(OWNERS)),
        "tags": ",".join(_tags(random)),
        "source_url": str(random.choice(SOURCES)),
        "attributes": json.dumps(_attributes(random)),
    }


def _tags(random: np.random.Generator) -> list[str]:
    return [tag for tag in TAGS if random.random() < 0.3]


def _attributes(random: np.random.Generator) -> dict[str, Any]:
    return {"price": int(random.integers(100)), "shelf": str(random.integers(4)), "sold": bool(random.random() < 0.5)}


def _edited(content: bytes, random: np.random.Generator) -> bytes:
    """Smaller, and compressed again."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    share = random.uniform(0.5, 0.95)
    picture = picture.resize((max(32, int(picture.width * share)), max(32, int(picture.height * share))))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=int(random.integers(40, 90)))
    return out.getvalue()


def _until_taken_in(client: httpx.Client, held: Collection, replicas: int) -> None:
    """Searches that carry the receipts until each replica has answered one: it waits for the writes that are its."""
    receipts = list(held.receipts.values())
    vector, space = _any_vector(client, held)
    for start in range(0, len(receipts), _RECEIPTS):
        asked = {
            **{"vector": vector, "space": space, "k": 1, "explain": True, "timeout_ms": 60_000},
            "receipts": receipts[start : start + _RECEIPTS],
        }
        answered: set[tuple[int, int]] = set()
        shards = 1
        while len(answered) < shards * replicas:
            answer = client.post("/search", json=asked).raise_for_status().json()
            shards = answer["coverage"]["shards_total"]
            if not answer["degraded"]:
                answered |= {(one["shard"], one["replica"]) for one in answer["explain"]["shards"]}


def _any_vector(client: httpx.Client, held: Collection) -> tuple[list[float], str]:
    content = client.get(f"/images/{held.living()[0]}/content").raise_for_status().content
    answer = client.post("/embed/image", files={"image": content}).raise_for_status().json()
    return answer["vector"], answer["space"]
