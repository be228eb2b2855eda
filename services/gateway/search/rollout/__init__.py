"""A rollout as a gateway lives through it: what it counts of each arm, and what it asks a candidate in the shadow."""
