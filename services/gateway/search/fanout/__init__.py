"""Fan-out: every shard is asked once, by way of one replica or another, with the time that is left.

`replica` counts what one replica does and `replicas` chooses among those of a shard; a `race` takes one question to
one shard, a `scatter` runs the races of a search. A shard that fails becomes a value.
"""

from services.gateway.search.fanout.coverage import Coverage, ShardOutcome, require_an_answer
from services.gateway.search.fanout.fanout import Fanout
from services.gateway.search.fanout.settings import FanoutSettings

__all__ = ["Coverage", "Fanout", "FanoutSettings", "ShardOutcome", "require_an_answer"]
