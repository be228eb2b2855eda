"""Tokens: whose count, as what, and what a gateway asks of their issuer; the issuer is a web server."""

import base64
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from omma.catalog.api_key import Role
from omma.errors import NotAllowed, NotSignedIn, OmmaError, ReplicaDown
from services.gateway.callers.tokens import Bearer, JwtSettings, Tokens
from services.gateway.callers.tokens.place import read_published
from services.gateway.callers.tokens.published import SEEK_SECONDS, PublishedKeys
from tests.issuer import AUDIENCE, Issuer, issuer


@pytest.fixture
def signs() -> Iterator[Issuer]:
    with issuer() as one:
        one.rotate("first")
        yield one


@pytest.fixture
def clock() -> list[float]:
    return [1_000.0]


def tokens(signs: Issuer, clock: list[float], **settings: Any) -> Tokens:
    given = JwtSettings(issuer=signs.url, audience=(AUDIENCE,), **settings)
    keys = PublishedKeys(
        partial(read_published, given),
        given.algorithms,
        refresh_seconds=given.refresh_seconds,
        outage_seconds=given.outage_seconds,
        now=lambda: clock[0],
    )
    return Tokens(given, keys)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_a_token_of_the_issuer_gives_subject_tenant_and_role(
    signs: Issuer, clock: list[float], algorithm: str
) -> None:
    signs.rotate("other", algorithm, keep=True)
    bearer = await tokens(signs, clock).bearer(signs.token("other"))
    assert (bearer.subject, bearer.tenant, bearer.role) == ("ann@example", "ann", Role.WRITE)
    assert Bearer.unpacked(bearer.packed()) == bearer and "." not in bearer.packed()
    assert signs.asked == {"/.well-known/openid-configuration": 1, "/keys": 1}


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"aud": "another"}, "another audience"),
        ({"aud": None}, "'aud'"),
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"iss": None}, "'iss'"),
        ({"exp": 1_000_000}, "expired"),
        ({"exp": None}, "'exp'"),
        ({"nbf": int(time.time()) + 3_600}, "not count yet"),
        ({"sub": None}, "'sub'"),
        ({"sub": ""}, "sub is"),
        ({"sub": "a" * 129}, "sub is"),
        ({"sub": "a\nb"}, "sub is"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(
    signs: Issuer, clock: list[float], claims: dict[str, Any], words: str
) -> None:
    with pytest.raises(NotSignedIn, match=words):
        await tokens(signs, clock).bearer(signs.token("first", **claims))


@pytest.mark.parametrize("tenant", [None, "", "a tenant", "x" * 65, 7, ["ann"]])
async def test_a_token_of_no_tenant_is_let_in_nowhere(signs: Issuer, clock: list[float], tenant: Any) -> None:
    with pytest.raises(NotAllowed, match="tenant"):
        await tokens(signs, clock).bearer(signs.token("first", tenant=tenant))


async def test_claims_may_lie_deeper_and_the_highest_role_counts(signs: Issuer, clock: list[float]) -> None:
    door = tokens(signs, clock, role_claim="realm.roles", tenant_claim="https://omma.example/tenant")
    bobs: dict[str, Any] = {"tenant": None, "https://omma.example/tenant": "bob"}
    token = signs.token("first", realm={"roles": ["offline", "tenant-admin", "read"]}, **bobs)
    bearer = await door.bearer(token)
    assert (bearer.tenant, bearer.role) == ("bob", Role.TENANT_ADMIN)
    for roles in (None, {"roles": ["king"]}, {"roles": 7}, "admin"):
        named = signs.token("first", realm=roles, **bobs)
        assert (await door.bearer(named)).role is Role.READ


async def test_a_token_that_was_checked_ends_and_its_key_may_be_withdrawn(signs: Issuer, clock: list[float]) -> None:
    now = [time.time()]
    door = tokens(signs, clock, leeway_seconds=5, refresh_seconds=60)
    door._now = lambda: now[0]
    token = signs.token("first", exp=int(now[0]) + 100)
    first = await door.bearer(token)
    assert await door.bearer(token) is first
    now[0] += 106
    assert await door.bearer(token) is not first  # looked at anew; the real clock says that it counts
    await door.bearer(token)
    signs.published = []
    clock[0] += 121
    with pytest.raises(NotSignedIn):
        await door.bearer(token)


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    def packed(document: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    return f"{packed(header)}.{packed(claims)}.{signature}"


async def test_what_anybody_could_have_made_is_refused(signs: Issuer, clock: list[float]) -> None:
    signs.rotate("rsa", "RS256", keep=True)
    door = tokens(signs, clock)
    claims = signs.claims(role="admin")
    public = signs.private["rsa"][1].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # By hand: PyJWT refuses to make such a token.
    hmac_key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    head, _, _ = unsigned({"alg": "HS256", "kid": "rsa", "typ": "JWT"}, claims).rpartition(".")
    signature = base64.urlsafe_b64encode(hmac_key.sign(head.encode(), public)).decode().rstrip("=")
    good = signs.token("rsa")
    other_claims = unsigned({}, claims).split(".")[1]
    for token, words in (
        (unsigned({"alg": "none", "kid": "rsa"}, claims), "not signed by"),
        (unsigned({"alg": "None", "kid": "rsa"}, claims), "not signed by"),
        (f"{head}.{signature}", "not signed by"),
        (".".join((good.split(".")[0], other_claims, good.split(".")[2])), "signature is wrong"),
        (unsigned({"alg": "ES256", "kid": "rsa"}, claims, "AAAA"), "way of the key"),
        (jwt.encode(claims, signs.private["rsa"][1], "RS256"), "names no key"),
        (jwt.encode(claims, signs.private["rsa"][1], "RS256", headers={"kid": "first"}), "way of the key"),
        (jwt.encode(claims, signs.private["rsa"][1], "RS256", headers={"kid": "../../etc"}), "no key of its issuer"),
        (
            unsigned({"alg": "RS256", "kid": "rsa", "crit": ["x"], "x": 1}, claims, "AAAA"),
            "not one that counts|wrong|read",
        ),
        ("eyJ.a.b", "cannot be read"),
        ("eyJ" + "a" * 9_000 + "..", "at most"),
        ("eyJé..", "at most"),
    ):
        with pytest.raises(NotSignedIn, match=words):
            await door.bearer(token)


@pytest.mark.parametrize(
    "members",
    [
        {"alg": "RS512"},
        {"use": "enc"},
        {"bits": 1024},
        {"d": "AQAB"},
        {"kty": "oct", "k": "AAAA"},
        {"n": "!"},
    ],
)
async def test_what_is_no_public_key_for_the_signature_checks_nothing(
    signs: Issuer, clock: list[float], members: dict[str, Any]
) -> None:
    signs.rotate("odd", "RS256", **members)
    signs.published += [None, "key", {}, {**signs.published[0], "kid": 7}]  # type: ignore[list-item]
    with pytest.raises(NotSignedIn):
        await tokens(signs, clock).bearer(signs.token("odd"))


async def test_a_new_key_counts_without_a_restart_and_guesses_are_not_asked_for(
    signs: Issuer, clock: list[float]
) -> None:
    door = tokens(signs, clock, jwks=f"{signs.url}/keys")
    await door.bearer(signs.token("first"))
    signs.rotate("second")
    clock[0] += SEEK_SECONDS
    await door.bearer(signs.token("second"))
    assert signs.asked == {"/keys": 2}
    with pytest.raises(NotSignedIn, match="no key of its issuer"):
        await door.bearer(signs.token("first"))  # withdrawn
    for number in range(50):
        with pytest.raises(NotSignedIn):
            await door.bearer(jwt.encode({}, signs.private["first"][1], "ES256", headers={"kid": f"guess {number}"}))
        clock[0] += 0.1
    assert signs.asked == {"/keys": 2}


async def test_a_withdrawn_key_counts_no_longer_than_twice_the_refresh(signs: Issuer, clock: list[float]) -> None:
    door = tokens(signs, clock, refresh_seconds=60)
    token = signs.token("first")
    await door.bearer(token)
    signs.rotate("second")
    clock[0] += 59
    await door.bearer(token)
    clock[0] += 62
    with pytest.raises(NotSignedIn):
        await door.bearer(token)


async def test_while_the_issuer_is_away_known_keys_count_until_the_bound(signs: Issuer, clock: list[float]) -> None:
    door = tokens(signs, clock, outage_seconds=3_600)
    token = signs.token("first")
    await door.bearer(token)
    signs.status = 500
    clock[0] += 3_599
    await door.bearer(token)
    with pytest.raises(ReplicaDown, match="cannot be read"):
        await door.bearer(jwt.encode({}, signs.private["first"][1], "ES256", headers={"kid": "perhaps new"}))
    clock[0] += 2
    with pytest.raises(ReplicaDown):
        await door.bearer(token)
    signs.status = 200
    clock[0] += SEEK_SECONDS
    await door.bearer(token)


@pytest.mark.parametrize("content", [b"no json", b"[]", b'{"keys": 7}', b"[" * 100_000, b" " * 300_000])
async def test_what_is_no_set_of_keys_says_nothing_of_tokens(signs: Issuer, clock: list[float], content: bytes) -> None:
    signs.content = content
    with pytest.raises(ReplicaDown):
        await tokens(signs, clock, jwks=f"{signs.url}/keys").bearer(signs.token("first"))


async def test_an_issuers_document_leads_to_no_file_and_is_its_own(signs: Issuer, tmp_path: Path) -> None:
    settings = JwtSettings(issuer=signs.url, audience=(AUDIENCE,))
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": signs.published}))
    for document in (
        {"issuer": signs.url, "jwks_uri": str(file)},
        {"issuer": signs.url, "jwks_uri": f"file://{file}"},
        {"issuer": signs.url, "jwks_uri": "http://inner.example/keys"},
        {"issuer": signs.url},
        {"issuer": "https://elsewhere.example", "jwks_uri": f"{signs.url}/keys"},
    ):
        signs.content = json.dumps(document).encode()
        with pytest.raises(OmmaError):
            await read_published(settings)
    named = JwtSettings(issuer=signs.url, audience=(AUDIENCE,), jwks=f"file://{file}")
    assert await read_published(named) == signs.published


@pytest.mark.parametrize(
    "given",
    [
        {"issuer": "https://a.example"},
        {"issuer": "https://a.example", "audience": ("",)},
        {"issuer": "a.example", "audience": ("omma",)},
        {"issuer": "http://a.example", "audience": ("omma",)},
        {"issuer": "https://a.example", "audience": ("omma",), "jwks": "http://a.example/keys"},
        {"issuer": "https://a.example", "audience": ("omma",), "algorithms": ("HS256",)},
        {"issuer": "https://a.example", "audience": ("omma",), "algorithms": ("none",)},
        {"issuer": "https://a.example", "audience": ("omma",), "leeway_seconds": 301},
        {"audience": ("omma",)},
    ],
)
def test_settings_that_would_let_in_anybody_stop_the_start(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JwtSettings(**given)
