"""Work that nobody waits for comes after work that somebody waits for, where both want the same cores.

Lowering takes no privilege, and is for good: raising again would. It counts among the processes of one container or
machine; between containers their shares of CPU decide.
"""

import os
import sys
import threading
from typing import Final

_NICE: Final = 10
"""A tenth of the time of who is not lowered, and all that they leave: it is never starved."""


def lower_thread() -> None:
    """The calling thread; elsewhere than on Linux, where a thread has no niceness of its own, nothing happens."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICE)


def lower_process() -> None:
    """Before it starts threads: on Linux those that run are not lowered."""
    os.nice(_NICE)
