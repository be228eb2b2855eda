"""How much tenants may keep, and triggers that count what of it is used, also of the version before this one.

Whoever makes `images` anew, as Alembic's batches do on SQLite, makes these triggers anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision: str | None = "0020"

_ADDED = """
UPDATE quotas SET pictures = pictures + 1, bytes = bytes + NEW.bytes WHERE tenant_id = NEW.tenant_id;
"""
_GONE = """
UPDATE quotas SET pictures = pictures - 1, bytes = bytes - OLD.bytes WHERE tenant_id = OLD.tenant_id;
"""
_CHANGED = """
UPDATE quotas SET
    pictures = pictures
        + CASE WHEN NEW.state <> 'deleted' THEN 1 ELSE 0 END
        - CASE WHEN OLD.state <> 'deleted' THEN 1 ELSE 0 END,
    bytes = bytes
        + CASE WHEN NEW.state <> 'deleted' THEN NEW.bytes ELSE 0 END
        - CASE WHEN OLD.state <> 'deleted' THEN OLD.bytes ELSE 0 END
WHERE tenant_id = NEW.tenant_id;
"""
_TRIGGERS = {
    "quotas_added": ("INSERT", "NEW.state <> 'deleted'", _ADDED),
    "quotas_changed": (
        "UPDATE OF state, bytes",
        "(OLD.state <> 'deleted') <> (NEW.state <> 'deleted') OR OLD.bytes <> NEW.bytes",
        _CHANGED,
    ),
    "quotas_gone": ("DELETE", "OLD.state <> 'deleted'", _GONE),
}


def upgrade() -> None:
    op.create_table(
        "quotas",
        sa.Column("tenant_id", sa.Text, nullable=False, comment="or *, for those that have none"),
        sa.Column("max_pictures", sa.BigInteger, comment="null: any number"),
        sa.Column("max_bytes", sa.BigInteger, comment="null: any number"),
        sa.Column("pictures", sa.BigInteger, nullable=False, comment="counted by triggers on images"),
        sa.Column("bytes", sa.BigInteger, nullable=False, comment="counted by triggers on images"),
        sa.Column("inherits", sa.Boolean, nullable=False, comment="the limits are those of *"),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_quotas"),
    )
    postgres = op.get_bind().dialect.name == "postgresql"
    for name, (event, condition, statement) in _TRIGGERS.items():
        when = f"AFTER {event} ON images FOR EACH ROW WHEN ({condition})"
        if postgres:
            op.execute(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement} RETURN NULL; END $$"
            )
            op.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()")
        else:
            op.execute(f"CREATE TRIGGER {name} {when} BEGIN {statement} END")


def downgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    for name in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON images" if postgres else f"DROP TRIGGER {name}")
        if postgres:
            op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("quotas")
