"""Judgments: the closed set of formats, what each means, and what is wrong with a file that is refused."""

from pathlib import Path

import numpy as np
import pytest

from omma.errors import InvalidQuery, NoTextTower, OmmaError
from omma.evaluation import (
    Graded,
    Judgments,
    Labelled,
    PictureNames,
    compare_models,
    evaluate,
    judgments_of,
    read_judgments,
    verdict,
)
from omma.evaluation.clicks import Seen, grades_from_clicks

NAMES = PictureNames(["cup/a.jpg", "cup/b.jpg", "hat/a.jpg", "hat/c d.jpg"], "/pictures")


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def dense(judgments: Judgments) -> dict[str, list[int]]:
    grades = judgments.grades(slice(0, len(judgments.queries)))
    return dict(zip(judgments.queries, grades.tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("g.tsv", "query\tpicture\tgrade\ncup/a.jpg\tcup/b.jpg\t5\ncup/a.jpg\thatc\t0\nc d\tb\t2\n"),
        ("g.tsv", "# who finds whom\ncup/a.jpg\tb.jpg\t5\n\n/pictures/hat/c d.jpg\tcup/b.jpg\t2\n"),
        (
            "g.jsonl",
            '{"query": "cup/a.jpg", "picture": "b", "grade": 5}\n{"query": "c d.jpg", "picture": "b", "grade": 2}',
        ),
        (
            "g.jsonl",
            '{"query": "file:///pictures/cup/a.jpg", "picture": "b", "grade": "5"}\n'
            '{"query": "file:///pictures/hat/c%20d.jpg", "picture": "b", "grade": 2}',
        ),
    ],
)
def test_grades_of_pairs(tmp_path: Path, name: str, text: str) -> None:
    judged = read_judgments(written(tmp_path, name, text), NAMES, absent="hatc" in text)
    made = judged.among(np.arange(4))
    assert dense(made) == {"cup/a.jpg": [0, 5, 0, 0], "hat/c d.jpg": [0, 2, 0, 0]}
    assert made.rows.tolist() == [0, 3]
    assert judged.about == f"grades in {name}"


def test_trec_qrels(tmp_path: Path) -> None:
    judged = read_judgments(written(tmp_path, "g.qrels", "cup/a.jpg 0 b 3\ncup/a.jpg Q0 hat/a.jpg 1\n"), NAMES)
    assert dense(judged.among(np.arange(4))) == {"cup/a.jpg": [0, 3, 1, 0]}


def test_words_as_queries(tmp_path: Path) -> None:
    lines = '{"text": "a red cup", "picture": "b", "grade": 5}\n{"query": "cup/a.jpg", "picture": "b", "grade": 4}'
    for judged in (
        read_judgments(written(tmp_path, "g.jsonl", lines), NAMES),
        read_judgments(written(tmp_path, "g.tsv", "text:a red cup\tb\t5\ncup/a.jpg\tb\t4"), NAMES),
    ):
        made = judged.among(np.arange(4))
        assert dense(made) == {"cup/a.jpg": [0, 4, 0, 0], "a red cup": [0, 5, 0, 0]}
        assert (made.words, made.rows.tolist()) == (("a red cup",), [0, -1])
    pictures = np.eye(4, dtype=np.float32)
    found = evaluate("m", pictures, made, pictures[1:2], k=1)
    assert found.measured.ndcg[1] == 1
    with pytest.raises(NoTextTower):
        evaluate("m", pictures, made, None)


