"""Runs one server and ends it with whoever started it: python guard.py FOLDER USER COMMAND …

The starter holds our standard input. When that closes, also because the starter was killed with -9, the server and its
children are killed and FOLDER is removed; "keep" on standard input before leaves it. The server's output goes to
FOLDER/server.log; ours is "pid N", then "exit CODE" once the server has ended. Standard library only, run with -I.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def descendants(pid: int) -> list[int]:
    """Children of a process, theirs, and so on."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process and everything that it started: a PostgreSQL backend leads a group of its own."""
    for one in [pid, *descendants(pid)]:
        with suppress(ProcessLookupError):
            os.kill(one, number)


def _die_with_guard() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(folder: Path, user: str, command: list[str]) -> None:
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
            user=user or None,
            extra_groups=[] if user else None,
            preexec_fn=_die_with_guard,  # noqa: PLW1509 - there is no other thread yet
        )
    print(f"pid {server.pid}", flush=True)
    waiting = threading.Thread(target=_say_exit, args=(server,), daemon=True)
    waiting.start()
    told = sys.stdin.buffer.read()
    if server.poll() is None:
        send(server.pid, signal.SIGKILL)
    waiting.join()
    if told != b"keep":
        shutil.rmtree(folder, ignore_errors=True)


def _say_exit(server: subprocess.Popen[bytes]) -> None:
    code = server.wait()
    with suppress(OSError):
        print(f"exit {code}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
