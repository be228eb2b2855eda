"""Steps of rollouts go from the audit to the log, where anybody can listen."""

import asyncio

from omma.catalog.interface import Catalog
from omma.log.interface import Log, TopicSpec
from omma.persistence import keep_running
from omma.rollouts.event import ROLLOUTS_TOPIC

_RETRY_SECONDS = 1.0
_AT_ONCE = 100


async def tell_steps(catalog: Catalog, log: Log, every_seconds: float) -> None:
    """Until cancelled. Each step at least once, in order; what cannot be sent now waits in the audit.

    Several workers may: a step that two of them send has one id.
    """

    async def tell() -> None:
        if all(spec.name != ROLLOUTS_TOPIC for spec in await log.topics()):
            await log.ensure_topic(TopicSpec(ROLLOUTS_TOPIC, 1))
        producer = await log.producer()
        try:
            while True:
                while steps := await catalog.unsent_steps(_AT_ONCE):
                    records = [(0, one.rollout.encode(), one.encode()) for one in steps]
                    await producer.send_many(ROLLOUTS_TOPIC, records)
                    await catalog.mark_steps_sent(steps[-1].id)
                await asyncio.sleep(every_seconds)
        finally:
            await producer.close()

    await keep_running("telling steps of rollouts", tell, _RETRY_SECONDS)
