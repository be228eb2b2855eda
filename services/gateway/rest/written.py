"""Numbers and days in paths and queries, taken as they are written.

Pydantic alone reads 1_9 as 19, 1.0, +1 and " 1" as 1, and 0 as the first day of 1970.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from omma import written


@dataclass(frozen=True, slots=True)
class Written:
    """Metadata of a parameter's type, behind its bounds.

    form: a regular expression that the whole text fits. what: such a text.
    """

    form: str
    what: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        form = re.compile(self.form)

        def check(value: Any) -> Any:
            if isinstance(value, str) and not form.fullmatch(value):
                raise PydanticCustomError("written", f"must be {self.what}")
            return value

        return core_schema.no_info_before_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^{self.form}$"}


WHOLE: Final = Written(written.WHOLE, "a whole number, in digits")
NUMBER: Final = Written(written.NUMBER, "a number such as 2.5")

PictureId = Annotated[int, Written(written.WHOLE, "the id of a picture, in digits")]
Day = Annotated[date, Written("[0-9]{4}-[0-9]{2}-[0-9]{2}", "a day such as 2026-01-31")]
