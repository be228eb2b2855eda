"""Requests as bytes and answers as rows, for the servers of the served measure, by their generated stubs.

As a command it runs where the stubs are (Weaviate's lie in the benches' venv):

    python -m loadtests.bench.wire encode|decode SERVER GIVEN_JSON FILE
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from loadtests.bench import vectors

METHODS = {
    "omma": "/omma.v1.ShardService/Search",
    "gateway": "/omma.v1.SearchService/Search",
    "weaviate": "/weaviate.v1.Weaviate/Search",
}


def encode(server: str, given: dict[str, Any]) -> list[bytes]:
    """given: data_set, k, filtered, together (queries in a call), and for Omma index, space, effort. Query i asks as
    tenant i % 100 when filtered; a gateway is asked for neither.
    """
    queries = vectors.load(given["data_set"]).queries
    made = {"omma": _omma_request, "gateway": _gateway_request, "weaviate": _weaviate_request}[server]
    requests = [made(given, query, f"tenant-{at % 100:02d}") for at, query in enumerate(queries)]
    together = given["together"]
    if together > 1:
        for first in range(0, len(requests), together):
            requests[first].others.extend(requests[first + 1 : first + together])
    return [one.SerializeToString() for one in requests[::together]]


def decode(server: str, answers: Sequence[bytes]) -> list[list[int]]:
    """The rows of base in each answer, best first."""
    if server == "omma":
        from omma.v1 import shard_pb2

        replies = map(shard_pb2.ShardServiceSearchResponse.FromString, answers)
        return [[one - 1 for one in reply.ids] for first in replies for reply in (first, *first.others)]
    if server == "gateway":
        from omma.v1 import search_pb2

        found = map(search_pb2.SearchResponse.FromString, answers)
        return [[one.id - 1 for one in reply.results] for reply in found]
    from weaviate.proto.v1 import search_get_pb2

    replies = (search_get_pb2.SearchReply.FromString(answer) for answer in answers)
    return [[int(one.metadata.id.replace("-", ""), 16) for one in reply.results] for reply in replies]


def write_frames(path: Path, frames: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(len(frame).to_bytes(4, "little") + frame for frame in frames))


def read_frames(path: Path) -> Iterator[bytes]:
    content, at = path.read_bytes(), 0
    while at < len(content):
        end = at + 4 + int.from_bytes(content[at : at + 4], "little")
        yield content[at + 4 : end]
        at = end


def _omma_request(given: dict[str, Any], query: vectors.Float32, tenant: str) -> Any:
    from omma.v1 import shard_pb2, types_pb2

    return shard_pb2.ShardServiceSearchRequest(
        index=given["index"],
        space=given["space"],
        tenant="default",
        k=given["k"],
        effort=given["effort"],
        query=types_pb2.Vectors(data=query.tobytes(), dtype=types_pb2.DTYPE_FLOAT32, dim=len(query)),
        filter=json.dumps({"owner": tenant}) if given["filtered"] else "",
    )


def _gateway_request(given: dict[str, Any], query: vectors.Float32, _tenant: str) -> Any:
    from omma.v1 import search_pb2, types_pb2

    vector = types_pb2.Vectors(data=query.tobytes(), dtype=types_pb2.DTYPE_FLOAT32, dim=len(query))
    return search_pb2.SearchRequest(
        index=given["index"],
        space=given["space"],
        k=given["k"],
        effort=given["effort"],
        queries=[search_pb2.SearchQuery(vector=vector)],
    )


def _weaviate_request(given: dict[str, Any], query: vectors.Float32, tenant: str) -> Any:
    from weaviate.proto.v1 import base_pb2, base_search_pb2, search_get_pb2

    made = search_get_pb2.SearchRequest(
        collection="Base",
        limit=given["k"],
        uses_123_api=True,
        uses_125_api=True,
        uses_127_api=True,
        near_vector=base_search_pb2.NearVector(vector_bytes=query.tobytes()),
        metadata=search_get_pb2.MetadataRequest(uuid=True, distance=True),
    )
    if given["filtered"]:
        made.filters.operator = base_pb2.Filters.OPERATOR_EQUAL
        made.filters.target.property = "owner"
        made.filters.value_text = tenant
    return made


def main(what: str, server: str, given: str, file: str) -> None:
    if what == "encode":
        write_frames(Path(file), encode(server, json.loads(given)))
    else:
        print(json.dumps(decode(server, list(read_frames(Path(file))))))


if __name__ == "__main__":
    main(*sys.argv[1:5])
