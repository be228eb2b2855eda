"""`python -m services.egs`."""

from omma.process import run_service
from services.egs.main import main

run_service(main())
