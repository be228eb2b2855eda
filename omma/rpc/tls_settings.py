"""Settings of TLS between the services: OMMA_TLS__…"""

from pathlib import Path

from omma.rpc.tls import TlsFiles
from omma.settings import Section


class TlsSettings(Section):
    """PEM files, OMMA_TLS__…: certificate and key of this process, the authority of the others. None: plain text."""

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None

    def files(self) -> TlsFiles | None:
        if self.certificate is None and self.key is None and self.authority is None:
            return None
        return TlsFiles(self.certificate, self.key, self.authority)
