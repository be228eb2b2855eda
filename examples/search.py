"""gRPC Search from a client: python examples/search.py query.jpg [host:port]; OMMA_API_KEY where one is needed."""

import os
import sys
from pathlib import Path

import grpc

from omma.v1.search_pb2 import SearchQuery, SearchRequest
from omma.v1.search_pb2_grpc import SearchServiceStub

query, address = Path(sys.argv[1]), (sys.argv[2:] or ["127.0.0.1:9090"])[0]
key = os.environ.get("OMMA_API_KEY")
with grpc.insecure_channel(address) as channel:
    request = SearchRequest(queries=[SearchQuery(image=query.read_bytes())], k=10)
    metadata = [("authorization", f"Bearer {key}")] if key else []
    answer = SearchServiceStub(channel).Search(request, timeout=2, metadata=metadata)
print(f"{answer.index}: {answer.coverage.fraction:.0%} of it answered in {answer.latency_ms:.0f} ms", *answer.degraded)
for hit in answer.results:
    print(f"{hit.score:6.3f}  {hit.id:>8}  {hit.uri}")
