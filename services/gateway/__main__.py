"""Runs the gateway."""

from omma.process import run
from services.gateway.main import main

run(main())
