"""A schema of a later version: used after a rollback, refused before an upgrade changes anything."""

import logging
from io import StringIO
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, text

from omma.catalog.migrate import alembic_configuration, upgrade
from omma.errors import WrongState


@pytest.mark.parametrize("accept", [True, False])
def test_a_later_schema_is_used_as_it_is_or_refused(
    accept: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    with engine.begin() as connection:
        upgrade(connection, accept_newer=False)
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with engine.begin() as connection, caplog.at_level(logging.WARNING):
        if accept:
            upgrade(connection)
            assert "9999" in caplog.text
        else:
            with pytest.raises(WrongState, match="9999"):
                upgrade(connection, accept_newer=False)
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
    engine.dispose()


def test_what_gateways_write_all_the_time_is_not_locked_while_an_index_is_built() -> None:
    """All revisions run in one transaction, which keeps each lock to its end."""
    configuration = alembic_configuration()
    configuration.output_buffer = StringIO()
    command.upgrade(configuration, "0028:head", sql=True)
    sql = configuration.output_buffer.getvalue()
    assert -1 < sql.rfind("CREATE INDEX") < sql.find("ALTER TABLE rollout_minutes")
