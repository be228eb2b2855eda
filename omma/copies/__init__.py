"""Which pictures are copies of one another: signatures as columns, the rule over pairs, and groups by connection."""

from omma.copies.groups import MERGED, Pair, grouped
from omma.copies.rule import SIGNATURE_RULE, copies
from omma.copies.signatures import Signatures, readable

__all__ = ["MERGED", "SIGNATURE_RULE", "Pair", "Signatures", "copies", "grouped", "readable"]
