"""Which pictures are copies of one another: signatures as columns, the rule over pairs, a second look at the pictures
themselves, and groups by connection.
"""

from omma.copies.gate import LOOKED_AT_BITS, nearest_bits
from omma.copies.groups import MERGED, Pair, grouped
from omma.copies.look import LOOK_VERSION, Seen, Verdict, Why, look
from omma.copies.membership import GroupIds, GroupPair
from omma.copies.rule import SIGNATURE_RULE, copies
from omma.copies.signatures import Signatures, readable

__all__ = [
    "LOOKED_AT_BITS",
    "LOOK_VERSION",
    "MERGED",
    "SIGNATURE_RULE",
    "GroupIds",
    "GroupPair",
    "Pair",
    "Seen",
    "Signatures",
    "Verdict",
    "Why",
    "copies",
    "grouped",
    "look",
    "nearest_bits",
    "readable",
]
