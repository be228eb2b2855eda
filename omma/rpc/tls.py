"""TLS for channels and servers, from PEM files that are renewed while the process runs."""

import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import grpc

LOOK_SECONDS: Final = 10.0
"""Between two looks at files that channels were opened with; a server looks before each handshake."""

Stamps: TypeAlias = tuple[tuple[int, int, int], ...]
"""Of each file what changes with it: inode, size, time of change."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """certificate and key: this side's own, which a client may go without. authority: who signed the other side's;
    a server that has one demands certificates of its clients.
    """

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None

    def server_credentials(self) -> grpc.ServerCredentials:
        """Each handshake is made with the files as they are then. Reads them, blocking. Raises OSError; ValueError
        without certificate and key, or when they do not belong together.
        """
        if self.certificate is None or self.key is None:
            raise ValueError("A server's TLS needs a certificate and a key.")
        pem = _Pem(self)

        def present() -> grpc.ServerCertificateConfiguration:
            pem.renewed()
            return pem.served()

        demanded = self.authority is not None
        return grpc.dynamic_ssl_server_credentials(pem.served(), present, require_client_authentication=demanded)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Of the files as they are now. Without an authority: the system's. Reads them. Raises OSError, ValueError."""
        return _Pem(self).asked()

    def stamps(self) -> Stamps:
        """Raises OSError."""
        there = (path.stat() for path in (self.certificate, self.key, self.authority) if path is not None)
        return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in there)


class RenewedCredentials:
    """Of channels, of one process: read again when the files have changed. Owned by one loop."""

    def __init__(
        self, files: TlsFiles, *, look_seconds: float = LOOK_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Reads the files. Raises OSError, ValueError."""
        self._pem = _Pem(files)
        self._look_seconds = look_seconds
        self._clock = clock
        self._next_look = clock() + look_seconds
        self.current = self._pem.asked()

    def look(self) -> grpc.ChannelCredentials:
        """Those to open a channel with now: another object than before when the files have been renewed."""
        if self._clock() >= self._next_look:
            self._next_look = self._clock() + self._look_seconds
            if self._pem.renewed():
                self.current = self._pem.asked()
        return self.current


class _Pem:
    """What the files say. While they cannot be read, or are half renewed, what they said before holds."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._refused: Stamps = ()
        self._read()

    def renewed(self) -> bool:
        """Read again if they changed; whether there is something new."""
        try:
            if self._files.stamps() in (self._stamps, self._refused):
                return False
            self._read()
        except (OSError, ValueError) as error:
            logger.warning("renewed TLS files are not used yet", extra={"reason": str(error)})
            return False
        logger.info("TLS files were renewed", extra={"certificate": str(self._files.certificate)})
        return True

    def served(self) -> grpc.ServerCertificateConfiguration:
        assert self._key is not None and self._certificate is not None
        return grpc.ssl_server_certificate_configuration([(self._key, self._certificate)], self._authority)

    def asked(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self._authority, self._key, self._certificate)

    def _read(self) -> None:
        files, stamps = self._files, self._files.stamps()
        _require_pair(files)
        certificate, key, authority = (_read(path) for path in (files.certificate, files.key, files.authority))
        if files.stamps() != stamps:
            raise ValueError("They change while they are read.")
        self._stamps, self._certificate, self._key, self._authority = stamps, certificate, key, authority


def _require_pair(files: TlsFiles) -> None:
    """Raises ValueError unless the key is the certificate's and the authority is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if files.certificate is not None and files.key is not None:
            context.load_cert_chain(files.certificate, files.key)
        if files.authority is not None:
            context.load_verify_locations(files.authority)
    except ssl.SSLError as error:
        raise ValueError(f"Certificate, key and authority are no whole: {error.reason or error}.") from error


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
