"""`omma key` on a cluster's catalog: the first key is made before anybody may ask the gateway for one."""

import asyncio
from pathlib import Path

from deploy.parts import Postgres
from omma.catalog.postgres import open_postgres_catalog
from omma.catalog.postgres_settings import PostgresSettings
from services.gateway.callers.auth import hash_secret
from tests.databases import shared_database
from tests.e2e.process import Folder


def test_keys_are_made_listed_and_revoked_in_the_catalog_itself(postgres: Postgres, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "nothing")
    with shared_database(postgres) as url:
        on_it = {"OMMA_POSTGRES__URL": url, "OMMA_MODEL": "there-is-none"}
        made = folder.json("key", "create", "ann", "--role", "admin", **on_it)
        assert [one["name"] for one in folder.json("key", "list", **on_it)] == ["ann"]

        async def stored() -> list[tuple[str, bool]]:
            catalog = await open_postgres_catalog(PostgresSettings(url=url))
            try:
                return [(key.hash, key.revoked) for key in await catalog.api_keys()]
            finally:
                await catalog.close()

        assert asyncio.run(stored()) == [(hash_secret(made["secret"]), False)]
        assert folder.json("key", "revoke", made["id"], **on_it)["revoked"]
        assert asyncio.run(stored()) == [(hash_secret(made["secret"]), True)]
        unknown = folder.run("key", "revoke", "0123456789ab", **on_it)
        assert unknown.returncode == 3 and "absent" in unknown.stderr
    assert not folder.path.exists()
