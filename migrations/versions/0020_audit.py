"""Who changed what. The version before this one writes none of it."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision: str | None = "0019"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Text, nullable=False, comment="orders by time"),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False, comment="the caller's"),
        sa.Column("credential", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("call", sa.Text, nullable=False, comment="method and route, or service and method"),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_tenant_id", "audit", ["tenant", "id"])
    op.create_index("ix_audit_at_ms", "audit", ["at_ms"])


def downgrade() -> None:
    op.drop_table("audit")
