"""The log on Apache Kafka. See docs/adr/0009-kafka-log.md."""

from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings

__all__ = ["KafkaLog", "KafkaSettings"]
