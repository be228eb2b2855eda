"""A Weaviate server as a process, filled over gRPC. As a command it fills one: only the benches' venv has the stubs."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import grpc

from loadtests.bench import vectors
from loadtests.bench.ports import free_port

BINARY = Path(os.environ.get("OMMA_BENCH_WEAVIATE", Path.home() / ".cache/omma/bin/weaviate-server"))
BLOCK = 1_000


class WeaviateServer:
    """HNSW with Weaviate's defaults; ef is set by `use`."""

    def __init__(self, data: vectors.DataSet, bench_python: Path) -> None:
        folder = vectors.cache() / data.name / "weaviate"
        folder.mkdir(exist_ok=True)
        http, grpc_port = free_port(), free_port()
        self.address, self._url = f"127.0.0.1:{grpc_port}", f"http://127.0.0.1:{http}/v1"
        self._log = (folder / "server.log").open("w")
        environment = {
            **os.environ,
            "PERSISTENCE_DATA_PATH": str(folder / "data"), "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
            "DEFAULT_VECTORIZER_MODULE": "none", "RAFT_BOOTSTRAP_EXPECT": "1", "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1", "GRPC_PORT": str(grpc_port), "DISABLE_TELEMETRY": "true",
            "CLUSTER_GOSSIP_BIND_PORT": str(free_port()), "CLUSTER_DATA_BIND_PORT": str(free_port()),
            "RAFT_PORT": str(free_port()), "RAFT_INTERNAL_RPC_PORT": str(free_port()),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [str(BINARY), "--host", "127.0.0.1", "--port", str(http), "--scheme", "http"],
            env=environment, cwd=folder, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        try:
            self._wait()
            if not (folder / "filled").exists():
                self._ask("POST", "/schema", _SCHEMA)
                filling = [bench_python, "-m", "loadtests.bench.weaviate_server", data.name, self.address]
                subprocess.run(filling, check=True)
                (folder / "filled").touch()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self.process.pid

    def use(self, ef: int) -> None:
        schema = self._ask("GET", "/schema/Base")
        schema["vectorIndexConfig"]["ef"] = ef
        self._ask("PUT", "/schema/Base", schema)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)
        self._log.close()

    def _wait(self) -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                self._ask("GET", "/schema")
                self._ask("GET", "/.well-known/ready")
                return
            except (OSError, urllib.error.URLError):
                time.sleep(0.2)
        raise SystemExit("Weaviate did not start: see server.log in its folder.")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self._url + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


_SCHEMA = {
    "class": "Base",
    "vectorizer": "none",
    "vectorIndexType": "hnsw",
    "vectorIndexConfig": {"distance": "dot"},
    "properties": [{"name": "owner", "dataType": ["text"], "tokenization": "field"}],
}


def fill(data_set: str, address: str) -> None:
    from weaviate.proto.v1 import batch_pb2, weaviate_pb2_grpc

    data = vectors.load(data_set)
    stub = weaviate_pb2_grpc.WeaviateStub(grpc.insecure_channel(address))
    for start in range(0, len(data.base), BLOCK):
        objects = []
        for row in range(start, min(start + BLOCK, len(data.base))):
            one = batch_pb2.BatchObject(uuid=str(uuid.UUID(int=row)), collection="Base")
            one.vector_bytes = data.base[row].tobytes()
            one.properties.non_ref_properties.update({"owner": f"tenant-{(row + 1) % 100:02d}"})
            objects.append(one)
        answer = stub.BatchObjects(batch_pb2.BatchObjectsRequest(objects=objects), timeout=300)
        if answer.errors:
            raise SystemExit(f"Weaviate refused a batch: {answer.errors[0].error}")


if __name__ == "__main__":
    fill(*sys.argv[1:3])
