"""Notifications of S3, as Amazon and MinIO send them: which objects to look at.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

_KINDS: Final = ("ObjectCreated:", "ObjectRemoved:", "ObjectRestore:Completed", "LifecycleExpiration:")
"""Of others nothing follows: that an object was read, for one, would tell us of ourselves."""


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """Something happened to the object. sequencer: orders the events of one object; hexadecimal.

    What it says of the object is left aside: a deleted version may not be the current one, and a newer event may be
    on its way. The object itself is looked at.
    """

    bucket: str
    key: str
    sequencer: str


def object_events(value: bytes) -> list[ObjectEvent]:
    """The events in one notification; none in a test of the configuration. Raises ValueError for anything else."""
    notification = json.loads(value)
    if isinstance(notification, dict) and notification.get("Event") == "s3:TestEvent":
        return []
    try:
        records = notification["Records"]
        return [_event(record) for record in records if record["eventName"].removeprefix("s3:").startswith(_KINDS)]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no notification of S3: {error!r}") from None


def _event(record: dict[str, Any]) -> ObjectEvent:
    found = record["s3"]["object"]
    return ObjectEvent(
        _text(record["s3"]["bucket"]["name"]), unquote_plus(_text(found["key"])), _text(found.get("sequencer", ""))
    )


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r} is no text")
    return given
