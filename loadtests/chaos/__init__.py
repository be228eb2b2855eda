"""Faults under load: each caused for real in a cluster that is searched and written to, while a ledger counts.

    python -m loadtests.chaos [--shards N] [--replicas N] [--no-triton] [--model NAME] [--seconds N] [--only WORD …]

Searches by vector and by picture run in closed loops, and their answers are compared with those from before; writers
upload, and delete some, trying again what was refused until it is acknowledged. After each fault the cluster must be
whole by itself: everything acknowledged is found exactly once, nothing deleted is.
"""
