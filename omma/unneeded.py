"""Thumbnails that were put while their picture went."""

from collections.abc import Set
from typing import Final

from omma.catalog.orphan import OrphanBook
from omma.identity import Sha256

_HOWEVER_LONG_SECONDS: Final = 1e9
"""Ago that a row was deleted which still names its bytes: they are its grace's."""


async def let_go_of_unneeded(catalog: OrphanBook, sha256s: Set[Sha256]) -> set[Sha256]:
    """Of bytes that no row names any more the thumbnails go: a picture may be erased, and its bytes be collected,
    while its thumbnail is drawn. Asked once they are put, as ADR 0015 has it: a collector or this sees the other.

    Returns these bytes. Raises the catalog's errors: whoever put them asks again.
    """
    if not sha256s:
        return set()
    needs = await catalog.needs(sha256s, _HOWEVER_LONG_SECONDS)
    lost = sha256s - needs.thumbnails
    if lost:
        await catalog.note_orphans(lost, urgent=True)
    return set(lost)
