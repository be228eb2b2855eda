"""An index: a space plus how it is searched. Every change to how search answers is a new index."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NewType

from omma.errors import InvalidQuery
from omma.space import SpaceId

IndexId = NewType("IndexId", str)
"""`<space id>.<n>`."""

DEFAULT_FACTORY = "OPQ128_256,IVF{nlist},PQ128x4fs"
"""nlist is chosen from the training size when the codebook is trained; the rest shrinks to the space's dimensions."""
MAX_SHARDS: Final = 256
"""Of an index: as many as a space has buckets unless told."""
_FACTORY = re.compile(
    r"(?:OPQ(?P<blocks>\d{1,4})_(?P<out>\d{1,5}),)?IVF(?P<nlist>\d{1,7}|\{nlist\}),PQ(?P<m>\d{1,4})(?P<bits>x8|x4fs)?"
)


@dataclass(frozen=True, slots=True)
class Factory:
    """A FAISS factory string taken apart. out: dimensions after OPQ, None without it. nlist: None: to be chosen.

    blocks: of PQ. four_bits: a block, for fast scan; otherwise eight.
    """

    out: int | None
    nlist: int | None
    blocks: int
    four_bits: bool

    @classmethod
    def parsed(cls, text: str) -> "Factory":
        """Raises InvalidQuery, field `factory`."""
        match = _FACTORY.fullmatch(text.replace(" ", ""))
        if match is None or int(match["m"]) < 1 or match["blocks"] not in (None, match["m"]):
            forms = "'OPQm_d,IVF{nlist},PQmx4fs' or 'OPQm_d,IVF{nlist},PQmx8'"
            raise InvalidQuery(f"{text[:80]!r} is not of the form {forms}.", field="factory")
        out, nlist = match["out"], match["nlist"]
        return cls(
            None if out is None else int(out),
            int(nlist) if nlist.isdecimal() else None,
            int(match["m"]),
            match["bits"] == "x4fs",
        )


class IndexState(StrEnum):
    """The walk of an index: built beside the live one, compared, given a share, live, kept for going back, gone.

    standby: was live, reads the log and can be gone back to.
    """

    BUILDING = "building"
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"
    STANDBY = "standby"
    RETIRED = "retired"


def codebook_key(sha256: str) -> str:
    """Where a published codebook lies. Indexes of one space may share it."""
    return f"codebooks/{sha256}"


@dataclass(frozen=True, slots=True)
class Index:
    """factory: a FAISS factory string. codebook: sha256 of the published codebook, None while search is exact.

    match_score: from this cosine on a picture's neighbour is more likely right than not; None while it is not known.
    """

    id: IndexId
    space: SpaceId
    factory: str
    shards: int
    state: IndexState
    codebook: str | None = None
    match_score: float | None = None
