"""Certificates for tests, made by openssl."""

import subprocess
from pathlib import Path

import pytest

from omma.rpc.tls import TlsFiles


def self_signed(folder: Path, names: str) -> TlsFiles:
    """Its own authority. names: `DNS:localhost,IP:127.0.0.1`. Skips the test where openssl is missing."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    told = ["-days", "1", "-subj", "/CN=omma", "-addext", f"subjectAltName={names}"]
    try:
        subprocess.run([*new, *told, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the certificate, is not here")
    return TlsFiles(certificate, key, authority=certificate)
