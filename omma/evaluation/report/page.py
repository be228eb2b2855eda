"""The page: what was measured, the verdict, plots, and queries to look at."""

import base64
from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Final

from omma.evaluation.evaluation import Evaluation, compare_models, verdict
from omma.evaluation.judgments import Judgments
from omma.evaluation.metrics import MAX_GRADE
from omma.evaluation.report import plots
from omma.evaluation.report.examples import Example, Found, changed_most, extremes, label_of
from omma.evaluation.significance import Difference, Interval

Thumbnail = Callable[[int], bytes]
"""The WebP thumbnail of a row of the corpus; empty when there is none."""

_SHOWN: Final = 8
_CLASSES: Final = 14


def render(
    title: str, about: str, evaluations: Sequence[Evaluation], judgments: Judgments, thumbnail: Thumbnail
) -> str:
    """HTML of one model, or of two where the second is compared with the first. about: a line under the title."""
    intervals = [one.intervals() for one in evaluations]
    differences = compare_models(*evaluations) if len(evaluations) == 2 else {}
    parts = [
        _verdict(evaluations, differences, intervals[-1]),
        _section("Measures", _measures(evaluations, intervals, differences), _HOW),
        _section("How queries fare", _distributions(evaluations), "nDCG of each query: a mean hides who is left out."),
    ]
    if judgments.labels is not None:
        parts.append(_section("Labels", *_labels(evaluations, judgments)))
    parts += _strips(evaluations, judgments, thumbnail)
    legend = "".join(
        f'<span class="model"><i class="m{at}"></i>{escape(one.model)}</span>' for at, one in enumerate(evaluations)
    )
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    return _PAGE.format(title=escape(title), about=escape(about), legend=legend, style=style, body="\n".join(parts))


def _verdict(
    evaluations: Sequence[Evaluation], differences: Mapping[str, Difference], last: Mapping[str, Interval]
) -> str:
    name, primary = next(iter(last.items()))
    if differences:
        said = verdict(evaluations[0].model, evaluations[1].model, dict(differences))
        head, _, rest = said.partition(": ")
        return f'<div class="verdict"><h2>{escape(head)}</h2><p>{escape(rest)}</p></div>'
    return (
        f'<div class="verdict"><h2>{escape(name)} {primary.mean:.3f}</h2><p>95 % interval {primary.low:.3f} to '
        f"{primary.high:.3f} over {primary.queries:,} queries</p></div>"
    )


def _measures(
    evaluations: Sequence[Evaluation],
    intervals: Sequence[Mapping[str, Interval]],
    differences: Mapping[str, Difference],
) -> str:
    names = list(dict.fromkeys(name for one in intervals for name in one))
    plot = plots.dots([(name, [one.get(name) for one in intervals]) for name in names])
    heads = "".join(f'<th class="k{at}">{escape(one.model)}</th>' for at, one in enumerate(evaluations))
    heads += "<th>difference</th><th>p</th>" if differences else ""
    rows = []
    for name in names:
        cells = "".join(_interval_cell(one.get(name)) for one in intervals)
        if differences:
            cells += _difference_cells(differences.get(name))
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    table = f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="two"><div>{plot}</div><div class="wide">{table}</div></div>'


def _interval_cell(found: Interval | None) -> str:
    if found is None:
        return "<td>–</td>"
    return f"<td>{found.mean:.3f} <small>{found.low:.3f} … {found.high:.3f}</small></td>"


def _difference_cells(found: Difference | None) -> str:
    if found is None:
        return "<td>–</td><td>–</td>"
    return f"<td>{found.mean:+.3f} <small>{found.low:+.3f} … {found.high:+.3f}</small></td><td>{found.p:.4f}</td>"


def _distributions(evaluations: Sequence[Evaluation]) -> str:
    columns = [one.measured.ndcg for one in evaluations]
    made = f"<div><h3>nDCG of a query</h3>{plots.histogram(columns, 0, 1, 20)}</div>"
    if len(columns) == 2:
        change = plots.histogram([columns[1] - columns[0]], -1, 1, 41, signed=True)
        made += f"<div><h3>Change of a query’s nDCG</h3>{change}</div>"
    return f'<div class="two">{made}</div>'


