"""Policies: named, versioned, bounded, never changed once published."""

import pytest

from omma.errors import InvalidQuery
from services.rerank.policies import DEFAULT, Policies, Policy


def test_a_name_is_its_highest_version() -> None:
    policies = Policies(
        [Policy(name="shop", version=2), Policy(name="shop", version=10), Policy(name="shop", version=1)]
    )
    assert policies.get("shop").id == "shop@10"
    assert policies.get("shop@1").id == "shop@1"
    assert policies.get("").id == "default@2"
    assert policies.get("diverse").relevance < 1


def test_a_deployment_says_what_is_default() -> None:
    assert Policies(default="diverse@1").get("").id == "diverse@1"
    with pytest.raises(InvalidQuery):
        Policies(default="absent")


@pytest.mark.parametrize("name", ["shop", "default@3", "default@", "@1", "x" * 10_000])
def test_an_unknown_policy_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(InvalidQuery, match="default@1, default@2, diverse@1, diverse@2") as raised:
        Policies().get(name)
    assert raised.value.field == "policy"


def test_a_published_policy_never_changes() -> None:
    with pytest.raises(ValueError, match="default@1"):
        Policies([Policy(name="default", version=1)])
    assert Policies([Policy(name="default", version=2)]).get("default@2") == DEFAULT


@pytest.mark.parametrize(
    "wrong", [{"relevance": 1.1}, {"version": 0}, {"name": "a@b"}, {"max_hamming": 65}, {"lambda": 0.5}]
)
def test_a_policy_out_of_bounds_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        Policy.model_validate({"name": "own", "version": 1, **wrong})
