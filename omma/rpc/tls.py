"""TLS for channels and servers, from PEM files."""

from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """certificate and key: this side's own, which a client may go without. authority: who signed the other side's;
    a server that has one demands certificates of its clients.
    """

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None

    def server_credentials(self) -> grpc.ServerCredentials:
        """Reads the files, blocking. Raises OSError; ValueError without certificate and key."""
        if self.certificate is None or self.key is None:
            raise ValueError("A server's TLS needs a certificate and a key.")
        return grpc.ssl_server_credentials(
            [(self.key.read_bytes(), self.certificate.read_bytes())],
            root_certificates=_read(self.authority),
            require_client_auth=self.authority is not None,
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Without an authority: the system's. Reads the files. Raises OSError."""
        return grpc.ssl_channel_credentials(_read(self.authority), _read(self.key), _read(self.certificate))


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
