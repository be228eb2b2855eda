"""Two answers in one list, each hit with the arm that brought it, and clicks credited to arms.

Team draft: Radlinski, Kurup and Joachims, How Does Clickthrough Data Reflect Retrieval Quality? (2008); what it saves
over splitting callers: Chapelle et al., Large-Scale Validation and Analysis of Interleaved Search Evaluation (2012).
A click is credited by the ranks that the arms gave the picture, not by which team happened to pick it: a coin that says
nothing of the arms is noise (Radlinski and Craswell, Optimized Interleaving for Online Retrieval Evaluation, 2013).
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Brought(StrEnum):
    """Who brought a hit, or whose a click on it is. both: its picture, or a near-duplicate folded into it, is in both
    answers; of clicks, at equal ranks: they are nobody's.
    """

    CONTROL = "control"
    CANDIDATE = "candidate"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Drafted:
    """picture: its id. picked_by: whose hit it is, score and all; never BOTH. control, candidate: its rank in each
    answer, the best one of its group of near-duplicates, from 0; None where it is not.
    """

    picture: int
    picked_by: Brought
    control: int | None
    candidate: int | None

    @property
    def arm(self) -> Brought:
        """Who brought it."""
        if self.control is not None and self.candidate is not None:
            return Brought.BOTH
        return Brought.CANDIDATE if self.control is None else Brought.CONTROL

    @property
    def credited(self) -> Brought:
        """Whose a click on it is: of the arm that ranks it higher, or alone has it."""
        if self.control is None or self.candidate is None:
            return self.arm
        if self.control == self.candidate:
            return Brought.BOTH
        return Brought.CONTROL if self.control < self.candidate else Brought.CANDIDATE


def team_draft(control: Sequence[int], candidate: Sequence[int], seed: int) -> list[Drafted]:
    """Every picture of both answers once: the team with fewer picks goes first, a coin decides between equals.

    control, candidate: ids, best first, each without repeats, as many as a page has. seed: 64 bits, equal seeds give
    equal drafts; over seeds neither arm is favoured. An arm that has nothing left passes. Pure.
    """
    coin = random.Random(seed)
    answers = {Brought.CONTROL: control, Brought.CANDIDATE: candidate}
    ranks = [{picture: rank for rank, picture in enumerate(answer)} for answer in answers.values()]
    every = len({*control, *candidate})
    places = dict.fromkeys(answers, 0)
    picks = dict.fromkeys(answers, 0)
    drafted: dict[int, Drafted] = {}
    while len(drafted) < every:
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
            drafted[picture] = Drafted(picture, team, *(of.get(picture) for of in ranks))
    return list(drafted.values())


def collapsed(drafted: Sequence[Drafted], group_of: Mapping[int, int]) -> list[Drafted]:
    """One hit a group of near-duplicates: the first stays, with the best rank that each arm gave one of the group.

    group_of: picture to any name of its group; a picture that is not in it stands alone.
    """
    first: dict[tuple[bool, int], Drafted] = {}
    for one in drafted:
        group = (True, group_of[one.picture]) if one.picture in group_of else (False, one.picture)
        kept = first.setdefault(group, one)
        control, candidate = _better(kept.control, one.control), _better(kept.candidate, one.candidate)
        first[group] = replace(kept, control=control, candidate=candidate)
    return list(first.values())


def _better(one: int | None, other: int | None) -> int | None:
    return min((rank for rank in (one, other) if rank is not None), default=None)


def credit(arm_of: Mapping[int, Brought], clicked: Collection[int]) -> dict[Brought, int]:
    """Clicks of one search by arm: each picture once, nobody's for BOTH or what was not shown.

    arm_of: shown picture to whose a click on it is. Returns the counts of CONTROL and CANDIDATE.
    """
    counts = {Brought.CONTROL: 0, Brought.CANDIDATE: 0}
    for picture in set(clicked):
        arm = arm_of.get(picture, Brought.BOTH)
        if arm is not Brought.BOTH:
            counts[arm] += 1
    return counts
