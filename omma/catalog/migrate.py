"""Bringing a database to this version's schema, with what lies in migrations/."""

import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import migrations
from omma.errors import WrongState

_SCRIPTS: Final = Path(migrations.__file__).parent

logger = logging.getLogger(__name__)


def upgrade(connection: Connection, *, accept_newer: bool = True) -> None:
    """Migrate to the newest schema inside the connection's transaction; nothing to do costs a few milliseconds.

    A schema of a later version is used as it is, since migrations only expand: that is what makes going back possible.
    Raises WrongState for it, nothing changed, when accept_newer is False.
    """
    configuration = alembic_configuration()
    if unknown := _unknown_revisions(connection, configuration):
        said = f"The catalog's schema is {', '.join(unknown)}, of a later version of Omma than this one."
        if not accept_newer:
            raise WrongState(f"{said} Nothing was changed: install that version or a later one.")
        logger.warning("%s It is used as it is.", said)
        return
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")


def alembic_configuration() -> Config:
    """Alembic's settings without a file: where the migrations lie."""
    configuration = Config()
    configuration.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return configuration


def _unknown_revisions(connection: Connection, configuration: Config) -> list[str]:
    """Revisions that the database has and migrations/ has not."""
    known = {script.revision for script in ScriptDirectory.from_config(configuration).walk_revisions()}
    return [one for one in MigrationContext.configure(connection).get_current_heads() if one not in known]
