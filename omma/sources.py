"""What the filter fields `source` and `source_domain` hold: the shards and the catalog take them from one place."""

from urllib.parse import urlsplit


def source_domain_of(source_url: str) -> str:
    """The host that a picture came from, lower case, without port; empty for a source that is no URL."""
    try:
        return urlsplit(source_url).hostname or ""
    except ValueError:
        return ""
