"""Names of topics, groups and transactional ids: what Kafka takes, so every backend takes the same."""

import re
from typing import Final

from omma.errors import InvalidQuery

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


def checked_name(name: str, what: str) -> str:
    """Raises InvalidQuery for a name that Kafka would not take. what: "topic", "group" …"""
    if not _NAME.fullmatch(name):
        raise InvalidQuery(f"A {what} name is 1 to 249 of A-Z a-z 0-9 . _ -, not {name[:80]!r}.", field=what)
    return name
