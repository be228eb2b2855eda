"""Runs the gateway."""

from omma.process import run_service
from services.gateway.main import main

run_service(main())
