"""Two answers in one list, each hit with the arm that brought it, and clicks credited to arms.

Team draft: Radlinski, Kurup and Joachims, How Does Clickthrough Data Reflect Retrieval Quality? (2008); what it saves
over splitting callers: Chapelle et al., Large-Scale Validation and Analysis of Interleaved Search Evaluation (2012).
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Brought(StrEnum):
    """Who brought a hit. both: its picture, or a near-duplicate folded into it, is in both answers."""

    CONTROL = "control"
    CANDIDATE = "candidate"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Drafted:
    """picture: its id. arm: who brought it. picked_by: whose hit it is, score and all; never BOTH."""

    picture: int
    arm: Brought
    picked_by: Brought


def team_draft(control: Sequence[int], candidate: Sequence[int], seed: int) -> list[Drafted]:
    """Every picture of both answers once: the team with fewer picks goes first, a coin decides between equals.

    control, candidate: ids, best first, each without repeats, as many as a page has. seed: 64 bits, equal seeds give
    equal drafts; over seeds neither arm is favoured. An arm that has nothing left passes. Pure.
    """
    coin = random.Random(seed)
    answers = {Brought.CONTROL: control, Brought.CANDIDATE: candidate}
    shared = set(control) & set(candidate)
    places = dict.fromkeys(answers, 0)
    picks = dict.fromkeys(answers, 0)
    drafted: dict[int, Drafted] = {}
    while len(drafted) < len(control) + len(candidate) - len(shared):
        if picks[Brought.CONTROL] == picks[Brought.CANDIDATE]:
            team = (Brought.CONTROL, Brought.CANDIDATE)[coin.getrandbits(1)]
        else:
            team = min(picks, key=picks.__getitem__)
        picks[team] += 1
        answer = answers[team]
        while places[team] < len(answer) and answer[places[team]] in drafted:
            places[team] += 1
        if places[team] < len(answer):
            picture = answer[places[team]]
            drafted[picture] = Drafted(picture, Brought.BOTH if picture in shared else team, team)
    return list(drafted.values())


def collapsed(drafted: Sequence[Drafted], group_of: Mapping[int, int]) -> list[Drafted]:
    """One hit a group of near-duplicates: the first stays, with every arm that brought one of the group.

    group_of: picture to any name of its group; a picture that is not in it stands alone.
    """
    first: dict[tuple[bool, int], Drafted] = {}
    for one in drafted:
        group = (True, group_of[one.picture]) if one.picture in group_of else (False, one.picture)
        kept = first.setdefault(group, one)
        if kept.arm is not one.arm:
            first[group] = Drafted(kept.picture, Brought.BOTH, kept.picked_by)
    return list(first.values())


def credit(arm_of: Mapping[int, Brought], clicked: Collection[int]) -> dict[Brought, int]:
    """Clicks of one search by the arm that brought the hit: each picture once, nobody's for BOTH or what was not shown.

    arm_of: shown picture to its arm. Returns the counts of CONTROL and CANDIDATE.
    """
    counts = {Brought.CONTROL: 0, Brought.CANDIDATE: 0}
    for picture in set(clicked):
        arm = arm_of.get(picture, Brought.BOTH)
        if arm is not Brought.BOTH:
            counts[arm] += 1
    return counts
