"""How a rollout's judge fares where the truth is known, by simulation: equal arms, a better one, a bad one.

    python -m loadtests.rollout_validity [--rollouts N] [--days D] [--repeats R] [--without-equal-arms]

Seeded: equal arguments give equal figures, on any machine.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence

import numpy as np

from loadtests.bench.callers import DAY, PAGE, Callers, Rankers, harmless_minutes, interleaved, split
from loadtests.bench.figures import Report, Table, Target
from omma.identity import Tenant
from omma.judging.estimate import beyond, log_ratio, win_margin
from omma.judging.sample_ratio import LEVEL as SHARE_LEVEL
from omma.judging.sample_ratio import log_evidence
from omma.judging.verdict import LEAST_RATIO
from omma.rollouts.arms import Arm, arm_of
from omma.rollouts.rollout import RolloutId

CTR = 0.3
ALLOWED = 0.05
_EQUAL = "rollout_validity: equal arms that come to anything but `wait`"
_ROLLOUTS = 20
_CALLERS = 10_000
AGREEING = (0.0, 0.5, 0.9, 0.97)
"""What the arms' mistakes have in common: of two models that learnt apart nothing, of a model's next version much."""
_DAYS = 5
"""Verdicts of arms that differ come within two."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=50, help="of a better arm and of a bad one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--without-equal-arms",
        action="store_true",
        help="split, which take most of an hour: what is known of them stays",
    )
    given = parser.parse_args()
    report = Report("rollout_validity", "python -m loadtests.rollout_validity")
    began = time.perf_counter()
    if given.without_equal_arms:
        _keep_equal_arms(report)
    else:
        equal_arms(report, given.rollouts, given.days, given.seed)
    equal_arms_interleaved(report, 4 * given.repeats, given.seed)
    better_arm(report, given.repeats, given.seed)
    bad_arm(report, given.repeats, given.seed)
    shares(report)
    report.notes.append(f"Took {time.perf_counter() - began:.0f} s.")
    report.save()
    return int(any(one.met is False for one in report.targets))


def equal_arms(report: Report, rollouts: int, days: int, seed: int) -> None:
    """Of so many rollouts of equal arms, looked at every minute, how many come to anything but `wait`."""
    clicks = guardrails = shares = outcomes = 0
    for one in range(rollouts):
        rng = np.random.default_rng([seed, 1, one])
        share = (0.05, 0.5)[one % 2]
        run = split(rng, Callers.drawn(rng, 1_000), days, share, CTR, CTR)
        ratio = log_ratio(run.control, run.candidate)
        harm = beyond(run.control, run.candidate, LEAST_RATIO)
        by_clicks = bool(((ratio.low > 0) | (ratio.high < 0) | (harm.high < 0)).any())
        by_guardrails = not harmless_minutes(rng, days * DAY)
        new = np.flatnonzero(np.diff(run.control.callers + run.candidate.callers, prepend=0))
        evidence = log_evidence(run.control.callers[new], run.candidate.callers[new], share)
        shares += bool((evidence > -np.log(SHARE_LEVEL)).any())
        clicks += by_clicks
        guardrails += by_guardrails
        outcomes += by_clicks or by_guardrails
    # What a true 5 % would exceed in one run of a hundred.
    error = 2.33 * (ALLOWED * (1 - ALLOWED) / rollouts) ** 0.5
    table = report.table(
        f"{rollouts:,} rollouts of two equal arms, {days} simulated days, looked at every minute; half at a share of "
        "5 %, half at 50 %.",
        ["what happened", "rollouts", "share"],
    )
    for what, count in (
        ("any outcome but `wait`", outcomes),
        ("by clicks (either way)", clicks),
        ("by a guardrail", guardrails),
        ("share of callers called off (waits)", shares),
    ):
        table.rows.append([what, count, f"{count / rollouts:.1%}"])
    report.target(
        _EQUAL,
        f"{outcomes / rollouts:.1%}",
        f"<= 5 % (and {error:.1%} of binomial error)",
        outcomes / rollouts <= ALLOWED + error,
    )


