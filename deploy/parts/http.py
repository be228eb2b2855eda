"""Asking a part over HTTP."""

import json
import urllib.request
from typing import Any, Final

_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Parts are on this machine: no proxy of the environment lies between, nor one that a test has set."""


def get_ok(url: str) -> bool:
    """Whether the address answers 200 within two seconds. Raises OSError."""
    with _DIRECT.open(url, timeout=2) as answer:
        return bool(answer.status == 200)


def ask(method: str, url: str, body: Any = None) -> Any:
    """One JSON request; the decoded answer, None if it is empty. Raises OSError, for error statuses too."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method=method)
    with _DIRECT.open(request, timeout=5) as answer:
        text = answer.read()
    return json.loads(text) if text else None
