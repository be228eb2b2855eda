"""Which pictures are copies of one another: signatures as columns, the rule over pairs, and groups by connection."""

from omma.copies.groups import MERGED, Pair, grouped
from omma.copies.rule import copies
from omma.copies.signatures import Signatures

__all__ = ["MERGED", "Pair", "Signatures", "copies", "grouped"]
