"""The catalog over TLS: a certificate made here, checked or not as the settings say."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy import parts
from omma.catalog.interface import Catalog
from omma.catalog.postgres import open_postgres_catalog
from omma.catalog.postgres_settings import PostgresSettings
from omma.errors import WrongState
from tests.databases import fresh_database
from tests.part_fixtures import skip_without


@pytest.fixture
def certificate(postgres: parts.Postgres) -> Iterator[Path]:
    """Self-signed for localhost alone, so its own authority; it lies with its key where the server may read it."""
    try:
        folder = postgres.server.folder / "tls"
    except parts.PartMissing as missing:
        skip_without(missing)
    folder.mkdir()
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    paths = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run([*new, *names, "-days", "1", *paths], check=True, capture_output=True)
    owner = postgres.server.folder.owner()
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, owner)
    yield folder / "cert.pem"
    shutil.rmtree(folder)


@pytest.fixture
async def url(postgres: parts.Postgres, certificate: Path) -> AsyncIterator[str]:
    given = {"ssl_cert_file": certificate, "ssl_key_file": certificate.with_name("key.pem"), "ssl": "on"}
    server = await asyncpg.connect(postgres.url)
    for name, value in given.items():
        await server.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    await server.execute("SELECT pg_reload_conf()")
    async with fresh_database(postgres) as database:
        yield database
    for name in given:
        await server.execute(f"ALTER SYSTEM RESET {name}")
    await server.execute("SELECT pg_reload_conf()")
    await server.close()


async def opened(url: str, **more: Any) -> Catalog:
    return await open_postgres_catalog(PostgresSettings.model_validate({"url": url, **more}))


async def over_tls(url: str) -> list[bool]:
    """Of each connection of ours."""
    server = await asyncpg.connect(url, ssl=False)
    query = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'omma'"
    found = [row["ssl"] for row in await server.fetch(query)]
    await server.close()
    return found


async def test_what_the_settings_demand_is_what_is_spoken(url: str, certificate: Path) -> None:
    named = url.replace("127.0.0.1", "localhost")
    for wanted in (
        {"tls": "verify", "tls_authority": certificate},
        {"tls": "require"},
        {"tls": "off"},
    ):
        catalog = await opened(named, **wanted)
        assert (await catalog.counts())["pending"] == 0
        assert set(await over_tls(url)) == {wanted["tls"] != "off"}
        await catalog.close()


async def test_another_host_or_authority_is_refused(url: str, certificate: Path) -> None:
    with pytest.raises(WrongState, match="certificate"):
        await opened(url, tls="verify", tls_authority=certificate)
    with pytest.raises(WrongState, match="certificate"):
        await opened(url.replace("127.0.0.1", "localhost"), tls="verify")
