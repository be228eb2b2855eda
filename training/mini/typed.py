"""How people type the name of a thing, and what the model finds for it: through the code that answers searches."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from omma.evaluation import Interval, interval, words_to_pictures
from services.egs.onnx_towers import load_text_tower
from services.egs.registry import load_model
from services.egs.text import understood as heard
from training.mini.measure import FAR, NONSENSE, Float32, Labels
from training.mini.phrases import plural

TYPED: Final[Mapping[str, Callable[[str], str]]] = {
    "as it is": lambda name: name,
    "Capitals": str.title,
    "with-hyphens": lambda name: name.replace(" ", "-"),
    "plural": plural,
    "Plural-With-Hyphens": lambda name: plural(name).replace(" ", "-").title(),
    "inoneword": lambda name: name.replace(" ", ""),
    "`…, please!`": lambda name: f"{name}, please!",
    "`behind the trees there is a … which they have put down`": lambda name: (
        f"behind the trees there is a {name} which they have put down"
    ),
    "`would you have any …, because mine is gone`": lambda name: f"would you have any {name}, because mine is gone",
}
_NOT_THERE: Final[Mapping[str, Sequence[str]]] = {
    "what cannot be photographed": FAR,
    "letters at random": NONSENSE,
    "other languages and scripts": ("кот", "собака на траве", "猫", "قطة", "mesa con silla roja", "rote Schuhe"),
    "half of it": ("a blorptang on a table", "dog кот", "a qzxv and a banana"),
}


class Speaker:
    """The text half of a registry entry, as the embedder uses it."""

    def __init__(self, models: Path, reference: str) -> None:
        """Raises Absent and Corrupt as the registry. Blocks."""
        model = load_model(models, reference)
        loaded = load_text_tower(model, 1)
        if loaded is None:
            raise SystemExit(f"{reference} knows no words.")
        self._tower, self._words = loaded
        self._dim = model.manifest.dim

    def said(self, text: str) -> tuple[Float32, float]:
        """Unit float32[dim] and how far it is understood, 0 … 1."""
        rows = np.stack(
            [one for one in self._tower.run(self._words([text]), wide=False) if isinstance(one, np.ndarray)]
        )
        vector, sure = heard(rows[:, : self._dim], rows[:, self._dim], self._words.readings(text))
        return vector, sure * self._words.known_share(text)


def by_typing(speaker: Speaker, pictures: Float32, label: Labels, names: Sequence[str]) -> dict[str, Interval]:
    """precision@10 by way of typing, over these names of labels."""
    found = {}
    for how, typed in TYPED.items():
        texts = np.stack([speaker.said(typed(name))[0] for name in names])
        found[how] = interval(words_to_pictures(pictures, label, texts).precision)
    return found


def understood(speaker: Speaker) -> dict[str, tuple[float, float]]:
    """Least and most of what is understood of words that are not there, by their kind."""
    told = {kind: [speaker.said(text)[1] for text in texts] for kind, texts in _NOT_THERE.items()}
    return {kind: (min(sure), max(sure)) for kind, sure in told.items()}
