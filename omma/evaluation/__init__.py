"""Evaluation: which of two models finds better, in numbers. Pure numpy; nothing here embeds or opens a picture."""

from omma.evaluation.metrics import Measured, leave_one_out, measure
from omma.evaluation.significance import Difference, Interval, compare, interval
from omma.evaluation.split import held_out
from omma.evaluation.words import words_to_pictures, zero_shot

__all__ = [
    "Difference",
    "Interval",
    "Measured",
    "compare",
    "held_out",
    "interval",
    "leave_one_out",
    "measure",
    "words_to_pictures",
    "zero_shot",
]
