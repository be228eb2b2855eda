"""A re-ranker over gRPC answers as the one in process does."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omma.errors import InvalidQuery, OutOfTime
from omma.hits import Hits, Payload
from omma.images import signature
from omma.records import encoded_payloads, stored_payloads
from omma.rpc.channel import call
from omma.rpc.deadline import Deadline
from omma.rpc.server import RpcServer
from omma.v1 import rerank_pb2, rerank_pb2_grpc, types_pb2
from omma.vectors import normalise
from services.rerank.client import NearDuplicates, RemoteReranker, Reranked, RerankQuery
from services.rerank.local import LocalReranker
from services.rerank.policies import DuplicatesBy, Policies, Policy
from services.rerank.rerank import rerank
from services.rerank.servicer import RerankServicer
from tests.pictures import scene

HASHES = [0, 0xFF00, 0xFF01, 0xFF03, 2**64 - 1, 2**63]
SIGNATURES = [b"", b"other", *(signature(scene(seed=seed)) for seed in range(2))]
SOURCES = ["", "https://spam.example/x", "https://a.fine.example/x", "no url"]
OWN = Policy(name="own", version=3, relevance=0.5, blocked_domains=frozenset({"spam.example"}), min_side_pixels=100)


@pytest.fixture
async def both() -> AsyncIterator[tuple[LocalReranker, RemoteReranker]]:
    local = LocalReranker(Policies([OWN]))
    server = RpcServer([partial(rerank_pb2_grpc.add_RerankServiceServicer_to_server, RerankServicer(local))])
    port = await server.start("127.0.0.1:0")
    await server.set_ready(True)  # a channel to re-rankers calls those only that say so
    remote = RemoteReranker.at(f"127.0.0.1:{port}")
    yield local, remote
    await remote.close()
    await server.stop(0)
    await local.close()


def some_candidates(seed: int, count: int, *, vectors: bool = True, payloads: bool = True) -> Hits:
    """Random ones with a handful of pHashes and sources, so that every stage has work."""
    numbers = np.random.default_rng(seed)
    sources = ["", "https://spam.example/x", "https://fine.example/x"]
    return Hits(
        ids=numbers.permutation(10 * count)[:count].astype(np.int64) + 1,
        scores=np.sort(numbers.random(count).astype(np.float32))[::-1].copy(),
        versions=np.ones(count, np.int64),
        phashes=numbers.choice(np.array([0, 0xFF00, 0xFF01, 2**64 - 1, 2**63], np.uint64), count),
        boxes=np.zeros((count, 4), np.int32),
        payloads=tuple(
            Payload(
                source_url=sources[numbers.integers(3)],
                width=int(numbers.integers(0, 300)),
                height=int(numbers.integers(90, 300)),
            )
            for _ in range(count)
        )
        if payloads
        else None,
        vectors=normalise(numbers.normal((3, 0, 0), 1, (count, 3))).astype(np.float16) if vectors else None,
    )


@pytest.mark.parametrize("near_duplicates", NearDuplicates)
@pytest.mark.parametrize("policy", ["", "diverse", "own@3"])
@pytest.mark.parametrize("seed", range(3))
async def test_both_answer_alike(
    both: tuple[LocalReranker, RemoteReranker], seed: int, policy: str, near_duplicates: NearDuplicates
) -> None:
    query = RerankQuery(
        k=12,
        policy=policy,
        near_duplicates=near_duplicates,
        query_phash=[None, 0xFF00, 0][seed],
        phash_gate=[None, 40, None][seed],
        score_threshold=[None, 0.1, -1.0][seed],
    )
    candidates = some_candidates(seed, 40)
    here, there = [await one.rerank(query, candidates, Deadline.after(5)) for one in both]
    assert here == there
    assert here.ranked


POLICIES = st.builds(
    Policy,
    name=st.just("some"),
    version=st.just(1),
    relevance=st.sampled_from([0.0, 0.5, 1.0]),
    duplicates_by=st.sampled_from(DuplicatesBy),
    max_hamming=st.integers(0, 64),
    min_cosine=st.floats(-1, 1),
    blocked_domains=st.frozensets(st.sampled_from(["spam.example", "fine.example"])),
    min_side_pixels=st.integers(0, 300),
)
PAYLOADS = st.builds(
    Payload,
    uri=st.text(max_size=9),
    source_url=st.sampled_from(SOURCES),
    owner=st.text(max_size=9),
    tags=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    attributes=st.dictionaries(
        st.text(max_size=5), st.booleans() | st.integers(0, 9) | st.text(max_size=5), max_size=3
    ),
    created_at_ms=st.integers(0, 2**62),
    width=st.integers(0, 400),
    height=st.integers(0, 400),
    sha256=st.text("0123456789abcdef", max_size=64),
)
SAID = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)).filter(lambda ids: ids[0] != ids[1]), max_size=3).map(
    tuple
)
QUERIES = st.builds(
    RerankQuery,
    k=st.integers(1, 12),
    policy=st.just("some@1"),
    near_duplicates=st.sampled_from(NearDuplicates),
    query_phash=st.sampled_from(HASHES),
    phash_gate=st.none() | st.just(40),
    score_threshold=st.none() | st.floats(-1, 1, width=32),
    duplicate_bits=st.sampled_from([0, 2, 30]),
    together=SAID,
    apart=SAID,
    grouped=SAID.map(lambda pairs: tuple((*pair, "look:crop", 41) for pair in pairs)),
)


@st.composite
def hits(draw: st.DrawFn) -> Hits:
    """Every column, whatever today's policies look at."""
    payloads = draw(st.lists(PAYLOADS, max_size=12))
    count = len(payloads)
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Hits(
        ids=numbers.permutation(10 * count + 1)[:count].astype(np.int64) + 1,
        scores=np.sort(numbers.uniform(-1, 1, count).astype(np.float32))[::-1].copy(),
        versions=numbers.integers(1, 2**62, count),
        phashes=np.array(draw(st.lists(st.sampled_from(HASHES), min_size=count, max_size=count)), np.uint64),
        boxes=numbers.integers(-(2**31), 2**31, (count, 4)).astype(np.int32),
        payloads=stored_payloads(list(encoded_payloads(payloads))) if draw(st.booleans()) else tuple(payloads),
        vectors=normalise(numbers.normal((1, 0, 0), 1, (count, 3))).astype(np.float16) if draw(st.booleans()) else None,
        phash_known=numbers.random(count) < 0.8,
        signatures=tuple(SIGNATURES[numbers.integers(len(SIGNATURES))] for _ in range(count))
        if draw(st.booleans())
        else None,
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=POLICIES, query=QUERIES, candidates=hits())
async def test_whatever_policy_both_answer_alike_and_see_the_same(
    both: tuple[LocalReranker, RemoteReranker], policy: Policy, query: RerankQuery, candidates: Hits
) -> None:
    local, remote = both
    local._policies = Policies([policy])
    seen: list[Hits] = []

    def looked_at(query: RerankQuery, policy: Policy, candidates: Hits, check: Callable[[], object]) -> Reranked:
        seen.append(candidates)
        return rerank(query, policy, candidates, check)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("services.rerank.local.rerank", looked_at)
        if query.phash_gate is not None and not query.query_phash:
            return
        here, there = [await one.rerank(query, candidates, Deadline.after(20)) for one in (local, remote)]
    assert here == there
    given, received = seen
    for column in dataclasses.fields(Hits):
        ours, theirs = getattr(given, column.name), getattr(received, column.name)
        if ours is None or not len(given):
            continue
        same = np.array_equal(ours, theirs) if isinstance(ours, np.ndarray) else tuple(ours) == tuple(theirs)
        assert same, f"a policy finds another {column.name} over there"


