"""What people said becomes grades and pairs: the last word on each pair counts."""

import json
from pathlib import Path

from omma.catalog.feedback import FeedbackAction
from omma.evaluation import PictureNames, read_judgments
from omma.evaluation.feedback import Opinion, judgments_of_feedback, pairs_of_feedback

RELEVANT, IRRELEVANT, DUPLICATE, DIFFERENT, ANOMALY, REVIEWED = FeedbackAction


def test_the_last_word_on_a_pair_is_its_grade() -> None:
    said = [
        Opinion("q", "a", RELEVANT),
        Opinion("q", "a", IRRELEVANT),
        Opinion("q", "b", IRRELEVANT),
        Opinion("q", "c", DUPLICATE),
        Opinion("q", "d", DIFFERENT),
        Opinion("q", "e", REVIEWED),
        Opinion("q", "q", RELEVANT),
        Opinion("p", "a", IRRELEVANT),
    ]
    assert list(judgments_of_feedback(said)) == [("q", "a", 5), ("q", "b", 0), ("q", "c", 5)]


def test_grades_are_what_eval_reads(tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    said = [Opinion("file:///p/a.jpg", "file:///p/b.jpg", RELEVANT), Opinion("file:///p/a.jpg", "c", IRRELEVANT)]
    lines = [{"query": q, "picture": p, "grade": g} for q, p, g in judgments_of_feedback(said)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    judged = read_judgments(file, PictureNames(["a.jpg", "b.jpg", "c.jpg"], "/p"))
    assert judged.among(judged.wanted()).queries == ("a.jpg",)


def test_pairs_that_belong_together_and_pairs_that_do_not() -> None:
    said = [
        Opinion("b", "a", DIFFERENT),
        Opinion("a", "b", DUPLICATE),
        Opinion("a", "c", RELEVANT),
        Opinion("d", "a", IRRELEVANT),
        Opinion("d", "b", ANOMALY),
    ]
    assert list(pairs_of_feedback(said)) == [("a", "b", "apart"), ("a", "c", "feedback"), ("a", "d", "apart")]
