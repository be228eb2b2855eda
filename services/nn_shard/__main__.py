"""Runs a shard."""

import asyncio
import os

# Read when numpy is imported. A batch's small products gain nothing from BLAS threads, and two cores that spin for each
# other cost 3 times the whole search: 1,144 against 238 us of CPU a query, in batches of 8.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from services.nn_shard.main import main

asyncio.run(main())