def equal_arms_interleaved(report: Report, rollouts: int, seed: int) -> None:
    """Of so many interleaved rollouts of arms that are as good as each other, how many come to anything but `wait`."""
    outcomes = 0
    for one in range(rollouts):
        rng = np.random.default_rng([seed, 4, one])
        moments, _ = interleaved(rng, Callers.drawn(rng, 500), 14, Rankers(AGREEING[one % len(AGREEING)]))
        margin = win_margin(moments)
        outcomes += bool(((margin.low > 0) | (margin.high < 0)).any())
    error = 2.33 * (ALLOWED * (1 - ALLOWED) / rollouts) ** 0.5
    report.target(
        f"rollout_validity: of {rollouts} interleaved rollouts of equal arms, those that come to anything but `wait`",
        f"{outcomes / rollouts:.1%}",
        f"<= 5 % (and {error:.1%} of binomial error)",
        outcomes / rollouts <= ALLOWED + error,
    )


def better_arm(report: Report, repeats: int, seed: int) -> None:
    """Searches until `promote` where the candidate's CTR is a tenth higher: callers split by half, and interleaved."""
    searches: dict[str, list[float]] = {"split": [], "split with CUPED": []}
    rankers = {}
    for agreement in AGREEING:
        one = Rankers(agreement, better=0.1).found()
        rankers[f"interleaved, {one.shared:.1f} of {PAGE} pictures in both"] = one
    searches |= {how: [] for how in rankers}
    for number in range(repeats):
        rng = np.random.default_rng([seed, 2, number])
        run = split(rng, Callers.drawn(rng, 20_000), _DAYS, 0.5, CTR, 1.1 * CTR)
        asked = run.control.asked + run.candidate.asked
        for name, cuped in (("split", False), ("split with CUPED", True)):
            searches[name].append(_first(log_ratio(run.control, run.candidate, cuped=cuped).low > 0, asked))
        for how, one in rankers.items():
            moments, asked = interleaved(rng, Callers.drawn(rng, 1_500), _DAYS, one)
            searches[how].append(_first(win_margin(moments).low > 0, asked))
    table = report.table(
        f"Searches until `promote`: a candidate with a tenth more CTR ({CTR:.0%} → {1.1 * CTR:.0%}), position-biased "
        f"clicks, arms by half, {repeats} times.",
        ["how", "median", "nine of ten within"],
    )
    for name, found in searches.items():
        table.rows.append([name, *(_count(np.quantile(found, q, method="higher")) for q in (0.5, 0.9))])
    for how in rankers:
        gain = np.median(searches["split"]) / np.median(searches[how])
        told = f"{gain:.1f}x fewer searches" if np.isfinite(gain) else "not told in time"
        report.target(f"rollout_validity: {how}, against split", told, "10 to 100x", bool(gain >= 10))
    report.notes.append(
        "Interleaved, both arms rank forty pictures by their relevance, each with mistakes of its own and some in "
        "common; the better one makes smaller ones. A click counts for the arm that ranks the picture higher. What "
        "interleaving saves grows with what the arms agree in: a difference between two lists that are otherwise the "
        "same is seen at once, while split callers differ in everything else, too."
    )


