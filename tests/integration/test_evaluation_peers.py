"""Our measures against ranx on the same TREC run files: of random vectors, and of photographs."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from omma.evaluation import PictureNames, judgments_of, measure, read_judgments
from omma.vectors import Float32, normalise
from services.egs.settings import EgsSettings
from services.standalone.evaluating import evaluate_models
from tests.teacher import register_teacher

pytestmark = pytest.mark.timeout(400)  # ranx compiles itself when it is first used

K = 10
NAMES = {
    f"ndcg_burges@{K}": f"nDCG@{K}",
    "map": "mAP",
    f"map@{K}": f"mAP@{K}",
    f"recall@{K}": f"recall@{K}",
    f"precision@{K}": f"precision@{K}",
    "r-precision": "R-precision",
}


def by_ranx(folder: Path, vectors: Float32, grades: np.ndarray) -> dict[str, dict[str, float]]:
    """query to {measure: value}: run and judgments written as TREC files and read by ranx."""
    ranx = pytest.importorskip("ranx")
    scores = (vectors @ vectors.T).astype(np.float64)
    n = len(vectors)
    with (folder / "run.trec").open("w") as run, (folder / "judged.qrels").open("w") as qrels:
        for query in range(n):
            others = [row for row in np.argsort(-scores[query]) if row != query]
            assert len({scores[query, row] for row in others}) == n - 1, "ties, which peers order as they like"
            run.writelines(
                f"{query} Q0 {row} {at} {float(scores[query, row])!r} omma\n" for at, row in enumerate(others, 1)
            )
            qrels.writelines(f"{query} 0 {row} {grades[query, row]}\n" for row in others if grades[query, row])
    judged = ranx.Qrels.from_file(str(folder / "judged.qrels"), kind="trec")
    run_file = ranx.Run.from_file(str(folder / "run.trec"), kind="trec")
    ranx.evaluate(judged, run_file, list(NAMES), make_comparable=True)
    return run_file.scores


def assert_equal(folder: Path, vectors: Float32, grades: np.ndarray) -> None:
    theirs = by_ranx(folder, vectors, grades)
    names = PictureNames([str(row) for row in range(len(vectors))])
    judged = read_judgments(folder / "judged.qrels", names).among(np.arange(len(vectors)))
    ours = measure(vectors[judged.rows], vectors, judged.grades, leave_out=judged.rows, k=K)
    queries = [judged.queries[query] for query in ours.queries]
    for their_name, our_name in NAMES.items():
        expected = [theirs[their_name][query] for query in queries]
        assert len(theirs[their_name]) == len(queries)
        assert np.abs(ours.columns()[our_name] - expected).max() < 1e-9, our_name


@pytest.mark.parametrize("seed", range(3))
def test_random_runs_with_grades(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = normalise(rng.normal(size=(80, 16)))
    assert_equal(tmp_path, vectors, rng.choice(6, (80, 80), p=[0.8, 0.04, 0.04, 0.04, 0.04, 0.04]))


def test_a_run_over_photographs(tmp_path: Path, photographs: Path, teacher_model: Path) -> None:
    chosen = tmp_path / "pictures"
    for label in ("butterfly", "camera", "crab", "lotus", "revolver"):
        (chosen / label).mkdir(parents=True)
        for picture in sorted((photographs / "caltech-101" / label).glob("*.jpg"))[:12]:
            (chosen / label / f"{label}-{picture.name}").symlink_to(picture)
    model = register_teacher(teacher_model, tmp_path / "models")
    paths = sorted(path.relative_to(chosen).as_posix() for path in chosen.rglob("*.jpg"))
    names = PictureNames(paths)
    found = asyncio.run(
        evaluate_models(
            [model], chosen, names, judgments_of(chosen, names), EgsSettings(), k=K, progress=lambda _: lambda *_: None
        )
    )
    grades = found.judgments.grades(slice(0, len(paths)))
    assert_equal(tmp_path, found.evaluations[0].vectors, grades)
    assert 0.4 < found.evaluations[0].measured.ndcg.mean() < 1
