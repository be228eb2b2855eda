"""Free ports that stay free while a server is down: below those that outgoing connections get."""

import random
import socket
from typing import Final

_RANGE: Final = range(20_000, 32_000)


def free_port(host: str) -> int:
    """A TCP port on which nobody listens now."""
    for port in random.sample(_RANGE, 100):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
            try:
                one.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port on {host}")
