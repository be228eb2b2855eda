"""The real servers that tests, load tests and `make cluster` run on: started here, or given by the environment.

    with kafka() as part:
        ...  # part.brokers

A part is built once into ~/.cache/omma/parts, listens on a free port, keeps its data in a temporary folder, answers
when its block begins, and is gone with its data when the block ends or the process that started it dies. What cannot be
had raises PartMissing, which says how to get it; pytest skips then, or fails when CI=true (fixtures.py).
`python -m deploy.parts up kafka minio postgres` holds parts until Ctrl-C.
"""

from deploy.parts.kafka import Kafka, kafka
from deploy.parts.minio import Minio, minio
from deploy.parts.missing import PartMissing
from deploy.parts.postgres import Postgres, postgres
from deploy.parts.server import Server
from deploy.parts.toxiproxy import Proxy, Toxiproxy, toxiproxy
from deploy.parts.triton import Triton, triton

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
