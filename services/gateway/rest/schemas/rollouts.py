"""What is answered of indexes, rollouts and experiments."""

from typing import Final

from omma.index import IndexState
from omma.rollouts.rollout import Mode, RolloutState
from omma.rollouts.walk import Step
from services.gateway.rest.schemas.answers import (
    ANYTHING,
    INTEGER,
    NUMBER,
    STRING,
    TEXTS,
    TRUTH,
    by_name,
    one_of,
    or_null,
    record,
    several,
)
from services.gateway.rest.schemas.parts import tells

_NUMBER: Final = or_null(NUMBER)
_INDEX: Final = {
    "id": STRING,
    "space": STRING,
    "state": one_of(state.value for state in IndexState),
    "factory": STRING,
    "shards": INTEGER,
    "codebook": or_null(STRING),
    "match_score": _NUMBER,
}
_DRIFT: Final = record(
    {
        "train_rows": INTEGER,
        "list_imbalance": NUMBER,
        "quantisation_error": NUMBER,
        "recent_fit": NUMBER,
        "rebuild": STRING,
    }
)
_FITNESS: Final = {"recall_at_10": _NUMBER, "drift": or_null(_DRIFT)}
_SPACE: Final = {
    "id": STRING,
    "model": STRING,
    "signature": STRING,
    "dim": INTEGER,
    "buckets": INTEGER,
    "metric": STRING,
    "indexes": TEXTS,
}
_GATE: Final = record({"name": STRING, "value": _NUMBER, "needed": STRING, "met": TRUTH})
_INTERVAL: Final = record({"value": _NUMBER, "low": _NUMBER, "high": _NUMBER})
_COUNTS: Final = by_name(INTEGER)
_BUILD: Final = record(
    {},
    {
        "live": INTEGER,
        "held": INTEGER,
        "missing": INTEGER,
        "codebook": STRING,
        "codebook_wanted": TRUTH,
        "recall_at_10": _NUMBER,
    },
)
_SHADOW: Final = record(
    {},
    {
        "searches": INTEGER,
        "error_share": _NUMBER,
        "p95_ms": record({"candidate": _NUMBER, "live": _NUMBER}),
        "p95_ratio": _NUMBER,
        "overlap_at_10": _NUMBER,
        "rank_biased_overlap": _NUMBER,
        "score_shift": _NUMBER,
        "whole": _NUMBER,
        "zero_hits": _NUMBER,
        "stage_ratio": by_name(NUMBER),
    },
)
_JUDGED: Final = record(
    {},
    {
        "queries": INTEGER,
        "ndcg_at_10": record({"control": NUMBER, "candidate": NUMBER}),
        "ndcg_loss": NUMBER,
        "ndcg_loss_upper": _NUMBER,
    },
)
_CANARY: Final = record(
    {},
    {
        "arms": by_name(record({"searches": INTEGER, "errors": INTEGER})),
        "callers": _COUNTS,
        "clicks": _COUNTS,
        "credited": INTEGER,
        "ctr": by_name(_NUMBER),
        "ctr_ratio": _INTERVAL,
        "ctr_difference": _INTERVAL,
        "win_rate": _INTERVAL,
        "sample_ratio_off": TRUTH,
    },
)
_WALK: Final = {
    "mode": one_of(mode.value for mode in Mode),
    "share": NUMBER,
    "auto_promote": TRUTH,
    "created_at_ms": INTEGER,
    "changed_at_ms": INTEGER,
    "figures": {**record({}, {"build": _BUILD}), "description": "By part, as they were measured."},
    "canary": or_null(_CANARY),
    "verdict": STRING,
    "reasons": TEXTS,
}
_ROLLOUT: Final = {
    "id": STRING,
    "state": one_of(state.value for state in RolloutState),
    "candidate": record(_INDEX),
    "control": record(_INDEX),
    "model": STRING,
    **_WALK,
    "gates": {**several(_GATE), "description": "Of the next step that has any."},
    "shadow": or_null(_SHADOW),
    "judged": or_null(_JUDGED),
    "allowed": several(one_of(step.value for step in Step if step is not Step.SHADOW)),
}
_AUDIT: Final = several(
    record(
        {
            "at_ms": INTEGER,
            "step": STRING,
            "state": STRING,
            "by": STRING,
            "reason": STRING,
            "share": NUMBER,
            "figures": ANYTHING,
        }
    )
)
_ROUTING: Final = record({"epoch": INTEGER, "followers": _COUNTS})
_SETTINGS: Final = record({}, {"policy": STRING, "effort": INTEGER})
_EXPERIMENT: Final = {
    "name": STRING,
    "id": STRING,
    "state": STRING,
    "index": STRING,
    "arms": record({"control": _SETTINGS, "candidate": _SETTINGS}),
    **_WALK,
    "allowed": TEXTS,
}
_ONE: Final = record({**_ROLLOUT, "routing": _ROUTING, "audit": _AUDIT})
_ONE_EXPERIMENT: Final = record({**_EXPERIMENT, "audit": _AUDIT})

INDEXES: Final = tells(record({"indexes": several(record({**_INDEX, **_FITNESS}))}))
SPACES: Final = tells(record({"spaces": several(record(_SPACE))}))
SPACE: Final = tells(record(_SPACE), 201, "It is there, with its index")
ROLLOUTS: Final = tells(record({"rollouts": several(record(_ROLLOUT))}))
ROLLOUT: Final = tells(_ONE)
STARTED: Final = tells(_ONE, 202, "It is being built")
EXPERIMENTS: Final = tells(record({"experiments": several(record(_EXPERIMENT)), "defaults": _SETTINGS}))
EXPERIMENT: Final = tells(_ONE_EXPERIMENT)
BEGUN: Final = tells(_ONE_EXPERIMENT, 201, "It runs")
