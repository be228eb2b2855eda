"""The table of a model: sets, edits, words and how far a score tells whether anything is there."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from omma.evaluation import Interval, interval, leave_one_out
from training.mini.captions import captions, found_within
from training.mini.concepts import plain
from training.mini.edits import EDITS
from training.mini.features import CLEAN, FeatureReader
from training.mini.measure import Float32, Labels, Shipped
from training.mini.photographs import SETS, Photograph, draw_pictures, photographs
from training.mini.typed import Speaker, by_typing, understood

Float64 = npt.NDArray[np.float64]

_ROOT: Final = Path(__file__).parents[2]
_TEACHER: Final = "mobilenet_edgetpu_224_1.0_f32.onnx"
_ANCHORS: Final = ("EfficientNet-Lite0, 1280-d", "EdgeTPU, 1280-d")


@dataclass(frozen=True, slots=True)
class Seen:
    """Unit vectors of the same pictures by model: ours, and the anchors' 1280 dimensions."""

    by_model: dict[str, Float32]

    def rows(self, chosen: Sequence[int] | Labels) -> "Seen":
        return Seen({name: np.ascontiguousarray(one[chosen]) for name, one in self.by_model.items()})


class Eyes:
    """One model and its anchors, looking at pictures. What they see is kept on disk."""

    def __init__(self, folder: Path, teacher: Path, cache: Path) -> None:
        self._ours, self._reader, self._cache = Shipped(folder), FeatureReader(teacher / _TEACHER), cache
        self._version = folder.name

    def look(self, paths: Sequence[Path], name: str) -> Seen:
        """name: of these pictures, for the cache. Blocks: 40 ms a picture on a core."""
        features = self._reader.read(paths, CLEAN, self._cache / name)
        anchors = [_unit(np.asarray(one, np.float32)) for one in (features.pooled, features.teacher)]
        kept = self._cache / name / f"omma-mini-{self._version}.npy"
        if not kept.exists():
            np.save(kept, self._ours.pictures(paths))
        return Seen({"omma-mini": np.load(kept)} | dict(zip(_ANCHORS, anchors, strict=True)))


def main() -> int:
    """0, and the table on standard output. Blocks: minutes."""
    said = _arguments()
    draw_pictures(said.cache / "drawn")
    chosen = _chosen(photographs(said.data, said.cache / "drawn"), said.pictures)
    cache = said.cache / "measured" / f"{said.pictures}-{said.edited}"
    name, _, version = said.model.partition("@")
    eyes = Eyes(said.models / name / version, said.teacher, cache)
    gallery = eyes.look([one.path for one in chosen], "whole")
    edited = {kind: eyes.look(_made(kind, chosen[: said.edited], cache / "edits"), kind) for kind in EDITS}
    print(f"`python training/measure.py --model {said.model} --pictures {said.pictures} --edited {said.edited}`\n")
    _print_sets(chosen, gallery)
    _print_edits(gallery, edited)
    _print_calibration(chosen, gallery, edited)
    speaker = Speaker(said.models, said.model)
    _print_words(speaker, chosen, gallery.by_model["omma-mini"])
    _print_captions(speaker, said.data, eyes, chosen, gallery.by_model["omma-mini"])
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print what omma-mini is worth, beside the networks it came from.")
    parser.add_argument("--model", default="omma-mini@1.3.0", help="name@version")
    parser.add_argument("--models", type=Path, default=_ROOT / "models", help="the registry")
    parser.add_argument("--data", type=Path, default=_ROOT.parent / "shared" / "data", help="the three sets")
    parser.add_argument("--teacher", type=Path, default=_ROOT.parent / "shared" / "models", help="the second anchor")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "omma" / "mini")
    parser.add_argument("--pictures", type=int, default=900, help="held-out photographs of each set at most")
    parser.add_argument("--edited", type=int, default=300, help="of them all, how many are edited in every way")
    return parser.parse_args()


def _chosen(known: Sequence[Photograph], count: int) -> list[Photograph]:
    """So many held-out photographs with a label of each set, in an order that mixes the sets."""
    left = dict.fromkeys(SETS, count)
    made = []
    for one in known:
        if one.held_out and one.label and left.get(one.set, 0) > 0:
            left[one.set] -= 1
            made.append(one)
    return made


def _made(kind: str, chosen: Sequence[Photograph], folder: Path) -> list[Path]:
    """The photographs edited, as PNG."""
    folder = folder / kind.replace("%", "").replace("°", "").strip().replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for row, one in enumerate(chosen):
        path = folder / f"{row}.png"
        if not path.exists():
            with Image.open(one.path) as file:
                EDITS[kind](file.convert("RGB"), np.random.default_rng((5, row))).save(path)
        paths.append(path)
    return paths


