"""What every table of the catalog is made of."""

from typing import Final

from sqlalchemy import JSON, BigInteger, Integer, MetaData
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# AUTOINCREMENT in SQLite exists for INTEGER only, which is 64 bits wide there.
SERIAL: Final = BigInteger().with_variant(Integer(), "sqlite")
DOCUMENT: Final = JSON().with_variant(JSONB(), "postgresql")
IDS: Final = JSON().with_variant(ARRAY(BigInteger), "postgresql")
