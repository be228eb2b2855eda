"""The replicas of one shard: which one to ask next, and which ones not to ask for a while."""

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from random import Random
from typing import Final

from omma.errors import OmmaError
from omma.rpc.deadline import Deadline
from omma.telemetry.metrics import REPLICA_EJECTIONS, REPLICAS_PASSED_OVER
from services.gateway.search.fanout.quantile import MovingQuantile
from services.gateway.search.fanout.replica import Replica, Standing
from services.gateway.search.fanout.settings import FanoutSettings
from services.gateway.search.fanout.watermark import Watermark
from services.nn_shard.client import ShardClient

_WHY: Final = ("ejected", "stale")

logger = logging.getLogger(__name__)


class Replicas:
    """Belongs to one event loop. clock: seconds; random: of choices; both injected by tests."""

    def __init__(
        self,
        index: str,
        shard: int,
        clients: Sequence[ShardClient],
        settings: FanoutSettings,
        *,
        clock: Callable[[], float],
        random: Random,
    ) -> None:
        self.shard = shard
        self.clients = tuple(clients)
        self.every = tuple(Replica(number, client, settings) for number, client in enumerate(clients))
        self.some_passed_over = False
        """Whether `to_look_at` may find any."""
        self.live: int | None = None
        """Live vectors, as last told."""
        self._settings = settings
        self._clock = clock
        self._random = random
        self._paces: dict[object, MovingQuantile] = {}
        self._watermark = Watermark(settings.stale_records, settings.stale_seconds)
        self._ejected, self._stale = (REPLICAS_PASSED_OVER.labels(index, str(shard), why) for why in _WHY)
        self._index = index

    def choose(self, tried: Collection[Replica] = (), *, worst: Standing = Standing.UNREACHABLE) -> Replica | None:
        """Of two random ones of the best standing, the one with fewer calls under way; never one of `tried`.

        worst: a replica that stands worse is not taken. None when there is no other, or all others are full.
        """
        best: list[Replica] = []
        for replica in self.every:
            standing = replica.standing
            if standing > worst or replica.full or replica in tried:
                continue
            if standing < worst or not best:
                best.clear()
                worst = standing
            best.append(replica)
        if len(best) < 2:
            return best[0] if best else None
        one, other = self._random.sample(best, 2)
        return one if one.in_flight <= other.in_flight else other

    def pace(self, kind: object) -> MovingQuantile:
        """What answers to calls of this kind took of late. kind: of few values, hashable."""
        found = self._paces.get(kind)
        if found is None:
            found = self._paces[kind] = MovingQuantile(self._settings.hedge_quantile)
        return found

    def review(self, replica: Replica) -> None:
        """Eject the replica if what is known of it says so and another one is left to ask."""
        if replica.ejected or len(self.every) == 1:
            return
        left = [one for one in self.every if one is not replica and one.standing <= Standing.STALE]
        if not left:
            return
        reason = replica.why_eject(min((one.mean_seconds for one in left if one.mean_seconds), default=None))
        if reason is None:
            return
        replica.eject(self._clock())
        REPLICA_EJECTIONS.labels(reason).inc()
        self._count()
        logger.warning("a replica is ejected", extra={"shard": self.shard, "replica": replica.number, "reason": reason})

    def saw(self, replica: Replica, applied: int, asked_at: float, *, says_stale: bool = False) -> bool:
        """Note how far a replica had read the log, asked at this time; returns whether it is stale.

        says_stale: by its own word, whatever its siblings have.
        """
        replica.applied = applied
        stale = self._watermark.saw(applied, asked_at) or says_stale
        if stale != replica.stale:
            replica.stale = stale
            self._count()
            extra = {"shard": self.shard, "replica": replica.number, "applied": applied}
            logger.warning("a replica is stale" if stale else "a replica is fresh again", extra=extra)
            replica.look_at = asked_at + self._settings.eject_seconds
        if stale and all(self._watermark.is_behind(one.applied) for one in self.every):
            self._watermark.reset()
        return stale

    def to_look_at(self) -> list[Replica]:
        """Ejected and stale ones whose time to be looked at has come; they are `being_looked_at` from now on."""
        now = self._clock()
        due = [
            one
            for one in self.every
            if (one.ejected or one.stale) and not one.being_looked_at and one.look_at <= now and one.client.connected
        ]
        for one in due:
            one.being_looked_at = True
        return due

    async def look(self, replica: Replica) -> None:
        """Ask an ejected or stale replica how it is, so that no search has to find out."""
        asked_at = self._clock()
        try:
            stats = await replica.client.stats(Deadline.after(self._settings.probe_seconds))
        except Exception as error:  # whatever it is, the replica cannot be asked yet
            if not isinstance(error, OmmaError):
                logger.warning("a replica failed its probe", extra={"shard": self.shard}, exc_info=error)
            well = False
        else:
            well = stats.ready
            if well:
                self.saw(replica, sum(stats.next_offsets), asked_at, says_stale=stats.stale)
        finally:
            replica.being_looked_at = False
        replica.looked_at(self._clock(), well=well)
        self._count()

    def forget(self) -> None:
        """Nothing is told of them any more."""
        for why in _WHY:
            with suppress(KeyError):
                REPLICAS_PASSED_OVER.remove(self._index, str(self.shard), why)

    def _count(self) -> None:
        ejected, stale = sum(one.ejected for one in self.every), sum(one.stale for one in self.every)
        self._ejected.set(ejected)
        self._stale.set(stale)
        self.some_passed_over = ejected + stale > 0
