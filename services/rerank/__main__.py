"""Runs the re-ranker."""

import asyncio

from services.rerank.main import main

asyncio.run(main())