def bad_arm(report: Report, repeats: int, seed: int) -> None:
    """Clicks and searches of the candidate until the CTR guardrail rolls it back."""
    table = report.table(
        f"A bad candidate until it is rolled back by its clicks (ratio of CTR surely below {LEAST_RATIO}), at a "
        f"share of 5 %, {repeats} times; median, and nine of ten within.",
        ["its CTR", "its searches", "its clicks", "clicks of both"],
    )
    for ratio in (0.1, 0.5, 0.65):
        found = []
        for one in range(repeats):
            rng = np.random.default_rng([seed, 3, one])
            run = split(rng, Callers.drawn(rng, 20_000), _DAYS, 0.05, CTR, ratio * CTR)
            harm = beyond(run.control, run.candidate, LEAST_RATIO).high < 0
            both = run.control.gained + run.candidate.gained
            found.append([_first(harm, count) for count in (run.candidate.asked, run.candidate.gained, both)])
        cells = [
            " … ".join(_count(np.quantile(column, q, method="higher")) for q in (0.5, 0.9))
            for column in np.array(found).T
        ]
        table.rows.append([f"{ratio:.0%} of the control's", *cells])
        if ratio == 0.5:
            clicks = np.quantile([one[1] for one in found], 0.9, method="higher")
            what = "rollout_validity: clicks of a candidate of half the CTR until it is rolled back, nine of ten"
            report.target(what, _count(clicks), "<= 200", bool(clicks <= 200))


def _keep_equal_arms(report: Report) -> None:
    """Figures are seeded: those of an earlier run are those of this one, as long as the judge's arithmetic is."""
    known = json.loads(path.read_text()) if (path := report.path()).exists() else {"tables": [], "targets": []}
    report.tables += [Table(**one) for one in known["tables"] if "rollouts of two equal arms" in one["title"]]
    report.targets += [Target(**one) for one in known["targets"] if one["what"].startswith(_EQUAL)]
    if report.tables:
        report.notes.append(
            f"The table of equal arms is of {known['when']}, and stays as long as the judge's arithmetic."
        )


def shares(report: Report) -> None:
    """The share that was asked for against the share that is drawn, and whether anybody changes sides."""
    numbered = [f"user {n}" for n in range(_CALLERS)]
    hashed = [f"session {hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}." for name in numbered]
    table = report.table(
        f"The share of {_CALLERS:,} callers that is drawn, in points off, the furthest of {_ROLLOUTS} rollouts.",
        ["asked for", "names that end in a number", "others"],
    )
    furthest = [0.0, 0.0]
    left = 0
    before: dict[int, set[str]] = {}
    for share in (1.0, 5.0, 20.0, 50.0, 80.0, 100.0):
        row = []
        for of, names in enumerate((numbered, hashed)):
            off = []
            for rollout in range(_ROLLOUTS):
                drawn = _drawn(rollout, names, share)
                off.append(abs(100 * len(drawn) / _CALLERS - share))
                if rollout == 0:
                    left += len(before.get(of, set()) - drawn) + len(drawn ^ _drawn(rollout, names, share))
                    before[of] = drawn
            row.append(f"{max(off):.2f}")
            furthest[of] = max(furthest[of], *off)
        table.rows.append([f"{share:.0f} %", *row])
    for of, whose in enumerate(("numbered callers", "other callers")):
        what = f"rollout_validity: share asked for against share drawn, furthest, {whose}"
        report.target(what, f"{furthest[of]:.2f} points", "<= 0.5 points", furthest[of] <= 0.5)
    report.notes.append(
        "Names without a number are drawn each by itself: of 10,000 callers the standard error of a share is 0.4 "
        "points at 20 %, 0.5 at 50 %, 0.2 at 5 %. Nearer than that would need a count that gateways share."
    )
    report.target("rollout_validity: callers that change sides as the share grows", str(left), "0", left == 0)


def _drawn(rollout: int, names: Sequence[str], share: float) -> set[str]:
    of = RolloutId(f"r{rollout}")
    return {name for name in names if arm_of(of, Tenant("shop"), name, share) is Arm.CANDIDATE}


def _first(told: np.ndarray, count: np.ndarray) -> float:
    """The count at the first look that tells; inf when none does."""
    return float(count[told.argmax()]) if told.any() else np.inf


def _count(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else f"not in {_DAYS} days"


if __name__ == "__main__":
    sys.exit(main())