def _print_sets(chosen: Sequence[Photograph], gallery: Seen) -> None:
    print(f"| mAP, leave one out | photographs | {' | '.join(gallery.by_model)} | less the better anchor |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in SETS:
        rows = np.array([row for row, one in enumerate(chosen) if one.set == name])
        label = np.unique([chosen[row].label for row in rows], return_inverse=True)[1]
        found = {
            model: leave_one_out(vectors, label).average_precision
            for model, vectors in gallery.rows(rows).by_model.items()
        }
        _print_row(f"{name} | {len(rows)}", found)


def _print_edits(gallery: Seen, edited: dict[str, Seen]) -> None:
    print(
        "\n| an edit finds its original at rank 1 | omma-mini | " + " | ".join(_ANCHORS) + " | less the better anchor |"
    )
    print("| --- | --- | --- | --- | --- |")
    for kind, seen in edited.items():
        found: dict[str, Float64] = {}
        for model, vectors in seen.by_model.items():
            nearest = np.argmax(vectors @ gallery.by_model[model].T, axis=1)
            found[model] = (nearest == np.arange(len(vectors))).astype(np.float64)
        _print_row(kind, found)


def _print_row(name: str, found: Mapping[str, Float64]) -> None:
    better = max(_ANCHORS, key=lambda one: float(found[one].mean()))
    less = interval(found["omma-mini"] - found[better])
    cells = [f"{one.mean():.3f}" for one in found.values()]
    print(f"| {name} | {' | '.join(cells)} | {_told(less)} |", flush=True)


def _print_calibration(chosen: Sequence[Photograph], gallery: Seen, edited: dict[str, Seen]) -> None:
    """AUC of the top score of a search where a match is there against the same search where it is not."""
    print("\n| top score, match there against none: AUC | " + " | ".join(gallery.by_model) + " |")
    print("| --- |" + " --- |" * len(gallery.by_model))
    instance, kinds = [], []
    label = np.array([one.label for one in chosen])
    for model, vectors in gallery.by_model.items():
        queries = np.concatenate([seen.by_model[model] for seen in edited.values()])
        own = np.tile(np.arange(len(queries) // len(edited)), len(edited))
        scores = queries @ vectors.T
        gone = scores.copy()
        gone[np.arange(len(own)), own] = -1
        instance.append(auc(scores.max(1), gone.max(1)))
        among = vectors @ vectors.T
        np.fill_diagonal(among, -1)
        others = np.where(label[:, np.newaxis] == label[np.newaxis], -1, among)
        kinds.append(auc(among.max(1), others.max(1)))
    print("| by instance (all edits) | " + " | ".join(f"{one:.3f}" for one in instance) + " |")
    print("| by class | " + " | ".join(f"{one:.3f}" for one in kinds) + " |")


def auc(there: Float32, none: Float32) -> float:
    """How often a score of `there` is above one of `none`; equal ones count half. Pure."""
    below = np.searchsorted(np.sort(none), there, side="left") + np.searchsorted(np.sort(none), there, side="right")
    return float(below.mean() / 2 / len(none))


def _print_words(speaker: Speaker, chosen: Sequence[Photograph], vectors: Float32) -> None:
    by_set = {}
    for name in SETS:
        rows = [row for row, one in enumerate(chosen) if one.set == name]
        names = sorted({plain(chosen[row].words[0]) for row in rows})
        label = np.array([names.index(plain(chosen[row].words[0])) for row in rows])
        by_set[name] = by_typing(speaker, np.ascontiguousarray(vectors[rows]), label, names)
    print("\n| name of a label, typed: precision@10 | " + " | ".join(SETS) + " |")
    print("| --- |" + " --- |" * len(SETS))
    for how in by_set[SETS[0]]:
        print(f"| {how} | " + " | ".join(_told(by_set[name][how]) for name in SETS) + " |")
    print("\n| words that are not there | understood, least … most |\n| --- | --- |")
    for kind, (least, most) in understood(speaker).items():
        print(f"| {kind} | {least:.2f} … {most:.2f} |")


def _print_captions(speaker: Speaker, data: Path, eyes: Eyes, chosen: Sequence[Photograph], vectors: Float32) -> None:
    """Each sought among the captioned photographs and all the others."""
    written = captions(data)
    own = eyes.look([one.path for one in written], "captioned").by_model["omma-mini"]
    captioned = {one.path for one in written}
    others = vectors[[row for row, one in enumerate(chosen) if one.path not in captioned]]
    print(f"\n| captions of photographs, among {len(own) + len(others)} | how many | found first | among ten |")
    print("| --- | --- | --- | --- |")
    for name in ("", *SETS):
        mine = np.array([name in ("", one.set) for one in written])
        texts = [one.text for one, asked in zip(written, mine, strict=True) if asked]
        among = np.concatenate([own[mine], own[~mine], others])
        found = found_within(speaker, texts, among, (1, 10))
        print(f"| {name or 'all'} | {len(texts)} | {_told(found[1])} | {_told(found[10])} |")


def _unit(rows: Float32) -> Float32:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _told(one: Interval) -> str:
    return f"{one.mean:.3f} ({one.low:.3f} … {one.high:.3f})"
