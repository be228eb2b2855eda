"""Runs a shard."""

from omma.process import run_service
from services.nn_shard.main import main

run_service(main())
