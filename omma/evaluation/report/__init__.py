"""The report of an evaluation: one HTML page with plots and pictures inside, no network, no script."""

from omma.evaluation.report.examples import Example, Found, changed_most, extremes
from omma.evaluation.report.page import render

__all__ = ["Example", "Found", "changed_most", "extremes", "render"]
