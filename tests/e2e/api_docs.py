"""`python -m tests.e2e.api_docs`: write the answers of docs/API.md anew whose shape is no longer what is answered."""

import asyncio
import sys
from typing import Any, Final

from tests.e2e.api_examples import DOCUMENT, Answer, documented_server, examples, faults, written_answer
from tests.e2e.api_shapes import without_example

_SHOWN: Final = 3
"""Items of a long list in an answer that is written."""


async def write_anew() -> None:
    text = DOCUMENT.read_text()
    replaced: list[tuple[tuple[int, int], str]] = []
    async with documented_server() as (shell, openapi):
        for example in examples(text):
            try:
                got = await shell.run(example, settled=False)
            except Exception as error:
                raise RuntimeError(f"docs/API.md:{example.line}") from error
            if faults(example, got):
                replaced.append((example.place, written_answer(Answer(got.status, got.headers, _short(got.document)))))
        lacking = without_example(openapi, shell.asked)
    for (begin, end), block in reversed(replaced):
        text = text[:begin] + block + text[end:]
    DOCUMENT.write_text(text)
    print(f"{len(replaced)} answers written")
    for one in lacking:
        print(f"no example: {one}", file=sys.stderr)


def _short(value: Any) -> Any:
    """With the first items of long lists."""
    if isinstance(value, dict):
        return {name: _short(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value[:_SHOWN]]
    return value


if __name__ == "__main__":
    asyncio.run(write_anew())