def test_labels_from_a_table_a_list_and_subfolders(tmp_path: Path) -> None:
    table = written(tmp_path, "l.csv", "image,sender,label\nb,7,Cup\ncup/a.jpg,8,Cup\nhat/c d.jpg,9,Hat\n")
    judged = read_judgments(table, NAMES)
    assert judged.wanted().tolist() == [0, 1, 3]
    made = judged.among(judged.wanted())
    assert dense(made)["cup/a.jpg"] == [5, 5, 0]  # itself too: the measure leaves it out
    assert made.words == ("Cup", "Hat")

    folders = judgments_of(tmp_path / "nothing", NAMES).among(np.arange(4))
    assert folders.words == ("cup", "hat")
    written(tmp_path, "classes.csv", "name,number,group,number\nGolden-Cup,0,x,0\nTea_Cup,1,x,0\nHat,2,y,1\n")
    written(tmp_path, "train.txt", "cup/a.jpg, 0, 0\ncup/b.jpg, 1, 0\n")
    (tmp_path / "l.csv").unlink()
    written(tmp_path, "val.txt", "hat/a.jpg, 2, 1\nhat/c d.jpg, 1, 0\n")
    listed = judgments_of(tmp_path, NAMES).among(np.arange(4))
    assert listed.words == ("Golden Cup", "Hat", "Tea Cup")
    assert dense(listed)["cup/b.jpg"] == [2, 5, 0, 5]  # the same group counts for nDCG, and as relevant for no measure
    assert listed.relevant_from == 3


def test_only_the_pictures_that_take_part_are_judged() -> None:
    judged = Labelled("x", NAMES.paths, ["cup", "cup", "hat", "cup"])
    made = judged.among(np.array([1, 2, 3]))
    assert made.queries == ("cup/b.jpg", "hat/a.jpg", "hat/c d.jpg")
    assert dense(made)["cup/b.jpg"] == [5, 0, 5]
    graded = Graded("x", NAMES.paths, {0: {1: 5}, 1: {0: 5, 3: 4}}, {})
    assert dense(graded.among(np.array([1, 3]))) == {"cup/b.jpg": [0, 4]}


def test_clicks_become_grades_that_allow_for_position() -> None:
    def shown(picture: str, rank: int, *, clicks: int, looks: int) -> list[Seen]:
        seen = [Seen("q", picture, rank, False, f"{picture}{number}") for number in range(looks)]
        return seen + [Seen("q", picture, rank, True, f"{picture}{number}") for number in range(clicks)]

    grades = grades_from_clicks(
        shown("top", 1, clicks=10, looks=100)
        + shown("deep", 10, clicks=10, looks=100)
        + shown("never", 1, clicks=0, looks=100)
        + shown("rare", 1, clicks=1, looks=100)
    )
    # 10 of 101 looks at rank 1; 10 of 100/10 + 1 at rank 10: as often clicked, hardly looked at.
    assert grades == {"q": {"top": 1, "deep": 5, "never": 0, "rare": 1}}
    again = [Seen("q", "top", 1, True, "one")] * 7  # one impatient person is one click
    assert grades_from_clicks(again) == {"q": {"top": 2}}


def test_clicks_from_a_file(tmp_path: Path) -> None:
    line = '{{"query": "cup/a.jpg", "picture": "{}", "rank": {}, "type": "{}", "query_id": "s1"}}\n'
    text = line.format("b", 1, "impression") + line.format("hat/a.jpg", 2, "impression") + line.format("b", 1, "click")
    judged = read_judgments(written(tmp_path, "c.jsonl", text), NAMES)
    assert dense(judged.among(np.arange(4))) == {"cup/a.jpg": [0, 2, 0, 0]}
    assert judged.about == "clicks in c.jsonl"


