"""Bringing a database to this version's schema, with what lies in migrations/."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

import migrations

_SCRIPTS: Final = Path(migrations.__file__).parent


def upgrade(connection: Connection) -> None:
    """Migrate to the newest schema inside the connection's transaction; nothing to do costs a few milliseconds."""
    configuration = alembic_configuration()
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")


def alembic_configuration() -> Config:
    """Alembic's settings without a file: where the migrations lie."""
    configuration = Config()
    configuration.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return configuration
