"""Which addresses are public: those of the global unicast space that no registry has set aside. Pure."""

import ipaddress
from collections.abc import Sequence
from typing import Final, TypeAlias

_V4: TypeAlias = ipaddress.IPv4Address
_V6: TypeAlias = ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_RELAYS_V4: Final = ipaddress.IPv4Network("192.88.99.0/24")
"""Anycast of 6to4 relays, deprecated; Python calls it global."""
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
"""All that is given out: https://www.iana.org/assignments/ipv6-address-space"""
_SET_ASIDE_V6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocols, Teredo and benchmarks among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, deprecated: a relay decides where it leads
        "3fff::/20",  # documentation
    )
)
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
_LOW_32: Final = 0xFFFF_FFFF


def is_public(address: str) -> bool:
    """Whether anyone on the internet may be meant by this address, as text; False for what is none.

    IPv4 inside IPv6 counts as what it leads to: mapped and NAT64 addresses, which resolvers do answer with, are as
    public as the IPv4 one; every other form (compatible, translated, local NAT64, 6to4, Teredo) is refused whole.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return _public_v4(parsed) if isinstance(parsed, _V4) else _public_v6(parsed)


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether one of the networks holds this address, as text; False for what is none, or has a zone."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _public_v4(address: _V4) -> bool:
    return address.is_global and not address.is_multicast and address not in _RELAYS_V4


def _public_v6(address: _V6) -> bool:
    if address.scope_id is not None:
        return False
    low = _V4(int(address) & _LOW_32)
    if address in _MAPPED or address in _NAT64:
        return _public_v4(low)
    if address not in _GLOBAL_V6 or any(address in network for network in _SET_ASIDE_V6):
        return False
    return int(address) >> 32 & _LOW_32 not in _ISATAP or _public_v4(low)
