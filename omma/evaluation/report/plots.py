"""Plots as inline SVG. Colours come from the page's style: classes `m0` and `m1` are the two models."""

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np

from omma.evaluation.metrics import Float64
from omma.evaluation.significance import Interval

_WIDTH: Final = 640
_LEFT: Final = 190
_RIGHT: Final = 64
_ROW: Final = 24
_TICKS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def dots(rows: Sequence[tuple[str, Sequence[Interval | None]]]) -> str:
    """A line a measure, a dot a model with its interval, on 0 … 1."""
    parts = []
    for number, (name, found) in enumerate(rows):
        middle = 14 + number * _ROW
        parts.append(_text(_LEFT - 12, middle + 4, name, "end"))
        for model, one in enumerate(found):
            if one is not None:
                y = middle + (0 if len(found) == 1 else (model - 0.5) * 8)
                parts.append(_line(_x(one.low), y, _x(one.high), y, f"whisker m{model}"))
                parts.append(f'<circle class="dot m{model}" cx="{_x(one.mean):.1f}" cy="{y:.1f}" r="4"/>')
    return _framed("".join(parts), len(rows) * _ROW + 8)


def pairs(rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """A line a class, a dot a model, a bar from 0 or between the two."""
    parts = []
    for number, (name, values) in enumerate(rows):
        y = 14 + number * _ROW
        start, end = (0.0, values[0]) if len(values) == 1 else (min(values), max(values))
        better = len(values) == 1 or values[1] >= values[0]
        parts.append(_text(_LEFT - 12, y + 4, name[:28], "end"))
        parts.append(
            _line(_x(start), y, _x(end), y, "span" if len(values) == 1 else f"span {'up' if better else 'down'}")
        )
        parts += [
            f'<circle class="dot m{model}" cx="{_x(value):.1f}" cy="{y}" r="4.5"/>'
            for model, value in enumerate(values)
        ]
        shown = f"{values[0]:.2f}" if len(values) == 1 else f"{values[1] - values[0]:+.2f}"
        parts.append(_text(_WIDTH - 8, y + 4, shown, "end", "number"))
    return _framed("".join(parts), len(rows) * _ROW + 8)


def histogram(columns: Sequence[Float64], low: float, high: float, bins: int, *, signed: bool = False) -> str:
    """How many queries have which value: bars side by side, a colour a model; signed: a colour each side of 0."""
    height, left, right, bottom = 180, 44, 8, 22
    counts = [np.histogram(column, bins, (low, high))[0] for column in columns]
    most = max(1, int(max(count.max() for count in counts)))
    step = (_WIDTH - left - right) / bins
    parts = []
    for part in (0, 0.5, 1):
        y = height - bottom - part * (height - bottom - 12)
        parts.append(_line(left, y, _WIDTH - right, y, "grid"))
        parts.append(_text(left - 8, y + 4, f"{round(part * most):,}", "end", "number"))
    for model, count in enumerate(counts):
        for place, one in enumerate(count):
            tall = one / most * (height - bottom - 12)
            middle = low + (place + 0.5) * (high - low) / bins
            colour = ("up" if middle > 0 else "down") if signed else f"m{model}"
            wide = (step - 2) / len(counts)
            parts.append(
                f'<rect class="{"still" if signed and abs(middle) < 1e-9 else colour}" '
                f'x="{left + place * step + 1 + model * wide:.1f}" y="{height - bottom - tall:.1f}" '
                f'width="{max(wide - 0.5, 0.5):.1f}" height="{tall:.1f}" rx="1"/>'
            )
    for value in np.linspace(low, high, 5):
        x = left + (value - low) / (high - low) * (_WIDTH - left - right)
        parts.append(_text(x, height - 4, f"{value:+.1f}" if signed and value else f"{value:g}", "middle", "number"))
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{"".join(parts)}</svg>'


def _framed(body: str, height: float) -> str:
    grid = "".join(
        _line(_x(tick), 0, _x(tick), height, "grid") + _text(_x(tick), height + 16, f"{tick:.1f}", "middle", "number")
        for tick in _TICKS
    )
    return f'<svg viewBox="0 0 {_WIDTH} {height + 22:.0f}" role="img">{grid}{body}</svg>'


def _x(value: float) -> float:
    return _LEFT + min(max(value, 0.0), 1.0) * (_WIDTH - _LEFT - _RIGHT)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, words: str, anchor: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
