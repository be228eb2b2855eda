"""python -m deploy.parts up PART …: hold parts until Ctrl-C or SIGTERM, and print how tests are pointed at them."""

import signal
import sys
from contextlib import ExitStack
from typing import Final

from deploy.parts import PartMissing, kafka, minio, postgres, toxiproxy

_PARTS: Final = {"kafka": kafka, "minio": minio, "postgres": postgres, "toxiproxy": toxiproxy}


def main(words: list[str]) -> None:
    if words[:1] != ["up"] or not words[1:] or not set(words[1:]) <= set(_PARTS):
        sys.exit(f"usage: python -m deploy.parts up [{' '.join(_PARTS)}]")
    stop = {signal.SIGINT, signal.SIGTERM}
    with ExitStack() as running:
        for name in words[1:]:
            try:
                part = running.enter_context(_PARTS[name]())
            except PartMissing as missing:
                sys.exit(str(missing))
            for key, value in part.environment().items():
                print(f"export {key}={value}", flush=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, stop)
        signal.sigwait(stop)


if __name__ == "__main__":
    main(sys.argv[1:])
