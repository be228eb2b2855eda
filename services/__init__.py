"""The services: egs and nn_shard and rerank below gateway and indexer, all of them together in standalone."""
