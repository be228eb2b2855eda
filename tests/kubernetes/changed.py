"""python -m tests.kubernetes.changed FOLDER: what is committed as a later version would be, to build an image of.

Its version is another, and its schema has one migration more: an upgrade to it migrates, and after a rollback this
version works on a schema that it does not know.
"""

import re
import subprocess
import sys
from pathlib import Path

from alembic.script import ScriptDirectory

from omma.catalog.migrate import alembic_configuration
from tests.conftest import ROOT

REVISION = "9999"
"""Of its schema."""

_MIGRATION = f'''"""A table that this version knows nothing of."""

import sqlalchemy as sa
from alembic import op

revision = "{REVISION}"
down_revision: str | None = "{{former}}"


def upgrade() -> None:
    op.create_table("of_a_later_version", sa.Column("id", sa.BigInteger, primary_key=True))
'''


def write_changed(folder: Path) -> str:
    """Returns its version."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-C", folder, "-x"], input=archive, check=True)
    project = folder / "pyproject.toml"
    (former,) = re.findall(r'^version = "(.*)"$', project.read_text(), re.MULTILINE)
    version = f"{former}.post1"
    project.write_text(project.read_text().replace(f'version = "{former}"', f'version = "{version}"', 1))
    head = ScriptDirectory.from_config(alembic_configuration()).get_current_head()
    (folder / "migrations" / "versions" / f"{REVISION}_later.py").write_text(_MIGRATION.format(former=head))
    return version


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    print(write_changed(target))
