"""A broker that knows us by a password."""

import pytest
from pydantic import SecretStr

from deploy.parts import Kafka
from deploy.parts.kafka import SecondWay
from deploy.parts.kafka import kafka as own_kafka
from deploy.parts.ports import free_port
from omma.errors import ReplicaDown, WrongState, causes
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings


async def test_a_wrong_password_is_no_broker_that_is_away(kafka: Kafka) -> None:
    """aiokafka says the same of both, and only the second may be waited for."""
    assert kafka.server.running(), "the one of this test is our own, too"
    port = free_port("127.0.0.1")
    with own_kafka(second=SecondWay(port, f"127.0.0.1:{port}", password="right")):
        given = {"brokers": f"127.0.0.1:{port}", "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}
        settings = KafkaSettings.model_validate(given | {"username": "omma", "password": "right"})
        log = await KafkaLog.open(settings)
        assert await log.identity()
        await log.close()
        with pytest.raises(WrongState) as raised:
            await KafkaLog.open(settings.model_copy(update={"password": SecretStr("wrong")}))
        assert raised.value.field == "OMMA_KAFKA__PASSWORD"
    with pytest.raises(ReplicaDown) as down:
        await KafkaLog.open(settings)
    assert "127.0.0.1" not in down.value.detail
    assert "127.0.0.1" in causes(down.value)
