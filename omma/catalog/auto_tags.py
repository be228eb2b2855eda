"""Tags that nobody gave, in the catalog; see omma.catalog.auto_tag.AutoTagBook."""

from collections.abc import Sequence

from sqlalchemy import and_, delete, select

from omma.catalog.auto_tag import AutoTagged
from omma.catalog.database import Database, uninterrupted
from omma.catalog.schema.people import auto_tags
from omma.catalog.schema.pictures import images
from omma.identity import ImageId, Tenant
from omma.keywords import Keyword, Teller


class AutoTags:
    """See omma.catalog.auto_tag.AutoTagBook."""

    _database: Database

    @uninterrupted
    async def keep_auto_tags(self, tenant: Tenant, tagged: Sequence[AutoTagged]) -> None:
        if not tagged:
            return
        insert = self._database.dialect.insert(auto_tags)
        anew = insert.on_conflict_do_update(
            index_elements=["tenant_id", "image_id"],
            set_={name: insert.excluded[name] for name in ("sha256", "tags", "told_at")},
        )
        now_ms = self._database.now_ms()
        values = [
            {
                "tenant_id": tenant,
                "image_id": one.image_id,
                "sha256": one.sha256,
                "tags": [[tag.word, tag.confidence, *tag.tellers] for tag in one.tags],
                "told_at": now_ms,
            }
            for one in sorted(tagged, key=lambda one: one.image_id)
        ]
        async with self._database.writing() as connection:
            await connection.execute(anew, values)

    @uninterrupted
    async def auto_tags(self, tenant: Tenant, image_id: ImageId) -> tuple[Keyword, ...]:
        columns = auto_tags.c
        same = and_(
            images.c.tenant_id == columns.tenant_id,
            images.c.id == columns.image_id,
            images.c.sha256 == columns.sha256,
        )
        query = select(columns.tags).join(images, same).where(columns.tenant_id == tenant, columns.image_id == image_id)
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        return tuple(Keyword(word, sure, tuple(map(Teller, tellers))) for word, sure, *tellers in found or ())

    @uninterrupted
    async def forget_auto_tags(self, tenant: Tenant) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(auto_tags).where(auto_tags.c.tenant_id == tenant))
