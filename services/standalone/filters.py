"""Filters that commands take, for calls that want them parsed."""

from typing import Any

from omma import sent_json
from omma.errors import InvalidQuery


def parsed(filter: str) -> Any:
    """The JSON, read as a server reads it: of a name that stands twice, one of the two would be gone before it could be
    refused. Raises InvalidQuery, field `filter`.
    """
    try:
        return sent_json.parse(filter)
    except RecursionError:
        raise InvalidQuery("The filter is nested too deep.", field="filter") from None
    except ValueError as error:
        raise InvalidQuery(f"The filter is not JSON: {error}.", field="filter") from None
