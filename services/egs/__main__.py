"""`python -m services.egs`."""

import asyncio

from services.egs.main import run

asyncio.run(run())
