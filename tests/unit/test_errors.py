"""One table gives each error its status; both protocols carry it there and back."""

import re

import grpc
import httpx
import pytest
from grpc.aio import AioRpcError, Metadata
from hypothesis import given
from hypothesis import strategies as st

from omma.client.requests import require_success
from omma.errors import (
    ERROR_OF_KIND,
    STATUS,
    Bug,
    Kind,
    OmmaError,
    OutOfTime,
    Overloaded,
    ReplicaDown,
    TooLarge,
    causes,
)
from omma.rpc.errors import error_of, status_of

EVERY = st.sampled_from(sorted(ERROR_OF_KIND.values(), key=lambda error: error.kind))


def rpc_error(code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, str], ...] = ()) -> AioRpcError:
    """As grpc.aio raises it."""
    return AioRpcError(code, Metadata(), Metadata(*trailing), details)


def test_every_kind_has_a_status_and_a_class() -> None:
    assert set(STATUS) == set(ERROR_OF_KIND) == set(Kind)
    assert {error.kind for error in OmmaError.__subclasses__()} >= set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_a_status_exists_in_both_protocols(kind: Kind) -> None:
    status = STATUS[kind]
    assert 400 <= status.http < 600
    assert status.grpc in grpc.StatusCode.__members__
    assert status.title


@pytest.mark.parametrize(
    ("http", "grpc_code"),
    [
        ({400, 413, 415, 422}, "INVALID_ARGUMENT"),
        ({401}, "UNAUTHENTICATED"),
        ({403}, "PERMISSION_DENIED"),
        ({404}, "NOT_FOUND"),
        ({409}, "ABORTED"),
        ({409}, "FAILED_PRECONDITION"),
        ({413, 429, 507}, "RESOURCE_EXHAUSTED"),
        ({503}, "UNAVAILABLE"),
        ({504}, "DEADLINE_EXCEEDED"),
        ({500}, "DATA_LOSS"),
        ({500}, "INTERNAL"),
    ],
)
def test_the_protocols_agree(http: set[int], grpc_code: str) -> None:
    of_code = {status.http for status in STATUS.values() if status.grpc == grpc_code}
    assert of_code
    assert of_code <= http


@given(
    EVERY,
    st.text(max_size=50),
    st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.none() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False),
    st.none() | st.floats(0, 1e6),
)
def test_every_error_survives_grpc(
    error_class: type[OmmaError],
    detail: str,
    field: str | None,
    limit: int | float | None,
    retry_after: float | None,
) -> None:
    code, message, trailing = status_of(error_class(detail, field=field, limit=limit, retry_after_seconds=retry_after))
    assert all(name.isascii() and value.isascii() and value.isprintable() for name, value in trailing)
    back = error_of(rpc_error(code, message, trailing), "A shard")
    assert type(back) is error_class
    assert (back.detail, back.field, back.limit, back.retry_after_seconds) == (detail, field, limit, retry_after)


@pytest.mark.parametrize("kind", Kind)
def test_every_error_survives_http(kind: Kind) -> None:
    status = STATUS[kind]
    problem = {"kind": kind.value, "detail": "why", "field": "k", "limit": 3, "request_id": "r1"}
    with pytest.raises(OmmaError) as raised:
        require_success(httpx.Response(status.http, json=problem, headers={"retry-after": "2"}))
    error = raised.value
    assert type(error) is ERROR_OF_KIND[kind]
    assert (error.detail, error.field, error.limit, error.retry_after_seconds) == ("why", "k", 3, 2)
    assert error.__notes__ == ["request r1"]


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        (grpc.StatusCode.UNAVAILABLE, ReplicaDown),
        (grpc.StatusCode.CANCELLED, ReplicaDown),
        (grpc.StatusCode.DEADLINE_EXCEEDED, OutOfTime),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
        (grpc.StatusCode.UNIMPLEMENTED, Bug),
        (grpc.StatusCode.UNKNOWN, Bug),
        (grpc.StatusCode.INTERNAL, Bug),
    ],
)
def test_a_status_that_grpc_made_has_a_class(code: grpc.StatusCode, error_class: type[OmmaError]) -> None:
    assert type(error_of(rpc_error(code, "words of grpc"), "A shard")) is error_class


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_what_grpc_says_of_itself_is_for_the_log(code: grpc.StatusCode) -> None:
    inside = rpc_error(code, "failed to connect to all addresses; last error: ipv4:10.1.2.3:9091: larger than max")
    error = error_of(inside, "Shard 2")
    error.__cause__ = inside
    assert error.detail.startswith("Shard 2 ")
    assert not {"10.1.2.3", "ipv4", "addresses", "max", code.name} & set(re.split(r"[^\w.]+", error.detail))
    assert "ipv4:10.1.2.3:9091" in causes(error)


def test_a_message_over_the_limit_is_too_large() -> None:
    error = rpc_error(grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (9 vs. 4)")
    assert type(error_of(error, "A shard")) is TooLarge


def test_a_kind_of_a_newer_server_falls_back_on_the_code() -> None:
    error = rpc_error(grpc.StatusCode.UNAVAILABLE, "", (("omma-kind", "invented_later"),))
    assert type(error_of(error, "A shard")) is ReplicaDown


@pytest.mark.parametrize(
    ("http", "error_class"), [(503, ReplicaDown), (504, OutOfTime), (413, TooLarge), (429, Overloaded), (418, Bug)]
)
def test_a_proxys_answer_has_a_class(http: int, error_class: type[OmmaError]) -> None:
    with pytest.raises(OmmaError) as raised:
        require_success(httpx.Response(http, text="<html>nginx</html>"))
    assert type(raised.value) is error_class
