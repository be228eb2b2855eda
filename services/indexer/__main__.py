"""Runs the indexer."""

from omma.process import run
from services.indexer.main import main

run(main())
