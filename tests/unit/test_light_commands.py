"""What only asks a server, or tells its options, starts without what a server is made of."""

import os
import subprocess
import sys

import pytest

from omma.errors import Kind
from services.standalone.output import EXIT_CODES

HEAVY = (
    "aiokafka",
    "alembic",
    "asyncpg",
    "boto3",
    "faiss",
    "fastapi",
    "onnxruntime",
    "sqlalchemy",
    "tokenizers",
    "torch",
)
_RUN = """
import sys
from services.standalone.cli import command_line
try:
    command_line()(sys.argv[2:])
finally:
    print("loaded:", *sorted(set(sys.argv[1].split(",")) & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "line", ["--help", "eval --help", "audit", "index list", "dead-letters list", "feedback list", "search 1"]
)
def test_a_light_command_loads_nothing_heavy(line: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMMA_")}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, ",".join(HEAVY), *line.split()],
        env=kept | {"OMMA_URL": "http://127.0.0.1:1"},  # where nobody answers
        capture_output=True,
        text=True,
        check=False,
    )
    code = 0 if "--help" in line else EXIT_CODES[Kind.REPLICA_DOWN]
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (code, ["loaded:"]), done.stderr
