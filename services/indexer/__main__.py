"""Runs the indexer."""

import asyncio

from services.indexer.main import main

asyncio.run(main())
