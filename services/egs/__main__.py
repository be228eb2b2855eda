"""`python -m services.egs`."""

from omma.process import run
from services.egs.main import main

run(main())
