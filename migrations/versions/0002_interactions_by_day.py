"""Interactions by day and once by their place in the log; objects that are gone keep their sequencer.

The version before this one writes on: its inserts name columns that stay, and PostgreSQL finds the day's partition,
made here a week ahead. Its own repeats after a crash are no longer recognised.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"

_TO_DAYS = """
ALTER TABLE interactions RENAME TO interactions_0001;
CREATE TABLE interactions (LIKE interactions_0001 INCLUDING DEFAULTS INCLUDING COMMENTS) PARTITION BY RANGE (ts);
DO $$
DECLARE day bigint;
BEGIN
    FOR day IN
        SELECT ts / 86400000 FROM interactions_0001
        UNION SELECT floor(extract(epoch FROM now()) / 86400)::bigint + ahead FROM generate_series(-1, 7) AS ahead
    LOOP
        EXECUTE format(
            'CREATE TABLE interactions_%s PARTITION OF interactions FOR VALUES FROM (%s) TO (%s)',
            to_char(date '1970-01-01' + day::integer, 'YYYYMMDD'), day * 86400000, (day + 1) * 86400000
        );
    END LOOP;
END $$;
INSERT INTO interactions SELECT * FROM interactions_0001;
ALTER SEQUENCE interactions_id_seq OWNED BY interactions.id;
DROP TABLE interactions_0001;
ALTER TABLE interactions ADD CONSTRAINT pk_interactions_ts_id PRIMARY KEY (ts, id)
"""

_TO_ONE = """
ALTER TABLE interactions RENAME TO interactions_0002;
CREATE TABLE interactions (LIKE interactions_0002 INCLUDING DEFAULTS INCLUDING COMMENTS);
INSERT INTO interactions
    SELECT DISTINCT ON (tenant_id, ts, user_id, query_id, query_image_id, displayed_image_id, rank, type) *
    FROM interactions_0002;
ALTER SEQUENCE interactions_id_seq OWNED BY interactions.id;
DROP TABLE interactions_0002;
ALTER TABLE interactions ADD PRIMARY KEY (id);
ALTER TABLE interactions ADD CONSTRAINT uq_interactions_once
    UNIQUE (tenant_id, ts, user_id, query_id, query_image_id, displayed_image_id, rank, type)
"""

_ONCE = ["tenant_id", "ts", "user_id", "query_id", "query_image_id", "displayed_image_id", "rank", "type"]


def upgrade() -> None:
    op.create_table(
        "interaction_offsets",
        sa.Column("log", sa.Text, primary_key=True, comment="its identity"),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False, comment="of the first record that is no row yet"),
    )
    if op.get_context().dialect.name == "postgresql":
        _run(_TO_DAYS)
        op.alter_column("objects", "image_id", nullable=True, comment="null: the object was deleted")
        return
    with op.batch_alter_table("interactions", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.drop_constraint("uq_interactions_once", type_="unique")
    op.create_index("ix_interactions_ts_id", "interactions", ["ts", "id"])
    with op.batch_alter_table("objects") as table:
        table.alter_column("image_id", existing_type=sa.BigInteger, nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM objects WHERE image_id IS NULL")
    if op.get_context().dialect.name == "postgresql":
        _run(_TO_ONE)
        op.alter_column("objects", "image_id", nullable=False, comment=None)
    else:
        op.drop_index("ix_interactions_ts_id", "interactions")
        op.execute(
            "DELETE FROM interactions WHERE id NOT IN (SELECT min(id) FROM interactions GROUP BY "
            "tenant_id, ts, user_id, query_id, query_image_id, displayed_image_id, rank, type)"
        )
        with op.batch_alter_table("interactions", table_kwargs={"sqlite_autoincrement": True}) as table:
            table.create_unique_constraint("uq_interactions_once", _ONCE)
        with op.batch_alter_table("objects") as table:
            table.alter_column("image_id", existing_type=sa.BigInteger, nullable=False)
    op.drop_table("interaction_offsets")


def _run(script: str) -> None:
    """asyncpg prepares what it is given: one statement at a time. The body of DO is the only one with semicolons."""
    before, body, after = script.partition("DO $$") if "DO $$" in script else (script, "", "")
    block, end, rest = (body + after).partition("END $$;")
    for statement in [*before.split(";\n"), (block + end).rstrip(";"), *rest.split(";\n")]:
        if statement.strip():
            op.execute(statement.strip())
