"""Questions to the brokers that belong to no producer or consumer."""

import asyncio
import random
import ssl
from typing import Any, Final

from aiokafka import errors
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.conn import create_conn
from aiokafka.protocol.api import Request

from omma.errors import WrongState
from omma.log.kafka.errors import translated
from omma.log.kafka.settings import KafkaSettings

_CONNECT_SECONDS: Final = 2.0
"""A host that is gone answers nothing; the kernel's own tries come ever more seldom."""
_REFUSED: Final = (
    errors.AuthenticationFailedError,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
)


class Connection:
    """Any broker that answers will do; each question is bounded by request_seconds."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client = AIOKafkaClient(**settings.connection())
        self.closed = False

    async def start(self) -> None:
        """Raises ReplicaDown when no broker answers, WrongState when one does not let us in."""
        with translated():
            async with asyncio.timeout(self._settings.request_seconds):
                await self._require_listening()
                try:
                    await self._client.bootstrap()
                except errors.KafkaConnectionError:
                    await self._require_let_in()
                    raise

    async def ask(self, request: Request[Any]) -> Any:
        """Raises ReplicaDown when no broker answers, WrongState after `close`."""
        self.require_open()
        with translated():
            async with asyncio.timeout(self._settings.request_seconds):
                return await self._ask(request)

    async def ask_coordinator(self, group: str, request: Request[Any]) -> Any:
        """Ask the broker that coordinates the group. Raises as `ask`."""
        self.require_open()
        with translated():
            async with asyncio.timeout(self._settings.request_seconds):
                node = await self._client.coordinator_lookup(CoordinationType.GROUP, group)
                return await self._client.send(node, request)

    def require_open(self) -> None:
        if self.closed:
            raise WrongState("The log is closed.")

    async def close(self) -> None:
        self.closed = True
        await self._client.close()

    async def _require_listening(self) -> None:
        """Raises OSError when nothing listens where the brokers should: aiokafka would log an error for each."""
        away: OSError = OSError("No broker is named.")
        for host, port, _ in self._client.hosts:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    _, writer = await asyncio.open_connection(host, port)
            except OSError as error:
                away = error
            else:
                writer.close()
                return
        raise away

    async def _require_let_in(self) -> None:
        """Raises WrongState when a broker refuses our password, or we its certificate: aiokafka only says that none
        answers.
        """
        if self._settings.security_protocol == "PLAINTEXT":
            return
        arguments = self._settings.connection()
        del arguments["bootstrap_servers"], arguments["retry_backoff_ms"]
        for host, port, _ in self._client.hosts:
            try:
                (await create_conn(host, port, **arguments)).close()
            except _REFUSED as error:
                raise WrongState(f"Kafka does not let us in: {error}.", field="OMMA_KAFKA__PASSWORD") from error
            except ssl.SSLCertVerificationError as error:
                raise WrongState(f"Kafka's certificate is refused: {error}.", field="OMMA_KAFKA__AUTHORITY") from error
            except (errors.KafkaError, OSError):
                continue

    async def _ask(self, request: Request[Any]) -> Any:
        brokers = list(self._client.cluster.brokers())
        random.shuffle(brokers)
        failure: errors.KafkaError = errors.NoBrokersAvailable()
        for broker in brokers:
            try:
                return await self._client.send(broker.nodeId, request)
            except errors.KafkaError as error:
                failure = error
        # They may have moved: the next question finds those that there are now.
        self._client.force_metadata_update()
        raise failure
