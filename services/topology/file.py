"""OMMA_TOPOLOGY, followed while the process runs. A Kubernetes ConfigMap is swapped under its name, so the content is
compared, not the file.
"""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from omma.errors import WrongState
from omma.telemetry.metrics import TOPOLOGY_REFUSED
from services.topology.document import MAX_BYTES, SETTING, Topology, parsed

logger = logging.getLogger(__name__)


class TopologyFile:
    """The last good content counts, whatever comes after it. fault: what is wrong with the present one, or empty."""

    def __init__(self, path: Path) -> None:
        """Reads it. Raises WrongState, field OMMA_TOPOLOGY."""
        self._path = path
        self._content = self._read()
        self.topology: Topology = parsed(self._content)
        self.fault = ""
        TOPOLOGY_REFUSED.set(0)

    async def look(self) -> None:
        """Once. What cannot be read or is wrong is told in the log once, and in a metric while it lasts."""
        try:
            content = await asyncio.to_thread(self._read)
            if content == self._content:
                self._good()
                return
            topology = parsed(content)
        except WrongState as error:
            if error.detail != self.fault:
                logger.error("the topology stays as it was: %s", error.detail)
            self.fault = error.detail
            TOPOLOGY_REFUSED.set(1)
            return
        self._content, self.topology = content, topology
        self._good()
        logger.info("the topology has changed", extra={"indexes": [one.index for one in topology.indexes]})

    def _good(self) -> None:
        self.fault = ""
        TOPOLOGY_REFUSED.set(0)

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except OSError as error:
            raise WrongState(f"{self._path} cannot be read: {error.strerror}.", field=SETTING) from None


def open_topology(path: Path | None, fixed: Mapping[str, object]) -> TopologyFile | None:
    """None where settings say where the one index is. fixed: those, by name.

    Raises WrongState, field OMMA_TOPOLOGY, when neither or both say it; as TopologyFile.
    """
    given = [name for name, value in fixed.items() if value]
    if path is None:
        if len(given) < len(fixed):
            raise WrongState(
                f"Say where the indexes are: {SETTING} names a file that does, or {' and '.join(fixed)} say it of one.",
                field=SETTING,
            )
        return None
    if given:
        raise WrongState(f"{SETTING} and {given[0]} both say where indexes are: leave one out.", field=SETTING)
    return TopologyFile(path)
