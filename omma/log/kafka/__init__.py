"""The log on Apache Kafka. See docs/adr/0009-kafka-log.md. Its client comes with the extra `cluster`: nothing is
imported here, so that settings can be read without it.
"""
