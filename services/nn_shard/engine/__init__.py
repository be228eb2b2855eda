"""The shard's engine: vectors in, nearest pictures out. Pure and synchronous: no event loop, no gRPC, no log.

One writer thread calls `apply` and `freeze`; any thread searches; one thread seals (`plan`, `run`, `install`) and
writes checkpoints, another may encode and merge. Searches never wait for them: each works on the immutable view that
was current when it began.

    engine = Engine.open(folder, dim=256, space=space, index=index, settings=EngineSettings(), codebook=None)
    engine.apply(records)
    engine.search(queries, SearchOptions(tenant, k=50), deadline_at=time.monotonic() + 2.0)

    while (task := engine.plan()) is not None:   # sealing, encoding, merging
        task.run()
        engine.install(task)

    cut = engine.freeze()                        # on the writer thread, together with the log's offsets
    engine.checkpoint(cut, stamp={"offsets": …}) # on the thread that seals; `Engine.open` then knows the stamp
"""

from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.engine import Engine
from services.nn_shard.engine.files import discard
from services.nn_shard.engine.incoming import MAX_REGIONS, Incoming, incoming, not_unit
from services.nn_shard.engine.manifest import Checkpoint, FileSum, SegmentSum, read_manifest
from services.nn_shard.engine.options import SearchOptions
from services.nn_shard.engine.segment_tasks import Task, Work
from services.nn_shard.engine.segment_writer import Abandoned
from services.nn_shard.engine.view import Counts
from services.nn_shard.engine_settings import EngineSettings

__all__ = [
    "MAX_REGIONS",
    "Abandoned",
    "Checkpoint",
    "Codebook",
    "Counts",
    "Engine",
    "EngineSettings",
    "FileSum",
    "Incoming",
    "SearchOptions",
    "SegmentSum",
    "Task",
    "Work",
    "discard",
    "incoming",
    "not_unit",
    "read_manifest",
]
