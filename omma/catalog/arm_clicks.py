"""Searches and clicks of a rollout, counted by caller and arm as they are recorded: as judging.moments has them."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import bindparam, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.dialect import Dialect
from omma.catalog.schema.serving import rollout_callers, rollout_searches, rollouts
from omma.judging.draft import Brought, credit
from omma.records import Answered, Interaction, InteractionType
from omma.rollouts.arms import Arm

_KEY: Final = ("rollout", "stage", "arm", "tenant_id", "caller")
_STEP: Final = slice(0, 2)
"""Of a key: which rollout, and since which step of it."""
MAX_CALLERS: Final = 200_000
"""Kept of one step of a rollout, however long it lasts: the judge sums over them every minute."""
_ANSWERED: Final = ("index", "space", "policy", "rollout", "arm")


async def count_by_arm(
    connection: AsyncConnection, dialect: Dialect, batch: Sequence[Interaction]
) -> list[Interaction]:
    """The batch, each click with what answered its search; counts it in the transaction of its rows.

    A click counts for the arm that its query_id was answered from, of its own tenant; without one, or where the search
    took part in no rollout, for none. Both are of the step that the gateway followed as it answered, however late they
    come. A search counts as clicked once, and its first click is kept alone; an interleaved one counts each picture
    that it showed once, for the arm that brought it.
    """
    asked = await _add_searches(connection, dialect, batch)
    known = await _clicked_searches(connection, batch)
    gained: Counter[tuple[Any, ...]] = Counter()
    clicked: dict[str, list[int]] = {}
    stamped = []
    for one in batch:
        search = known.get(one.query_id) if one.type is InteractionType.CLICK else None
        if search is None or search["tenant_id"] != one.tenant:
            stamped.append(one)
            continue
        stamped.append(replace(one, answered=Answered(*(search[name] for name in _ANSWERED))))
        pictures = clicked.setdefault(one.query_id, list(search["clicked"]))
        key, picture = tuple(search[name] for name in _KEY), int(one.displayed[0])
        if search["arm"] != Arm.INTERLEAVED:
            if not pictures:
                gained[key] += 1
                pictures.append(picture)
        elif str(picture) in search["brought"] and picture not in pictures:
            won = credit({picture: Brought(search["brought"][str(picture)])}, [picture])
            gained[key] += won[Brought.CANDIDATE] - won[Brought.CONTROL]
            asked[key] += won[Brought.CANDIDATE] + won[Brought.CONTROL]
            pictures.append(picture)
    if clicked:
        places = [{"of": query_id, "now": pictures} for query_id, pictures in sorted(clicked.items())]
        changed = update(rollout_searches).where(rollout_searches.c.query_id == bindparam("of"))
        await connection.execute(
            changed.values(clicked=bindparam("now", type_=rollout_searches.c.clicked.type)), places
        )
    await _add_to_callers(connection, dialect, asked, gained)
    return stamped


async def _add_searches(
    connection: AsyncConnection, dialect: Dialect, batch: Sequence[Interaction]
) -> Counter[tuple[Any, ...]]:
    """How many were new, by caller; of interleaved ones their clicks alone count."""
    shown = {
        one.query_id: one
        for one in batch
        if one.type is InteractionType.IMPRESSION and one.displayed and one.answered.rollout and one.query_id
    }
    names = {one.answered.rollout for one in shown.values()}
    if not names:
        return Counter()
    found = await connection.execute(select(rollouts.c.id, rollouts.c.changed_at).where(rollouts.c.id.in_(names)))
    stages = {row.id: row.changed_at for row in found}
    rows: list[dict[str, Any]] = [
        {
            "query_id": query_id,
            "rollout": one.answered.rollout,
            "stage": one.stage or stages[one.answered.rollout],
            "arm": one.answered.arm,
            "tenant_id": one.tenant,
            "caller": one.caller or query_id,
            "index": one.answered.index,
            "space": one.answered.space,
            "policy": one.answered.policy,
            "brought": dict(zip(map(str, one.displayed), one.brought, strict=False)),
            "clicked": [],
            "at": one.ts_ms,
        }
        for query_id, one in sorted(shown.items())
        if one.answered.rollout in stages
    ]
    if not rows:
        return Counter()
    there = select(rollout_searches.c.query_id).where(
        rollout_searches.c.query_id.in_([row["query_id"] for row in rows])
    )
    already = set((await connection.execute(there)).scalars())
    await connection.execute(dialect.insert(rollout_searches).on_conflict_do_nothing(), rows)
    new = [row for row in rows if row["query_id"] not in already and row["arm"] != Arm.INTERLEAVED]
    return Counter(tuple(row[name] for name in _KEY) for row in new)


async def _clicked_searches(connection: AsyncConnection, batch: Sequence[Interaction]) -> dict[str, Any]:
    """By query_id, those that this batch clicks on; locked to the end of the transaction."""
    clicks = {one.query_id for one in batch if one.type is InteractionType.CLICK and one.query_id}
    if not clicks:
        return {}
    query = (
        select(rollout_searches)
        .where(rollout_searches.c.query_id.in_(sorted(clicks)))
        .order_by(rollout_searches.c.query_id)
        .with_for_update()
    )
    return {row["query_id"]: row for row in (await connection.execute(query)).mappings()}


async def _add_to_callers(
    connection: AsyncConnection, dialect: Dialect, asked: Counter[tuple[Any, ...]], gained: Counter[tuple[Any, ...]]
) -> None:
    added: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: {"gained": 0, "asked": 0})
    for name, counts in (("asked", asked), ("gained", gained)):
        for key, count in counts.items():
            added[key][name] += count
    added = {key: counts for key, counts in added.items() if any(counts.values())}
    added = await _of_kept_callers(connection, added)
    if not added:
        return
    statement = dialect.insert(rollout_callers)
    more = {name: rollout_callers.c[name] + statement.excluded[name] for name in ("gained", "asked")}
    # One order for all: whoever counts the same callers at the same time waits for them in the same way.
    rows = [{**dict(zip(_KEY, key, strict=True)), **counts} for key, counts in sorted(added.items())]
    await connection.execute(statement.on_conflict_do_update(index_elements=list(_KEY), set_=more), rows)


async def _of_kept_callers(
    connection: AsyncConnection, added: dict[tuple[Any, ...], dict[str, int]]
) -> dict[tuple[Any, ...], dict[str, int]]:
    """Where a step has as many callers as are kept, who is not among them counts for no arm: neither is favoured."""
    columns = rollout_callers.c
    for rollout, stage in {key[_STEP] for key in added}:
        of_step = (columns.rollout == rollout, columns.stage == stage)
        kept = select(literal(1)).where(*of_step).limit(MAX_CALLERS).subquery()
        if (await connection.execute(select(func.count()).select_from(kept))).scalar_one() < MAX_CALLERS:
            continue
        callers = {caller for *step, _, _, caller in added if step == [rollout, stage]}
        query = select(*(columns[name] for name in _KEY)).where(*of_step, columns.caller.in_(sorted(callers)))
        known = {tuple(row) for row in await connection.execute(query)}
        added = {key: counts for key, counts in added.items() if key[_STEP] != (rollout, stage) or key in known}
    return added
