"""Omma finds pictures by picture, by a crop of a picture, or by words."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omma.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # The SDK is loaded when it is asked for: a shard process should not import an HTTP client.
    if name in __all__:
        return getattr(import_module("omma.client"), name)
    raise AttributeError(f"module 'omma' has no attribute {name!r}")
