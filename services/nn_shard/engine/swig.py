"""FAISS without its type stubs: those that faiss-cpu 1.15 ships lack half of what SWIG exports, and err on the rest."""

from importlib import import_module
from typing import Any, TypeAlias

faiss: Any = import_module("faiss")

Faiss: TypeAlias = Any
"""A SWIG object."""
