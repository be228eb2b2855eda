"""The stamp of a checkpoint: which log, which shard of it, and how far the engine's files have read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from omma.buckets import bucket_of, buckets_of_shard
from omma.errors import Corrupt
from omma.log.interface import TopicPartition
from omma.space import Space

FORMAT: Final = 1
"""Raised when older files must not be read; a checkpoint of another format is replayed."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a shard is a view of: its buckets of one topic in one log."""

    log: str
    topic: str
    shard: int
    shards: int
    buckets: int

    @classmethod
    def of(cls, log_identity: str, space: Space, shard: int, shards: int) -> "Source":
        """Raises InvalidQuery unless 0 <= shard < shards <= buckets."""
        buckets_of_shard(shard, shards, space.buckets)
        return cls(log_identity, space.vectors_topic, shard, shards, space.buckets)

    @property
    def owned(self) -> range:
        return buckets_of_shard(self.shard, self.shards, self.buckets)

    def owns(self, image_id: int) -> bool:
        return bucket_of(image_id, self.buckets) in self.owned

    def partitions(self) -> list[TopicPartition]:
        return [TopicPartition(self.topic, bucket) for bucket in self.owned]


@dataclass(frozen=True, slots=True)
class Stamp:
    """next_offsets: by owned bucket, the first record that the checkpoint does not hold."""

    source: Source
    next_offsets: Mapping[int, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What goes into the engine's manifest."""
        source = self.source
        return {
            "format": FORMAT,
            "log": source.log,
            "topic": source.topic,
            "shard": source.shard,
            "shards": source.shards,
            "buckets": source.buckets,
            "next_offsets": [self.next_offsets[bucket] for bucket in source.owned],
        }

    @classmethod
    def from_json(cls, stamp: Mapping[str, Any]) -> "Stamp":
        """Raises Corrupt for what to_json of this format did not make."""
        try:
            if stamp["format"] != FORMAT:
                raise Corrupt(f"The checkpoint has format {stamp['format']}, this version reads {FORMAT}.")
            source = Source(stamp["log"], stamp["topic"], stamp["shard"], stamp["shards"], stamp["buckets"])
            offsets = dict(zip(source.owned, map(int, stamp["next_offsets"]), strict=True))
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"The checkpoint's stamp cannot be read: {error}.") from error
        return cls(source, offsets)

    def require(self, source: Source, beginning: Mapping[int, int], end: Mapping[int, int]) -> None:
        """Raises Corrupt, saying why, when the log cannot go on from here: replay it from its beginning then.

        beginning, end: the log's offsets by bucket. An offset past the end means that the log has lost records which
        the files still hold; one before the beginning, that deletes may have been missed.
        """
        if self.source != source:
            raise Corrupt(f"The checkpoint is of {self.source}, and this is {source}.")
        for bucket, offset in self.next_offsets.items():
            if not beginning.get(bucket, 0) <= offset <= end.get(bucket, 0):
                raise Corrupt(
                    f"The checkpoint goes on at offset {offset} of bucket {bucket}; the log has "
                    f"{beginning.get(bucket, 0)} to {end.get(bucket, 0)}."
                )