def _labels(evaluations: Sequence[Evaluation], judgments: Judgments) -> tuple[str, str]:
    """Mean nDCG of each label: all of them, or the ends of the list."""
    first = evaluations[0].measured
    by_label: dict[str, list[int]] = {}
    for place, query in enumerate(first.queries):
        by_label.setdefault(label_of(judgments, int(query)), []).append(place)
    rows = [
        (f"{label} ({len(at)})", [float(one.measured.ndcg[at].mean()) for one in evaluations])
        for label, at in by_label.items()
    ]
    rows.sort(key=lambda row: (row[1][-1] - row[1][0] if len(row[1]) == 2 else row[1][0], row[0]))
    what = "change" if len(evaluations) == 2 else "nDCG"
    note = f"Mean nDCG of the queries of a label, in brackets how many. {len(rows)} labels by {what}."
    if len(rows) <= 2 * _CLASSES:
        half = (len(rows) + 1) // 2
        ends = [("Lowest", rows[:half]), ("Highest", rows[half:][::-1])]
    else:
        note = note[:-1] + f", the {_CLASSES} at each end."
        ends = [("Lowest", rows[:_CLASSES]), ("Highest", rows[: -_CLASSES - 1 : -1])]
    made = "".join(f"<div><h3>{head} {what}</h3>{plots.pairs(some)}</div>" for head, some in ends if some)
    return f'<div class="two">{made}</div>', note


def _strips(evaluations: Sequence[Evaluation], judgments: Judgments, thumbnail: Thumbnail) -> list[str]:
    if len(evaluations) == 2:
        first, second = evaluations
        better, worse = changed_most(first, second, judgments, count=6, shown=_SHOWN)
        worst = extremes(second, judgments, count=6, shown=_SHOWN)[1]
        lists = [
            ("What got better", better, evaluations, ""),
            ("What got worse", worse, evaluations, ""),
            (f"Worst queries of {second.model}", worst, [second], ""),
        ]
    else:
        best, worst = extremes(evaluations[0], judgments, count=6, shown=_SHOWN)
        lists = [("Worst queries", worst, evaluations, _FRAMES), ("Best queries", best, evaluations, "")]
    return [
        _section(head, "".join(_strip(one, models, thumbnail) for one in examples), note or _FRAMES)
        for head, examples, models, note in lists
        if examples
    ]


def _strip(example: Example, models: Sequence[Evaluation], thumbnail: Thumbnail) -> str:
    asked = (
        _image(thumbnail(example.row), example.name)
        if example.row >= 0
        else f'<p class="words">“{escape(example.name)}”</p>'
    )
    label = escape(example.label or example.name)
    rows = "".join(
        f'<div class="answer"><span class="value">nDCG {value:.2f}'
        + (f"<br><small>{escape(model.model)}</small>" if len(models) > 1 else "")
        + f"</span>{''.join(_card(one, thumbnail) for one in found)}</div>"
        for model, value, found in zip(models, example.values, example.answers, strict=True)
    )
    return (
        f'<div class="strip"><figure class="query">{asked}<figcaption title="{escape(example.name)}">{label}'
        f'</figcaption></figure><div class="answers">{rows}</div></div>'
    )


def _card(found: Found, thumbnail: Thumbnail) -> str:
    return (
        f'<figure class="g{found.grade}" title="grade {found.grade} of {MAX_GRADE}">{_image(thumbnail(found.row), "")}'
        f"<figcaption>{found.score:.2f}</figcaption></figure>"
    )


def _image(webp: bytes, alt: str) -> str:
    if not webp:
        return '<div class="none">no picture</div>'
    return f'<img alt="{escape(alt)}" src="data:image/webp;base64,{base64.b64encode(webp).decode()}">'


def _section(head: str, body: str, note: str = "") -> str:
    return f'<section><h2>{escape(head)}</h2><p class="note">{escape(note)}</p>{body}</section>'


_HOW: Final = (
    "Means over queries with 95 % bootstrap intervals. nDCG decides: gain 2^grade - 1, discount log2(rank + 1). "
    "p: sign-flip test over the same queries, for two models. Queries of one label are alike, so intervals are a "
    "little too narrow."
)
_FRAMES: Final = (
    "nDCG, then what was found, best first, with its cosine. Green frame: full grade; yellow: a lower one; none: 0. "
    "At most one query a label while there are enough."
)
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><header><h1>{title}</h1><p>{about}</p><p>{legend}</p></header>
{body}
</body></html>
"""