@settings(max_examples=200, deadline=None)
@given(policy=POLICIES, query=QUERIES, candidates=hits())
async def test_the_vectors_that_are_asked_for_are_all_that_count(
    policy: Policy, query: RerankQuery, candidates: Hits
) -> None:
    if candidates.vectors is None or (query.phash_gate is not None and not query.query_phash):
        return
    local = LocalReranker(Policies([policy]))
    lean = dataclasses.replace(candidates, vectors=None)
    if local.needs_vectors(policy.id):
        lean = candidates
    elif doubtful := local.in_doubt(query, lean):
        vectors = np.zeros_like(candidates.vectors)
        vectors[doubtful] = candidates.vectors[doubtful]
        lean = dataclasses.replace(candidates, vectors=vectors)
    asked = [await local.rerank(query, some, Deadline.after(20)) for some in (candidates, lean)]
    await local.close()
    assert asked[0] == asked[1]


@pytest.mark.parametrize("count", [0, 1])
async def test_both_take_few_candidates(both: tuple[LocalReranker, RemoteReranker], count: int) -> None:
    for vectors in (True, False):
        candidates = some_candidates(1, count, vectors=vectors, payloads=vectors)
        here, there = [await one.rerank(RerankQuery(k=5), candidates, Deadline.after(5)) for one in both]
        assert here == there


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (RerankQuery(k=5, policy="absent"), "policy"),
        (RerankQuery(k=0), "k"),
        (RerankQuery(k=5, phash_gate=3), "phash_gate"),
    ],
)
async def test_both_refuse_alike(both: tuple[LocalReranker, RemoteReranker], query: RerankQuery, field: str) -> None:
    said = []
    for one in both:
        with pytest.raises(InvalidQuery) as raised:
            await one.rerank(query, some_candidates(1, 5), Deadline.after(5))
        assert raised.value.field == field
        said.append((raised.value.detail, raised.value.limit))
    assert said[0] == said[1]


