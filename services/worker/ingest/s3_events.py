"""Notifications of S3, as Amazon and MinIO send them: which objects to look at.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import json
import logging
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

_KINDS: Final = ("ObjectCreated:", "ObjectRemoved:", "ObjectRestore:Completed", "LifecycleExpiration:")
"""Of others nothing follows: that an object was read, for one, would tell us of ourselves."""
_SEQUENCER: Final = re.compile(r"[0-9A-Fa-f]{0,128}")

logger = logging.getLogger(__name__)


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
    """The events in one notification; none in a test of the configuration.

    Raises ValueError for anything else, and when none of its records can be understood.
    """
    try:
        notification = json.loads(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if isinstance(notification, dict) and notification.get("Event") == "s3:TestEvent":
        return []
    try:
        records = list(notification["Records"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no notification of S3: {error!r}") from None
    events, wrong = [], []
    for record in records:
        try:
            events += _events(record)
        except (KeyError, TypeError, AttributeError) as error:
            wrong.append(repr(error))
    if len(wrong) == len(records) > 0:
        raise ValueError(f"it is no notification of S3: {wrong[0]}")
    if wrong:
        logger.warning("parts of a notification are passed over", extra={"reason": wrong[0], "parts": len(wrong)})
    return events


def _events(record: dict[str, Any]) -> list[ObjectEvent]:
    """One, or none where nothing follows of what happened."""
    if not record["eventName"].removeprefix("s3:").startswith(_KINDS):
        return []
    found = record["s3"]["object"]
    sequencer = _text(found.get("sequencer", ""))
    if not _SEQUENCER.fullmatch(sequencer):
        raise TypeError(f"{sequencer[:80]!r} orders nothing")
    return [ObjectEvent(_text(record["s3"]["bucket"]["name"]), unquote_plus(_text(found["key"])), sequencer)]


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r} is no text")
    return given
