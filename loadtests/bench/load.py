"""A load generator: closed loops of clients over bare gRPC stubs, in a process of its own.

    python -m loadtests.bench.load '{"server": "omma", "address": …, "clients": 8, "seconds": 5, …}'

Prints one JSON line: latencies in microseconds, and the rows found by the first pass over the queries.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc

from loadtests.bench import vectors

Ask = Callable[[int], list[int]]
"""Query number to the rows found."""


def omma(given: dict[str, Any], queries: vectors.Float32) -> Ask:
    from omma.v1 import shard_pb2, shard_pb2_grpc, types_pb2

    stub = shard_pb2_grpc.ShardServiceStub(_channel(given))
    requests = [
        shard_pb2.ShardServiceSearchRequest(
            index=given["index"], space=given["space"], tenant="default", k=given["k"], effort=given["effort"],
            query=types_pb2.Vectors(data=one.tobytes(), dtype=types_pb2.DTYPE_FLOAT32, dim=len(one)),
            filter=json.dumps({"owner": f"tenant-{at % 100:02d}"}) if given["filtered"] else "",
        )
        for at, one in enumerate(queries)
    ]  # fmt: skip

    def ask(number: int) -> list[int]:
        return [one - 1 for one in stub.Search(requests[number], timeout=10).ids]

    return ask


def weaviate(given: dict[str, Any], queries: vectors.Float32) -> Ask:
    from weaviate.proto.v1 import base_pb2, base_search_pb2, search_get_pb2, weaviate_pb2_grpc

    stub = weaviate_pb2_grpc.WeaviateStub(_channel(given))

    def request(at: int) -> Any:
        made = search_get_pb2.SearchRequest(
            collection="Base", limit=given["k"], uses_123_api=True, uses_125_api=True, uses_127_api=True,
            near_vector=base_search_pb2.NearVector(vector_bytes=queries[at].tobytes()),
            metadata=search_get_pb2.MetadataRequest(uuid=True, distance=True),
        )  # fmt: skip
        if given["filtered"]:
            made.filters.operator = base_pb2.Filters.OPERATOR_EQUAL
            made.filters.target.property = "owner"
            made.filters.value_text = f"tenant-{at % 100:02d}"
        return made

    requests = [request(at) for at in range(len(queries))]

    def ask(number: int) -> list[int]:
        return [int(one.metadata.id.replace("-", ""), 16) for one in stub.Search(requests[number], timeout=10).results]

    return ask


def run(given: dict[str, Any]) -> dict[str, Any]:
    data = vectors.load(given["data_set"])
    ask = {"omma": omma, "weaviate": weaviate}[given["server"]](given, data.queries)
    found = [ask(number) for number in range(len(data.queries))] if given["with_recall"] else []
    clients, first = given["clients"], given["first_query"]
    latencies: list[list[float]] = [[] for _ in range(clients)]
    ready = threading.Barrier(clients + 1)

    def client(number: int) -> None:
        own, at, clock = latencies[number], first + number * 37, time.perf_counter
        ask(at % len(data.queries))
        ready.wait()
        until = clock() + given["seconds"]
        while (start := clock()) < until:
            ask(at % len(data.queries))
            own.append((clock() - start) * 1e6)
            at += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    ready.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return {
        "seconds": time.perf_counter() - start,
        "latencies_us": [round(one) for own in latencies for one in own],
        "found": found,
    }


def _channel(given: dict[str, Any]) -> grpc.Channel:
    return grpc.insecure_channel(given["address"], options=[("grpc.use_local_subchannel_pool", 1)])


if __name__ == "__main__":
    sys.setswitchinterval(0.0005)
    print(json.dumps(run(json.loads(sys.argv[1]))))
