"""One contestant in a process of its own: reads a JSON line, does it, answers with a JSON line.

Only one worker is ever busy, so that contestants take turns on an otherwise idle machine.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.bench import vectors

PEERS = {
    "hnswlib": "loadtests.peers.libraries.Hnswlib",
    "usearch": "loadtests.peers.libraries.Usearch",
    "faiss": "loadtests.peers.libraries.RawFaiss",
    "chroma": "loadtests.peers.databases.Chroma",
    "lancedb": "loadtests.peers.databases.Lancedb",
    "milvus-lite": "loadtests.peers.databases.MilvusLite",
    "omma": "loadtests.peers.omma_engine.OmmaEngine",
}


class Worker:
    def __init__(self, name: str, data_set: str) -> None:
        module, _, kind = PEERS[name].rpartition(".")
        self._peer = getattr(importlib.import_module(module), kind)()
        self._data = vectors.load(data_set)
        self._folder = vectors.cache() / data_set / name
        self._next = 0

    def build(self) -> dict[str, Any]:
        self._folder.mkdir(exist_ok=True)
        start = time.perf_counter()
        self._peer.build(self._data.base, self._folder)
        return {"seconds": time.perf_counter() - start, "settings": list(self._peer.settings), "rss": _rss_anon_mib()}

    def recall(self, setting: Any, queries: int) -> dict[str, Any]:
        """Use the setting from now on, and measure its recall over the first so many queries."""
        self._peer.use(tuple(setting) if isinstance(setting, list) else setting)
        found = np.zeros((queries, 10), np.int64) - 1
        start = time.perf_counter()
        for at in range(queries):
            ids = self._peer.search(self._data.queries[at : at + 1], 10)
            found[at, : len(ids)] = ids
        seconds = time.perf_counter() - start
        answer = {"recall": self._data.recall_at_10(found), "rate": queries / seconds}
        if hasattr(self._peer, "as_raw"):
            answer["as_raw"] = self._peer.as_raw()
        return {**answer, "described": self._peer.described()}

    def round(self, seconds: float) -> dict[str, Any]:
        """One query after the other for about that long, going round through all of them."""
        queries, search, clock = self._data.queries, self._peer.search, time.perf_counter
        count, start = 0, clock()
        until = start + seconds
        while (now := clock()) < until:
            search(queries[self._next : self._next + 1], 10)
            self._next = (self._next + 1) % len(queries)
            count += 1
        return {"rate": count / (now - start), "rss": _rss_anon_mib()}


def _rss_anon_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Libraries print to stdout.
    worker = Worker(*sys.argv[1:3])
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(worker, request.pop("do"))(**request)
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
