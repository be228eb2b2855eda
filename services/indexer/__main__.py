"""Runs the indexer."""

from omma.process import run_service
from services.indexer.main import main

run_service(main())
