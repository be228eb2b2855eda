"""The machine a figure was taken on, and how much it wavers by itself."""

import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np

REFERENCE_REPEATS = 25


def description() -> str:
    """CPU, cores, memory, kernel and Python in one line."""
    return (
        f"{_field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores, "
        f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
    )


def noise() -> dict[str, float]:
    """Repeats a fixed loop (Python and a matrix product, about 25 ms): median_ms, and spread = (p90 - p10) / median."""
    rows = np.random.default_rng(0).standard_normal((256, 256), np.float32)
    times = []
    for _ in range(REFERENCE_REPEATS):
        start = time.perf_counter()
        total = 0
        for step in range(200_000):
            total += step & 7
        for _ in range(10):
            rows @ rows
        times.append((time.perf_counter() - start) * 1e3)
    low, *_, high = statistics.quantiles(times, n=10)
    median = statistics.median(times)
    return {"median_ms": round(median, 2), "spread": round((high - low) / median, 3), "load": os.getloadavg()[0]}


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"
