"""Pictures of other people's web servers: fetched within bounds, and never from where a stranger must not reach."""

from omma.fetching.fetcher import Fetched, Fetcher, Unfetched, Why
from omma.fetching.settings import FetchSettings

__all__ = ["FetchSettings", "Fetched", "Fetcher", "Unfetched", "Why"]
