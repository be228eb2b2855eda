"""Copies looked for: each new picture beside what is nearest to it, by signature, then by the pictures themselves."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeVar, TypeVarTuple

from omma.blobs.originals import Originals
from omma.catalog.copies import CopyPair
from omma.catalog.interface import Catalog
from omma.catalog.picture import Picture, PictureState
from omma.copies import LOOKED_AT_BITS, SIGNATURE_RULE, Seen, Signatures, copies, look, nearest_bits
from omma.errors import OmmaError, may_pass, unforeseen
from omma.hits import FetchedPicture
from omma.identity import ImageId, Sha256, Tenant
from omma.images import PictureFile, PictureLimits
from omma.persistence import persist
from omma.rpc.deadline import Deadline
from omma.together import together
from services.topology.indexes import PlacedIndex
from services.topology.stored import nearest_to, stored_pictures
from services.worker.curation.copy_groups import changed_memberships

LOOK_RULE: Final = "look"
"""Followed by how the copy differs: `look:crop`."""

LEASE: Final = "copies"
_LEASE_SECONDS: Final = 60.0
"""A page takes seconds; where it takes longer, another worker begins with it too, and both keep the same."""
_PAGE: Final = 32
_NEIGHBOURS: Final = 24
_SAME_PHASH: Final = 24
"""Of each picture: of a thousand copies of one, each is paired with some, and all are connected."""
_LOOKS: Final = 8
_ALWAYS: Final = 3
"""Of the nearest by vector that are looked at, however far their signatures lie: a turn of ten degrees changes all."""
_LEAST_SCORE: Final = 0.7
_LARGEST_GROUP: Final = 2_000
_KEPT: Final = 96
"""Pictures made ready: some 250 KB each."""
_SEEN_SIDE: Final = 512
_MOST_PIXELS: Final = 40_000_000
"""A PNG of so many takes 120 MB to open; of what is larger only the signature tells copies."""
_REST: Final = 2.0
"""Times as long as it worked does the thread rest: a third of a core at most, and searches find the interpreter."""
_AT_ONCE: Final = 8
_SECONDS: Final = 30.0

logger = logging.getLogger(__name__)

Made = TypeVar("Made")
Given = TypeVarTuple("Given")

Near = Mapping[ImageId, float]
"""By id the score, 0 for what has the same pHash only."""


class CopyFinder:
    """One of many that may run. In the live index; pictures are laid over each other on a thread of its own.

    holder: of the lease, the same when this process is started again.
    """

    def __init__(
        self,
        catalog: Catalog,
        originals: Originals,
        live: Callable[[], PlacedIndex],
        limits: PictureLimits,
        *,
        holder: str,
        every_seconds: float,
    ) -> None:
        self._catalog = catalog
        self._originals = originals
        self._live = live
        self._limits = limits
        self._every_seconds = every_seconds
        self._holder = holder
        self._seen: OrderedDict[Sha256, Seen | None] = OrderedDict()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="copies")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await persist("looking for copies", self.find, self._every_seconds)
            await asyncio.sleep(self._every_seconds)

    async def find(self) -> None:
        """Of every picture that is to be looked at; what the index does not have yet is left for another time. Whoever
        has the lease looks, page by page. Raises ReplicaDown, OutOfTime, WrongState.
        """
        after = ImageId(0)
        while await self._catalog.acquire_lease(LEASE, self._holder, _LEASE_SECONDS):
            page = await self._catalog.begin_looking(after, _PAGE)
            if not page:
                return
            after = page[-1][0]
            for tenant, rows in groupby(sorted(page, key=itemgetter(1)), key=itemgetter(1)):
                await self._look_at(tenant, [id for id, _ in rows])

    async def _look_at(self, tenant: Tenant, ids: Sequence[ImageId]) -> None:
        placed = self._live()
        stored = await stored_pictures(placed, tenant, ids, Deadline.after(_SECONDS))
        near: dict[ImageId, Near] = {}
        for start in range(0, len(stored), _AT_ONCE):
            near |= dict(await together(self._near(placed, one) for one in stored[start : start + _AT_ONCE]))
        wanted = set(near).union(*near.values())
        found = await self._catalog.pictures(wanted) if wanted else {}
        known = {
            id: one
            for id, one in found.items()
            if one.tenant == tenant and one.state is PictureState.INDEXED and one.signature
        }
        pairs: dict[tuple[ImageId, ImageId], CopyPair] = {}
        looked_at: list[ImageId] = []
        for id in sorted(near.keys() & known.keys()):
            beside = {other: score for other, score in near[id].items() if other in known and other != id}
            try:
                found_pairs = await self._copies_of(known[id], known, beside)
            except (OmmaError, OSError) as error:  # its turn comes again; others do not wait for it
                logger.info("a picture is looked at another time", extra={"image_id": id, "reason": repr(error)})
                continue
            looked_at.append(id)
            for pair in found_pairs:
                pairs.setdefault((pair.first, pair.second), pair)
        seen = {id: one.signature for id, one in known.items()}
        await self._catalog.keep_copy_pairs(tenant, seen, [*pairs.values()])
        await self._regroup(tenant, looked_at)
        await self._catalog.end_looking(tenant, {id: seen[id] for id in looked_at})

    async def _regroup(self, tenant: Tenant, ids: Sequence[ImageId]) -> None:
        done: set[ImageId] = set()
        for id in ids:
            if id not in done:
                connected = await self._catalog.connected(tenant, id, _LARGEST_GROUP)
                await self._catalog.keep_memberships(tenant, changed_memberships(connected))
                done.update(connected.ids)

    async def _near(self, placed: PlacedIndex, picture: FetchedPicture) -> tuple[ImageId, Near]:
        hits = await nearest_to(placed, picture, _NEIGHBOURS, Deadline.after(_SECONDS))
        near: dict[ImageId, float] = {}
        if picture.phash is not None:
            near = dict.fromkeys(await self._catalog.with_phash(picture.tenant, picture.phash, _SAME_PHASH), 0.0)
        near |= {ImageId(id): score for id, score in zip(hits.ids.tolist(), hits.scores.tolist(), strict=True)}
        return picture.image_id, near

    async def _copies_of(self, one: Picture, known: Mapping[ImageId, Picture], near: Near) -> list[CopyPair]:
        others = sorted(near, key=lambda id: (-near[id], id))
        signed = [known[id].signature for id in others]
        bits = nearest_bits(one.signature, signed).tolist()
        told = copies(Signatures.of([one.signature, *signed]))
        rules = {pair.second - 1: (SIGNATURE_RULE, pair.distance) for pair in told if pair.first == 0}
        looked_at = [
            row
            for row, id in enumerate(others)
            if row not in rules and (bits[row] <= LOOKED_AT_BITS or (row < _ALWAYS and near[id] >= _LEAST_SCORE))
        ]
        for row in sorted(looked_at, key=lambda row: (bits[row], row))[:_LOOKS]:
            rule = await self._looked(one, known[others[row]])
            if rule is not None:
                rules[row] = rule, bits[row]
        return [
            CopyPair(min(one.id, others[row]), max(one.id, others[row]), rule, distance)
            for row, (rule, distance) in rules.items()
        ]

    async def _looked(self, one: Picture, other: Picture) -> str | None:
        """The rule, where one is a copy of the other. Raises as `_opened`."""
        ours, theirs = await self._opened(one), await self._opened(other)
        if ours is None or theirs is None:
            return None
        try:
            verdict = await self._beside_searches(look, ours, theirs)
        except Exception:  # two odd pictures must not keep all others from being looked at
            logger.exception("two pictures could not be laid over each other", extra={"images": [one.id, other.id]})
            return None
        return f"{LOOK_RULE}:{verdict.why.value}" if verdict.same else None

    async def _opened(self, picture: Picture) -> Seen | None:
        """None for one that cannot be read, by its own fault. Raises what may pass: OmmaError, OSError."""
        if picture.sha256 in self._seen:
            self._seen.move_to_end(picture.sha256)
            return self._seen[picture.sha256]
        if picture.width * picture.height > _MOST_PIXELS:
            return None
        seen = None
        try:
            content = await self._originals.read(picture.uri, picture.sha256, self._limits.max_bytes)
            seen = await self._beside_searches(self._ready, content)
        except Exception as error:
            if may_pass(error) or isinstance(error, OSError):
                raise
            extra = {"image_id": picture.id, "reason": repr(error)}
            logger.warning("a picture cannot be looked at", extra=extra, exc_info=unforeseen(error))
        self._seen[picture.sha256] = seen
        if len(self._seen) > _KEPT:
            self._seen.popitem(last=False)
        return seen

    async def _beside_searches(self, work: Callable[[*Given], Made], *given: *Given) -> Made:
        begin = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, *given)
        finally:
            await asyncio.sleep(_REST * (time.monotonic() - begin))

    def _ready(self, content: bytes) -> Seen:
        return Seen.of(PictureFile(content, self._limits).decode().reduced(_SEEN_SIDE))
