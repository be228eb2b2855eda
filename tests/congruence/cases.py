"""Searches drawn from a seed, over what two servers hold alike."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import numpy as np

from tests.congruence.history import OWNERS, SOURCES, TAGS, Collection

_PAGES: Final = 3
_NEAR_DUPLICATES: Final = ("collapse", "drop", "keep")


@dataclass(frozen=True, slots=True)
class Case:
    """A search's fields; with a picture's file as a form, else as JSON. pages: asked for one after the other."""

    fields: dict[str, Any]
    image: bytes | None = None
    pages: int = 1

    def ask(self, client: httpx.Client, **settings: Any) -> list[tuple[int, dict[str, Any]]]:
        """Status and document of each page, as far as there are pages."""
        answers: list[tuple[int, dict[str, Any]]] = []
        cursor: dict[str, str] = {}
        while len(answers) < self.pages:
            answer = self._post(client, {"timeout_ms": 30_000, **self.fields, **settings, **cursor})
            answers.append((answer.status_code, answer.json()))
            if "next_cursor" not in answers[-1][1]:
                break
            cursor = {"cursor": answers[-1][1]["next_cursor"]}
        return answers

    def _post(self, client: httpx.Client, asked: dict[str, Any]) -> httpx.Response:
        if self.image is None:
            return client.post("/search", json=asked)
        form = {name: json.dumps(value) if isinstance(value, dict | bool) else value for name, value in asked.items()}
        return client.post("/search", files={"image": self.image}, data=form)


@dataclass
class Cases:
    """words: whether the model has them."""

    random: np.random.Generator
    held: Collection
    pictures: Sequence[bytes]
    space: str
    dim: int
    words: bool = False
    _living: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._living = self.held.living()

    def draw(self) -> Case:
        """One in twenty is a search that must be refused, and alike."""
        draw = self.random.random()
        if draw < 0.05:
            return self._refused()
        if draw < 0.2:
            box = self._bbox((1.0, 1.0)) if self.random.random() < 0.6 else {}
            return Case(self._options() | box, image=self.pictures[self.random.integers(len(self.pictures))])
        sought = self._one() if draw < 0.6 else {"queries": self._mix()}
        return Case(self._options() | sought, pages=_PAGES if self.random.random() < 0.2 else 1)

    def _one(self) -> dict[str, Any]:
        draw = self.random.random()
        if draw < 0.2:
            return {"vector": self._vector(), "space": self.space}
        if draw < 0.4 and self.words:
            return {"text": self._words()}
        return self._stored()

    def _stored(self) -> dict[str, Any]:
        image_id = self._id()
        return {"image_id": image_id} | (self._bbox(self.held.sizes[image_id]) if self.random.random() < 0.3 else {})

    def _mix(self) -> list[dict[str, Any]]:
        """Two or three things; a weight may be negative."""
        mixed = []
        for _ in range(self.random.integers(2, 4)):
            one = {"text": self._words()} if self.words and self.random.random() < 0.3 else self._stored()
            mixed.append(one | {"weight": round(float(self.random.uniform(-1, 2)), 2)})
        return mixed

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"k": int(self.random.integers(1, 40))}
        draw = self.random.random
        if draw() < 0.5:
            options["filter"] = self._filter()
        if draw() < 0.6:
            options["near_duplicates"] = str(self.random.choice(_NEAR_DUPLICATES))
        if draw() < 0.3:
            options["score_threshold"] = round(float(self.random.uniform(0, 0.9)), 3)
        if draw() < 0.3:
            options["use_crops"] = True
        if draw() < 0.2:
            options["effort"] = int(self.random.integers(1, 11))
        if draw() < 0.2:
            options["policy"] = "diverse"
        return options

    def _filter(self, depth: int = 0) -> dict[str, Any]:
        draw = self.random.random()
        if depth < 2 and draw < 0.3:
            parts = [self._filter(depth + 1) for _ in range(self.random.integers(1, 4))]
            return {str(self.random.choice(["and", "or"])): parts}
        if depth < 2 and draw < 0.4:
            return {"not": self._filter(depth + 1)}
        terms: list[dict[str, Any]] = [
            {"owner": str(self.random.choice(OWNERS))},
            {"tags": str(self.random.choice(TAGS))},
            {"tags": {"in": [str(one) for one in self.random.choice(TAGS, 2, replace=False)]}},
            {"source": str(self.random.choice(SOURCES[1:]))},
            {"source_domain": "shop.example"},
            {"attributes.price": {"gte": int(self.random.integers(80))}},
            {"attributes.price": {"gt": 20, "lt": 60}},
            {"attributes.shelf": {"in": ["1", "3"]}},
            {"attributes.sold": bool(draw < 0.7)},
            {"width": {"gte": int(self.random.integers(100, 400))}},
            {"height": {"lt": int(self.random.integers(100, 400))}},
        ]
        return terms[self.random.integers(len(terms))]

    def _refused(self) -> Case:
        wrong: list[dict[str, Any]] = [
            {"image_id": max(self.held.ids.values()) + 1_000},
            {"image_id": self._id(), "bbox": "5,5,5,9"},
            {"image_id": self._id(), "k": 0},
            {"image_id": self._id(), "score_threshold": 2},
            {"image_id": self._id(), "policy": "no such policy"},
            {"vector": [1.0, 0.0], "space": self.space},
            {"vector": self._vector(), "space": "another"},
            {"image_id": self._id(), "filter": {"no such field": 1}},
            {"image_id": self._id(), "cursor": "none of ours"},
            {"text": "a red chair"} if not self.words else {"text": ""},
        ]
        if self.held.gone:
            wrong.append({"image_id": min(self.held.gone)})
        return Case({"k": 5} | wrong[self.random.integers(len(wrong))])

    def _bbox(self, size: tuple[float, float]) -> dict[str, str]:
        """In pixels of a picture of that size, or in fractions; parts of it may lie outside."""
        (x1, y1), (x2, y2) = self.random.uniform(-0.1, 0.5, 2), self.random.uniform(0.6, 1.1, 2)
        if size == (1.0, 1.0) or self.random.random() < 0.5:
            return {"bbox": f"{x1:.3f},{y1:.3f},{x2:.3f},{y2:.3f}", "bbox_unit": "fraction"}
        width, height = size
        return {"bbox": f"{int(x1 * width)},{int(y1 * height)},{int(x2 * width)},{int(y2 * height)}"}

    def _vector(self) -> list[float]:
        return [round(float(one), 5) for one in self.random.standard_normal(self.dim)]

    def _words(self) -> str:
        return " ".join(self.random.choice(["a", "red", "old", "chair", "lamp", "dog", "on", "street"], 3))

    def _id(self) -> int:
        return int(self._living[self.random.integers(len(self._living))])
