"""Databases that run inside the caller's process, asked through their own Python API."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
BLOCK = 5_000


class Chroma:
    settings = (10, 12, 14, 16, 20, 24, 32, 48, 64, 100, 150, 200)

    def build(self, base: Float32, folder: Path) -> None:
        self._folder = folder / "chroma"
        hnsw = {"space": "ip", "max_neighbors": 16, "ef_construction": 100, "sync_threshold": 50_000}
        self._rows = self._client().get_or_create_collection(
            "base", configuration={"hnsw": hnsw}, embedding_function=None
        )
        for start in range(self._rows.count(), len(base), BLOCK):
            stop = min(start + BLOCK, len(base))
            self._rows.add(ids=[str(row) for row in range(start, stop)], embeddings=base[start:stop])

    def use(self, setting: int) -> None:
        """ef_search counts from the next opening: an index that is loaded keeps the one that it was loaded with."""
        from chromadb.api.shared_system_client import SharedSystemClient

        self._ef = setting
        self._rows.modify(configuration={"hnsw": {"ef_search": setting}})
        SharedSystemClient.clear_system_cache()
        self._rows = self._client().get_collection("base", embedding_function=None)

    def _client(self) -> Any:
        import chromadb

        return chromadb.PersistentClient(str(self._folder), settings=chromadb.Settings(anonymized_telemetry=False))

    def search(self, query: Float32, k: int) -> list[int]:
        return [
            int(one) for one in self._rows.query(query_embeddings=query, n_results=k, include=["distances"])["ids"][0]
        ]

    def described(self) -> str:
        return f"HNSW M=16, ef_search={self._ef}"


class Lancedb:
    """A setting is (nprobes, refine_factor)."""

    settings = ((8, 5), (12, 5), (16, 5), (20, 5), (24, 5), (32, 5), (32, 10), (48, 10), (64, 10), (96, 10))

    def build(self, base: Float32, folder: Path) -> None:
        import lancedb
        import pyarrow as pa

        connection = lancedb.connect(str(folder / "lancedb"))
        if "base" in connection.table_names():
            self._table = connection.open_table("base")
            return
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(base).ravel()), base.shape[1])
        self._table = connection.create_table("base", pa.table({"row": np.arange(len(base)), "vector": vectors}))
        self._table.create_index(metric="dot", index_type="IVF_PQ", num_partitions=len(base) // 400, num_sub_vectors=64)

    def use(self, setting: tuple[int, int]) -> None:
        self._probes, self._refine = setting

    def search(self, query: Float32, k: int) -> list[int]:
        asked = self._table.search(query[0]).nprobes(self._probes).refine_factor(self._refine).limit(k)
        return asked.select(["row", "_distance"]).to_arrow()["row"].to_pylist()

    def described(self) -> str:
        return f"IVF_PQ 64 sub-vectors, nprobes={self._probes}, refine_factor={self._refine}"


class MilvusLite:
    settings = (8, 12, 16, 24, 32, 48, 64, 96)

    def build(self, base: Float32, folder: Path) -> None:
        from pymilvus import DataType, MilvusClient

        self._client = MilvusClient(str(folder / "milvus.db"))
        if not self._client.has_collection("base"):
            schema = MilvusClient.create_schema(auto_id=False)
            schema.add_field("row", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=base.shape[1])
            index = self._client.prepare_index_params()
            index.add_index("vector", index_type="IVF_FLAT", metric_type="IP", params={"nlist": 1024})
            self._client.create_collection("base", schema=schema, index_params=index)
            for start in range(0, len(base), BLOCK):
                rows: list[dict[str, Any]] = [
                    {"row": start + at, "vector": vector} for at, vector in enumerate(base[start : start + BLOCK])
                ]
                self._client.insert("base", rows)
        self._client.load_collection("base")

    def use(self, setting: int) -> None:
        self._probes = setting

    def search(self, query: Float32, k: int) -> list[int]:
        hits = self._client.search("base", data=query, limit=k, search_params={"params": {"nprobe": self._probes}})
        return [one["row"] for one in hits[0]]

    def described(self) -> str:
        return f"IVF_FLAT nlist=1024, nprobe={self._probes}"
