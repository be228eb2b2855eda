"""What is asked of a rollout, checked before anything is done."""

import re
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from omma.errors import InvalidQuery
from omma.index import MAX_SHARDS, Factory, Index
from omma.request_body import RequestBody
from omma.rollouts.rollout import Mode
from omma.rollouts.settings import SearchSettings
from omma.written import whole_of

MAX_REASON_CHARACTERS: Final = 1_000
MAX_JUDGED: Final = 100_000
NO_NUL: Final = r"^[^\x00]*$"
"""What PostgreSQL's text takes."""


def _in_digits(key: object) -> object:
    if isinstance(key, str) and whole_of(key) is None:
        raise ValueError("must be the id of a picture, in digits")
    return key


_Id = Annotated[int, BeforeValidator(_in_digits), Field(strict=False, ge=1, lt=1 << 63)]
"""A picture's, which JSON has as text where it is a key: pydantic alone reads 1_9 as 19."""
_INDEX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class ArmRequest(RequestBody):
    """policy: of re-ranking. effort: 1 to 10. duplicate_bits: 1 to 64, by which a near-duplicate's hash may differ, of
    256 in a signature and 64 in a pHash; only fewer than the policy allows change anything. 0, or none: as everybody.
    """

    policy: str = Field(default="", max_length=200, pattern=NO_NUL)
    effort: int = Field(default=0, ge=0, le=10)
    duplicate_bits: int = Field(default=0, ge=0, le=64)


class RolloutRequest(RequestBody):
    """model: `name@version`, another space. Else index: the new one's name, in the live one's space, with what is to be
    different: a codebook trained anew, a FAISS factory, a number of shards.
    """

    model: str = Field(default="", max_length=200, pattern=NO_NUL)
    index: str = Field(default="", max_length=200)
    codebook: Literal["", "retrain"] = ""
    factory: str = Field(default="", max_length=200)
    shards: int | None = None
    mode: Mode = Field(default=Mode.SPLIT, strict=False)
    auto_promote: bool = False
    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS, pattern=NO_NUL)

    def checked(self) -> "RolloutRequest":
        """Itself. Raises InvalidQuery, naming the field."""
        if bool(self.model) == bool(self.codebook or self.factory or self.shards is not None):
            raise InvalidQuery(
                "Say what is to be rolled out: a model, or for the space that there is a codebook, factory or shards.",
                field="model",
            )
        if not self.model and not self.index:
            raise InvalidQuery("Give the new index a name.", field="index")
        if self.index and not _INDEX.fullmatch(self.index):
            raise InvalidQuery(
                f"{self.index[:80]!r} is no name of an index: [A-Za-z0-9._-], 200 at most.", field="index"
            )
        if self.shards is not None and not 1 <= self.shards <= MAX_SHARDS:
            raise InvalidQuery(f"shards must be 1 to {MAX_SHARDS}.", field="shards", limit=MAX_SHARDS)
        if self.factory:
            Factory.parsed(self.factory)
        return self

    def of_the_space(self, control: Index) -> bool:
        """Whether the candidate is of the control's space, and differs from it. Raises InvalidQuery, field `index`."""
        if self.model:
            return False
        same = self.factory in ("", control.factory) and self.shards in (None, control.shards)
        if same and not self.codebook:
            raise InvalidQuery(f"It would be as {control.id} is: nothing to roll out.", field="index")
        return True


class JudgmentsRequest(RequestBody):
    """What people said of stored pictures, by id: a label each, or of queries the grades 0 … 5 of what they should
    find. One of the two.
    """

    labels: dict[_Id, Annotated[str, Field(max_length=200)]] = Field(default={}, max_length=MAX_JUDGED)
    grades: dict[_Id, dict[_Id, Annotated[int, Field(ge=0, le=5)]]] = Field(default={}, max_length=MAX_JUDGED)

    def checked(self) -> "JudgmentsRequest":
        """Itself. Raises InvalidQuery, field `labels`."""
        if bool(self.labels) == bool(self.grades):
            raise InvalidQuery("Give labels of pictures, or grades of what queries should find.", field="labels")
        return self


class ExperimentRequest(RequestBody):
    """arm: what searches of the candidate do where they do not say themselves; the others do as everybody does now.

    share: percent of callers that are answered by it, or by both.
    """

    name: str = Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    arm: ArmRequest
    share: float = 50.0
    mode: Mode = Field(default=Mode.SPLIT, strict=False)
    auto_promote: bool = False
    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS, pattern=NO_NUL)

    def settings(self, defaults: SearchSettings) -> SearchSettings:
        """The arm's. Raises InvalidQuery, field `arm`, when it would do as everybody does."""
        asked = SearchSettings(self.arm.policy, self.arm.effort, self.arm.duplicate_bits)
        if asked.over(defaults) == defaults:
            raise InvalidQuery(
                "The arm does as every search does now: give it another policy, effort or duplicate_bits.", field="arm"
            )
        return asked
