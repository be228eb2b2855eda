"""Runs the re-ranker."""

from omma.process import run_service
from services.rerank.main import main

run_service(main())
