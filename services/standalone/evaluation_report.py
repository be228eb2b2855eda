"""What `omma eval` gives out: a line, a JSON document, an HTML report."""

from dataclasses import asdict
from functools import cache
from typing import Any, Final

from omma.errors import OmmaError
from omma.evaluation import compare_models, verdict
from omma.evaluation.report import render
from omma.images import PictureFile, PictureLimits, thumbnail_webp
from services.standalone.evaluating import EvaluatedFolder

_THUMBNAIL_SIDE: Final = 160


def description(found: EvaluatedFolder) -> str:
    """What was measured, in one line."""
    measured = len(found.evaluations[0].measured.queries)
    parts = [f"{len(found.rows):,} pictures", f"{measured:,} queries", f"judged by {found.judged.about}"]
    if found.share:
        parts.append(f"only the {found.share:.0%} that training leaves out")
    if found.unreadable:
        parts.append(f"{len(found.unreadable)} pictures could not be read")
    return ", ".join(parts)


def document(found: EvaluatedFolder) -> dict[str, Any]:
    """The same as JSON: every measure with its interval, and the comparison when there are two models."""
    made: dict[str, Any] = {
        "folder": str(found.folder),
        "pictures": len(found.rows),
        "queries": len(found.evaluations[0].measured.queries),
        "judgments": found.judged.about,
        "held_out": found.share,
        "unreadable": list(found.unreadable),
        "models": [
            {"model": one.model, "measures": {name: asdict(value) for name, value in one.intervals().items()}}
            for one in found.evaluations
        ],
    }
    if len(found.evaluations) == 2:
        first, second = found.evaluations
        differences = compare_models(first, second)
        made["comparison"] = {
            "first": first.model,
            "second": second.model,
            "verdict": verdict(first.model, second.model, differences),
            "differences": {
                name: {field: value for field, value in asdict(one).items() if field not in {"first", "second"}}
                for name, one in differences.items()
            },
        }
    return made


def report(found: EvaluatedFolder, limits: PictureLimits) -> str:
    """The HTML page. Opens the pictures that it shows. Blocks."""

    @cache
    def thumbnail(row: int) -> bytes:
        try:
            picture = PictureFile(found.path(row).read_bytes(), limits).decode(_THUMBNAIL_SIDE)
        except (OmmaError, OSError):
            return b""
        return thumbnail_webp(picture.reduced(_THUMBNAIL_SIDE), _THUMBNAIL_SIDE)

    title = f"Evaluation on {found.folder.name}"
    return render(title, description(found), found.evaluations, found.judgments, thumbnail)
