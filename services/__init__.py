"""The services: egs and nn_shard and rerank below gateway and indexer, all of them together in standalone."""

import os

# Read when numpy and FAISS are imported, which every service does. A search's small products gain nothing from BLAS
# threads, and two cores that spin for each other cost 5 times as much: 1,144 against 238 us of CPU a query, by 8.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
