"""Uploads at an address of their own: signed, short, bounded; then ingested."""

from pathlib import Path

import httpx
import pytest

from omma.catalog.api_key import ApiKey, Role
from omma.identity import Tenant
from services.gateway.callers.auth import hash_secret
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(300)


async def test_a_picture_is_put_without_a_key_and_ingested(tmp_path: Path) -> None:
    settings = StandaloneSettings(
        data_dir=tmp_path / "data", http_port=0, grpc_port=0, gateway={"keys_max_age_seconds": 0.0}
    )
    content = encoded(scene())
    async with (
        serving(settings) as (omma, address),
        httpx.AsyncClient(base_url=address.url, timeout=60, trust_env=False) as rest,
    ):
        for tenant in ("ann", "bob"):
            key = ApiKey(hash_secret(tenant), tenant, Tenant(tenant), Role.TENANT_ADMIN, 0)
            await omma.services.storage.catalog.add_api_key(key)
        ann, bob = ({"authorization": f"Bearer {tenant}"} for tenant in ("ann", "bob"))
        for size, status in ((0, 422), (10**12, 413)):
            refused = await rest.post("/images/presign", json={"bytes": size}, headers=ann)
            assert (refused.status_code, refused.json()["field"]) == (status, "bytes")

        given = (await rest.post("/images/presign", json={"bytes": len(content)}, headers=ann)).json()
        url = given["url"]
        for wrong in (url.replace("tenant=ann", "tenant=bob"), url[:-1], url.replace("bytes=", "bytes=1"), f"{url}é"):
            assert (await rest.put(wrong, content=content)).status_code == 404, (wrong, url)
        assert (await rest.put(url, content=content[:-1])).status_code == 422
        assert (await rest.put(url, content=content + b"x")).status_code == 413
        assert (await rest.put(url, content=content, headers=given["headers"])).status_code == 204

        async def ingested(headers: dict[str, str], **said: object) -> dict[str, object]:
            body = {"uploads": [{"upload": given["upload"], **said}]}
            started = await rest.post("/images/ingest", json=body, headers=headers)
            assert started.status_code == 202, started.text
            while True:
                job = (await rest.get(f"/jobs/{started.json()['job_id']}", headers=headers)).json()
                if job["state"] not in ("waiting", "running"):
                    return job

        assert (await ingested(bob))["result"]["failed"] == {"absent": 1}, "another tenant's"
        job = await ingested(ann, tags=["lamp"])
        assert (job["state"], job["created"]) == ("done", 1)
        (row,) = (await rest.get("/images", headers=ann)).json()["images"]
        assert (row["key"], row["tags"]) == (row["sha256"], ["lamp"])
        got = await rest.get(f"/images/{row['id']}/content", headers=ann)
        assert got.content == content
        assert [key async for key in omma.services.storage.blobs.keys("uploads/")] == []
        wrong = await rest.post("/images/ingest", json={"uploads": [{"upload": "x"}]}, headers=ann)
        assert wrong.status_code == 422
