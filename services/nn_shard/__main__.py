"""Runs a shard."""

from omma.process import run
from services.nn_shard.main import main

run(main())
