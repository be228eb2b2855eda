"""Free ports that stay free while a server is down: below those that outgoing connections get."""

import random
import socket
from typing import Final

_RANGE: Final = range(20_000, 32_000)
_given: set[int] = set()
"""By this process: who is to listen there may not have begun to. A cluster takes some thirty before anybody does."""


def free_port(host: str) -> int:
    """A TCP port on which nobody listens now, and that this process gave to nobody lately."""
    if len(_given) > len(_RANGE) // 2:
        _given.clear()
    for port in random.sample(_RANGE, 100):
        if port in _given:
            continue
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
            try:
                one.bind((host, port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise OSError(f"no free port on {host}")
