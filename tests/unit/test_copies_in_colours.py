"""One thing in eight colours is eight things, to the first step and to the second look: the demo's whole catalogue."""

from itertools import combinations
from random import Random

import pytest

from omma.copies import Seen, Signatures, copies, look
from omma.images import signature
from services.standalone.sample.canvas import COLOURS
from services.standalone.sample.catalogue import VARIANTS, samples

KINDS = sorted({sample.tags[1] for sample in samples()})


@pytest.mark.parametrize("kind", KINDS)
def test_none_is_folded_into_one_of_another_colour(kind: str) -> None:
    of_kind = [sample for sample in samples() if sample.tags[1] == kind]
    drawn = [sample.draw(Random(sample.seed), COLOURS[sample.colour]).finished() for sample in of_kind]
    assert len(drawn) == VARIANTS
    signed = [signature(one) for one in drawn]
    assert copies(Signatures.of(signed)) == copies(Signatures.of(signed[::-1])) == []
    seen = [Seen.of(one) for one in drawn]
    assert [pair for pair in combinations(range(VARIANTS), 2) if look(seen[pair[0]], seen[pair[1]]).same] == []
