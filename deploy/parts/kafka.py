"""Apache Kafka, one KRaft node, from Maven Central. OMMA_TEST_KAFKA=host:port uses another one."""

import base64
import os
import re
import socket
import struct
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.parts.cache import build_step, cached, require
from deploy.parts.missing import PartMissing
from deploy.parts.ports import free_port
from deploy.parts.server import Server

VERSION: Final = "4.1.0"
_ARTIFACTS: Final = (
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.apache.kafka", "kafka-tools", VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"),
    ("org.apache.logging.log4j", "log4j-core", "2.24.3"),
)
_REMEDY: Final = "sudo apt-get install openjdk-17-jre-headless maven"
_JAVA: Final = ("java", "-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_LOGGING: Final = """\
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c %m%n
"""
# Small and quick: one partition of each inner topic; no waiting for members, first tasks or a killed broker's session;
# the cleaner and the retention look every fifth of a second and every second, so that a test can provoke them.
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={advertised}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SECOND:{second},CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
broker.heartbeat.interval.ms=500
broker.session.timeout.ms={session}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.initial.task.delay.ms=0
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=16777216
log.retention.check.interval.ms=1000
log.index.size.max.bytes=262144
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
"""
_SASL: Final = """\
listener.name.second.sasl.enabled.mechanisms=PLAIN
listener.name.second.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  user_omma="{password}";
"""
_API_VERSIONS_REQUEST: Final = struct.pack(">hhih", 18, 0, 1, -1)


@dataclass(frozen=True)
class SecondWay:
    """Another listener of the broker, whose clients are told another address: that of a proxy before it.

    port: where it listens. address: host:port that its clients are told. password: of user `omma`, by SASL PLAIN;
    empty: anyone is let in.
    """

    port: int
    address: str
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Kafka:
    """brokers: host:port, as `bootstrap.servers` has it."""

    brokers: str
    own: Server | None

    def environment(self) -> dict[str, str]:
        """What points other tests at it."""
        return {"OMMA_TEST_KAFKA": self.brokers}

    @property
    def server(self) -> Server:
        """What a fault run kills. Raises PartMissing for a broker that was given."""
        if self.own is None:
            raise PartMissing("Kafka", "the one in OMMA_TEST_KAFKA cannot be stopped from here; unset it")
        return self.own


@contextmanager
def kafka(host: str = "127.0.0.1", *, second: SecondWay | None = None, session_seconds: float = 2.0) -> Iterator[Kafka]:
    """host: where it listens and what clients are told; an address of this machine that pods reach, if they shall.
    session_seconds: the broker takes itself for gone after so long without a turn of its own, and answers nobody until
    it is back, a minute and more on a busy machine.

    second and session_seconds: ignored by a broker that was given.
    """
    given = os.environ.get("OMMA_TEST_KAFKA")
    if given:
        yield Kafka(given, None)
        return
    libraries = install_kafka()
    server = Server("kafka")
    try:
        port = free_port(host)
        java = _configure(server.folder, libraries, (host, port), second, session_seconds)
        server.start([*java, "kafka.Kafka", server.folder / "server.properties"], lambda: _answers(host, port))
        yield Kafka(f"{host}:{port}", server)
    finally:
        server.close()


def install_kafka() -> Path:
    """The folder with its libraries, downloaded once. Raises PartMissing."""
    require("Kafka", ["java"], _REMEDY)
    return cached(f"kafka-{VERSION}", _download)


def _download(folder: Path) -> None:
    require("Kafka", ["mvn"], _REMEDY)
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in _ARTIFACTS
    )
    pom = folder / "pom.xml"
    pom.write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>omma</groupId><artifactId>parts</artifactId>"
        f"<version>1</version><packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )
    build_step("Kafka", ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={folder}"])


def _configure(
    folder: Path, libraries: Path, at: tuple[str, int], second: SecondWay | None, session_seconds: float
) -> list[str]:
    """Write the settings and format the data folder; returns the beginning of the command line."""
    data, settings, logging = folder / "data", folder / "server.properties", folder / "log4j2.properties"
    listeners = advertised = f"PLAINTEXT://{at[0]}:{at[1]}"
    if second is not None:
        listeners += f",SECOND://{at[0]}:{second.port}"
        advertised += f",SECOND://{second.address}"
    guarded = second is not None and bool(second.password)
    properties = _PROPERTIES.format(
        listeners=listeners,
        advertised=advertised,
        controller=free_port("127.0.0.1"),
        data=data,
        session=round(session_seconds * 1000),
        second="SASL_PLAINTEXT" if guarded else "PLAINTEXT",
    )
    settings.write_text(properties + (_SASL.format(password=second.password) if second and guarded else ""))
    logging.write_text(_LOGGING)
    java = [*_JAVA, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{libraries}/*"]
    # Kafka's ids are 22 characters of base64 that do not begin with a dash.
    cluster = re.sub("^-", "A", base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
    format_command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", settings]
    done = subprocess.run(format_command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Kafka's storage cannot be formatted: {done.stdout}{done.stderr}")
    return java


def _answers(host: str, port: int) -> bool:
    """Whether the broker answers a request: it does so when it has joined its cluster."""
    with socket.create_connection((host, port), timeout=2) as connection:
        connection.sendall(struct.pack(">i", len(_API_VERSIONS_REQUEST)) + _API_VERSIONS_REQUEST)
        return len(connection.recv(4)) == 4
