"""The command: options in, one exit code out."""

import sys
from collections.abc import Sequence

from omma.errors import OmmaError
from services.standalone.output import EXIT_CODES
from training.simclr.distributed import joined
from training.simclr.options import parsed
from training.simclr.progress import Progress
from training.simclr.run import REPORT, Result, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as told; an error of ours is one line and its kind's exit code, Ctrl-C is 130."""
    try:
        options = parsed(sys.argv[1:] if arguments is None else arguments)
        with joined(options.device) as ranks:
            progress = Progress(ranks.leads)
            result = run(options, ranks, progress)
            if result is not None:
                _tell(result, progress)
    except OmmaError as error:
        field = f" ({error.field})" if error.field else ""
        Progress(True).say(f"{error.kind}{field}: {error.detail}")
        return EXIT_CODES.get(error.kind, 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _tell(result: Result, progress: Progress) -> None:
    for one in result.found:
        d = one.difference
        progress.say(f"mAP {d.first.mean:.4f} → {d.second.mean:.4f}  {one.of} → {one.to}")
        progress.say(f"    {d.mean:+.4f}, 95 % interval {d.low:+.4f} … {d.high:+.4f}, p {d.p:.4f}")
    agreement = result.agreement
    progress.say(f"ONNX: worst cosine to torch {agreement.worst_cosine:.7f} over {agreement.pictures:,} photographs")
    progress.say(f"Report: {result.run_dir / REPORT}")
    progress.say(f"Registered {result.reference}. Serve it: omma up --model {result.reference}")