@pytest.mark.parametrize(
    ("field", "name", "text"),
    [
        ("judgments", "none.tsv", None),
        ("judgments", "g.parquet", "x"),
        ("judgments", "g.tsv", ""),
        ("judgments", "g.tsv", "cup/a.jpg\tb"),
        ("judgments", "g.qrels", "cup/a.jpg b 3"),
        ("judgments", "g.jsonl", "{"),
        ("judgments", "g.jsonl", "[]"),
        ("judgments", "l.csv", "picture,label\n"),
        ("judgments", "l.txt", "cup/a.jpg\n"),
        ("grade", "g.tsv", "cup/a.jpg\tb\t6"),
        ("grade", "g.tsv", "cup/a.jpg\tb\t-1"),
        ("grade", "g.tsv", "cup/a.jpg\tb\tgood"),
        ("grade", "g.jsonl", '{"query": "cup/a.jpg", "picture": "b", "grade": 2.5}'),
        ("grade", "g.jsonl", '{"query": "cup/a.jpg", "picture": "b", "grade": true}'),
        ("grade", "g.jsonl", '{"query": "cup/a.jpg", "picture": "b"}'),
        ("grade", "g.tsv", "cup/a.jpg\tb\t5\ncup/a.jpg\tb\t4"),
        ("query", "g.tsv", "cup/a.jpg\tb\t5\nhat/a.jpg\tb\t0"),
        ("query", "g.tsv", "cup/z.jpg\tb\t5"),
        ("query", "g.jsonl", '{"picture": "b", "grade": 2}'),
        ("query", "g.tsv", "a.jpg\tb\t5"),
        ("picture", "g.tsv", "cup/a.jpg\tz.jpg\t5"),
        ("picture", "g.jsonl", '{"query": "cup/a.jpg", "grade": 2}'),
        ("rank", "c.jsonl", '{"query": "b", "picture": "c d", "rank": 0, "type": "click", "query_id": "1"}'),
        ("type", "c.jsonl", '{"query": "b", "picture": "c d", "rank": 1, "type": "look", "query_id": "1"}'),
        ("query_id", "c.jsonl", '{"query": "b", "picture": "c d", "rank": 1, "type": "click"}'),
        ("image", "l.csv", "image,label\nz,Cup\n"),
        ("image", "l.csv", "image,label\na,Cup\n"),
        ("label", "l.csv", "image,label\nb,\n"),
        ("label", "l.csv", "image,label\nb,Cup\ncup/b.jpg,Hat\n"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, field: str, name: str, text: str | None) -> None:
    file = tmp_path / name if text is None else written(tmp_path, name, text)
    with pytest.raises(OmmaError) as refused:
        read_judgments(file, NAMES)
    assert refused.value.field == field


def test_no_text_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "g.tsv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InvalidQuery, match="no text"):
        read_judgments(tmp_path / "g.tsv", NAMES)


def test_absent_pictures_may_be_passed_over(tmp_path: Path) -> None:
    judged = read_judgments(written(tmp_path, "l.csv", "image,label\nb,Cup\nz,Cup\n"), NAMES, absent=True)
    assert judged.wanted().tolist() == [1]


@pytest.mark.parametrize("labels", [[], ["cup", "hat", "tie", "pot"]])
def test_labels_that_nobody_shares_are_refused(labels: list[str]) -> None:
    with pytest.raises(InvalidQuery) as refused:
        Labelled("x", NAMES.paths, labels).among(np.arange(len(labels)))
    assert refused.value.field == "judgments"


def test_a_flat_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidQuery) as refused:
        judgments_of(tmp_path, PictureNames(["a.jpg", "b.jpg"]))
    assert refused.value.field == "judgments"


def test_the_verdict_names_the_better_model_and_admits_what_cannot_be_shown() -> None:
    rng = np.random.default_rng(0)
    labels = [f"label {number % 6}" for number in range(90)]
    judged = Labelled("x", [str(number) for number in range(90)], labels).among(np.arange(90))
    centres = rng.normal(size=(6, 8))[np.arange(90) % 6]

    def model(name: str, noise: float, seed: int):
        made = centres + noise * np.random.default_rng(seed).normal(size=(90, 8))
        vectors = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
        return evaluate(name, vectors, judged, np.eye(6, 8, dtype=np.float32))

    coarse, fine, other = model("coarse", 2.0, 1), model("fine", 0.5, 2), model("other", 2.0, 3)
    assert verdict("coarse", "fine", compare_models(coarse, fine)).startswith("fine is better than coarse: nDCG@10")
    assert verdict("fine", "coarse", compare_models(fine, coarse)).startswith("fine is better than coarse: nDCG@10")
    assert verdict("coarse", "other", compare_models(coarse, other)).startswith(
        "No difference between coarse and other"
    )
    assert {"zero-shot accuracy", "words: precision@10"} <= compare_models(coarse, fine).keys()
