"""Certificates for tests, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from omma.rpc.tls import TlsFiles

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def self_signed(folder: Path, names: str) -> TlsFiles:
    """Its own authority. names: `DNS:localhost,IP:127.0.0.1`. Skips the test where openssl is missing."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    told = ["-days", "1", "-subj", "/CN=omma", "-addext", f"subjectAltName={names}"]
    _openssl("req", "-x509", *_KEY, *told, "-keyout", key, "-out", certificate)
    return TlsFiles(certificate, key, authority=certificate)


@dataclass(frozen=True)
class Authority:
    """Signs for services. folder: its own."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> "Authority":
        """Skips the test where openssl is missing."""
        folder.mkdir()
        new = cls(folder)
        subject = ["-days", "2", "-subj", f"/CN={folder.name}"]
        _openssl("req", "-x509", *_KEY, *subject, "-keyout", folder / "ca.key", "-out", new.certificate)
        return new

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    def signed(self, names: str) -> tuple[bytes, bytes]:
        """A new certificate and its key, as PEM. names: as of `self_signed`."""
        key, asked, signed = (self.folder / name for name in ("tls.key", "tls.csr", "tls.crt"))
        _openssl("req", *_KEY, "-subj", "/CN=omma", "-addext", f"subjectAltName={names}", "-keyout", key, "-out", asked)
        by = ["-CA", self.certificate, "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-copy_extensions", "copy"]
        _openssl("x509", "-req", "-in", asked, *by, "-days", "1", "-out", signed)
        return signed.read_bytes(), key.read_bytes()


def _openssl(*words: str | Path) -> None:
    try:
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the certificate, is not here")
