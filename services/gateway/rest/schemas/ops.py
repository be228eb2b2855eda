"""What operators ask."""

from typing import Final

from services.gateway.rest.schemas import answers
from services.gateway.rest.schemas.parts import answer, operation

HEALTH: Final = operation({200: answer({"ok": True}, schema=answers.HEALTH)})
METRICS: Final = operation({200: {"description": "Prometheus' text format", "content": {"text/plain": {}}}})
