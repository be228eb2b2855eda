"""Runs the re-ranker."""

from omma.process import run
from services.rerank.main import main

run(main())
