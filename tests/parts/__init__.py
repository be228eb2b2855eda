"""The real servers that tests, load tests and `make cluster` run on: started here, or given by the environment.

    with kafka() as part:
        ...  # part.brokers

A part is built once into ~/.cache/omma/parts, listens on a free port, keeps its data in a temporary folder, answers
when its block begins, and is gone with its data when the block ends or the process that started it dies. What cannot be
had raises PartMissing, which says how to get it; pytest skips then, or fails when CI=true (fixtures.py).
`python -m tests.parts up kafka minio postgres` holds parts until Ctrl-C.
"""

from tests.parts.kafka import Kafka, kafka
from tests.parts.minio import Minio, minio
from tests.parts.missing import PartMissing
from tests.parts.postgres import Postgres, postgres
from tests.parts.server import Server
from tests.parts.toxiproxy import Proxy, Toxiproxy, toxiproxy
from tests.parts.triton import Triton, triton

__all__ = [
    "Kafka",
    "Minio",
    "PartMissing",
    "Postgres",
    "Proxy",
    "Server",
    "Toxiproxy",
    "Triton",
    "kafka",
    "minio",
    "postgres",
    "toxiproxy",
    "triton",
]
