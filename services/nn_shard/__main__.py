"""Runs a shard."""

import asyncio

from services.nn_shard.main import main

asyncio.run(main())
