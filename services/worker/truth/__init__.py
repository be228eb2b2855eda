"""Whether blobs, catalog, log and shards say the same, and collecting what none of them needs any more.

The catalog's rows are the truth about pictures, the log is the truth about vectors, a shard is a view of the log.
"""

from services.worker.truth.differences import Difference, DifferenceKind
from services.worker.truth.report import Report
from services.worker.truth.verify import Verifier

__all__ = ["Difference", "DifferenceKind", "Report", "Verifier"]
