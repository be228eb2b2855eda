"""Where pictures may be fetched from: OMMA_FETCH__…, the same for every process that fetches."""

from ipaddress import IPv4Network, IPv6Network

from pydantic import Field

from omma.settings import Section


class FetchSettings(Section):
    """Public addresses always; others only where they are named here."""

    networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(),
        description='not public, and fetched from all the same, as JSON: ["10.20.0.0/16"]; whoever may send an address '
        "reaches whatever listens there",
    )
