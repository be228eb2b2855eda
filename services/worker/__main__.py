"""Runs the worker."""

from omma.process import run_service
from services.worker.main import main

run_service(main())
