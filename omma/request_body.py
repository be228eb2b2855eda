"""What somebody sends as JSON: nothing in it that is not known, and no value that stands in for another."""

from pydantic import BaseModel, ConfigDict


class RequestBody(BaseModel):
    """Base of every body that pydantic reads: `true` is no 1, `"1"` no 1 and 1 no `true`; an unknown field is an error.

    What JSON has no type for, an enum or a number as a key, says `Field(strict=False)` where it stands.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
