"""The cluster on one machine: every service a process, on real Kafka, MinIO, PostgreSQL and Triton.

    with cluster(Shape(shards=4, replicas=2)) as running:
        ...  # running.rest, running.grpc; running.shards[2][0].kill()

`make cluster` holds one until Ctrl-C; tests of faults and load tests start theirs from here too.
"""

from deploy.local.cluster import Cluster, cluster
from deploy.local.shape import Shape

__all__ = ["Cluster", "Shape", "cluster"]
