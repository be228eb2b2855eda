"""Runs the worker."""

from omma.process import run
from services.worker.main import main

run(main())
