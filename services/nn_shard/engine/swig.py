"""FAISS without its type stubs: those that faiss-cpu 1.15 ships lack half of what SWIG exports, and err on the rest."""

from importlib import import_module
from typing import Any, TypeAlias

faiss: Any = import_module("faiss")

BLAS_ROWS = 1_024
"""Fewer rows are multiplied without BLAS, whose threads spin on after a product: with it each of 64 queries took 580 us
of processor time, without it 190. Training and sealing come with more rows, and keep it.
"""

faiss.cvar.distance_compute_blas_threshold = BLAS_ROWS

Faiss: TypeAlias = Any
"""A SWIG object."""