async def test_both_are_out_of_time_alike(both: tuple[LocalReranker, RemoteReranker]) -> None:
    for one in both:
        with pytest.raises(OutOfTime):
            await one.rerank(RerankQuery(k=5), some_candidates(1, 5), Deadline.after(0))


CANDIDATE = rerank_pb2.RerankCandidate(image_id=1, score=0.5)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (rerank_pb2.RerankRequest(k=1, candidates=[CANDIDATE, CANDIDATE]), "candidates"),
        (
            rerank_pb2.RerankRequest(
                k=1,
                candidates=[CANDIDATE],
                vectors=types_pb2.Vectors(data=b"\0" * 8, dim=2, dtype=types_pb2.DTYPE_FLOAT16),
            ),
            "vectors",
        ),
        (
            rerank_pb2.RerankRequest(
                k=1, candidates=[CANDIDATE], vectors=types_pb2.Vectors(data=b"\0" * 3, dim=2, dtype=1)
            ),
            "vector",
        ),
        (rerank_pb2.RerankRequest(k=1, near_duplicates=9), "near_duplicates"),
        (rerank_pb2.RerankRequest(k=1, candidates=[CANDIDATE], versions=[1, 2]), "versions"),
        (rerank_pb2.RerankRequest(k=1, candidates=[CANDIDATE], box_corners=b"abc"), "box_corners"),
        (rerank_pb2.RerankRequest(k=1, candidates=[CANDIDATE], encoded_payloads=[b"", b""]), "encoded_payloads"),
        (
            rerank_pb2.RerankRequest(k=1, policy="own", candidates=[CANDIDATE], encoded_payloads=[b"\xff"]),
            "encoded_payloads",
        ),
        (rerank_pb2.RerankRequest(k=1, candidates=[CANDIDATE] * 10_001), "candidates"),
    ],
    ids=[
        "twice",
        "vectors of another length",
        "half a vector",
        "unknown enum",
        "versions of another length",
        "half a corner",
        "payloads of another length",
        "no payload",
        "too many",
    ],
)
async def test_a_message_that_does_not_fit_is_refused(
    both: tuple[LocalReranker, RemoteReranker], request_: rerank_pb2.RerankRequest, field: str
) -> None:
    with pytest.raises(InvalidQuery) as raised:
        await call(both[1]._rerank, request_, Deadline.after(5), "The re-ranker")
    assert raised.value.field == field
