"""What `omma experiment start --arm` takes for an arm."""

import pytest

from omma.errors import InvalidQuery
from services.standalone.cli.experiment import settings_of


def test_an_arm_is_said_in_parts_or_with_commas() -> None:
    said = {"policy": "diverse", "effort": 4, "duplicate_bits": 12}
    assert settings_of(["policy=diverse", "effort=4,duplicate_bits=12"]) == said
    assert settings_of(["duplicate_bits=many"]) == {"duplicate_bits": "many"}, "the server says what is wrong with it"


@pytest.mark.parametrize("arm", ["policy", "effort=1,effort=2", ""])
def test_what_is_no_arm_is_refused(arm: str) -> None:
    with pytest.raises(InvalidQuery) as raised:
        settings_of([arm])
    assert raised.value.field == "arm"
