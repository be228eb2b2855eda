"""Evaluation: which of two models finds better, in numbers. Pure numpy; nothing here embeds or opens a picture."""

from omma.evaluation.evaluation import Evaluation, compare_models, evaluate, verdict
from omma.evaluation.judgment_files import judgments_of, read_judgments
from omma.evaluation.judgments import Graded, Judged, Judgments, Labelled
from omma.evaluation.metrics import Measured, leave_one_out, measure
from omma.evaluation.names import PictureNames
from omma.evaluation.significance import Difference, Interval, compare, interval
from omma.evaluation.split import held_out
from omma.evaluation.words import words_to_pictures, zero_shot

__all__ = [
    "Difference",
    "Evaluation",
    "Graded",
    "Interval",
    "Judged",
    "Judgments",
    "Labelled",
    "Measured",
    "PictureNames",
    "compare",
    "compare_models",
    "evaluate",
    "held_out",
    "interval",
    "judgments_of",
    "leave_one_out",
    "measure",
    "read_judgments",
    "verdict",
    "words_to_pictures",
    "zero_shot",
]
