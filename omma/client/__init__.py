"""The SDK: `from omma import Client`. Speaks REST to a running Omma; results are dataclasses, errors omma.errors."""

from omma.client.asynchronous import AsyncClient
from omma.client.requests import ImageSource, SearchOptions
from omma.client.results import Coverage, Picture, SearchHit, SearchResults, Uploaded
from omma.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "Client",
    "Coverage",
    "ImageSource",
    "Picture",
    "SearchHit",
    "SearchOptions",
    "SearchResults",
    "Uploaded",
]
