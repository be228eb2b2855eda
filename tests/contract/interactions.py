"""Impressions and clicks, as the log tells a catalog of them."""

from typing import Any

from omma.catalog.logged_interaction import LoggedInteraction
from omma.identity import ImageId
from omma.records import Interaction, InteractionType
from tests.contract.catalogs import ANN


def shown(offset: int, ts_ms: int, partition: int = 0, **more: Any) -> LoggedInteraction:
    given: dict[str, Any] = {
        "user_id": "u",
        "query_image_id": 0,
        "displayed": (ImageId(offset + 1),),
        "rank": 1,
        "type": InteractionType.IMPRESSION,
        "query_id": "q",
    }
    one = Interaction(tenant=ANN, ts_ms=ts_ms, **{**given, **more})
    return LoggedInteraction(partition, offset, one)
