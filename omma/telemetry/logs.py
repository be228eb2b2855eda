"""Logs on stderr: one JSON object a line, or text for people."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal

from omma.telemetry.context import request_id
from omma.telemetry.traces import trace_id

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

_TALKATIVE: Final = ("aiokafka", "alembic", "botocore", "httpx")
"""They tell at `info` what only matters when something is wrong."""


def configure_logging(level: str, format: Literal["json", "text"] = "json") -> None:
    """Make the root logger write to stderr, replacing the handlers it has. level: a name such as `info`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


class JsonFormatter(logging.Formatter):
    """Fields: time (ISO 8601, UTC, milliseconds), level, logger, message, request_id and trace_id when there are any,
    what `extra=` gave, exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_context(),
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """`time level logger message field=value …`, then the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        fields = "".join(f" {name}={value}" for name, value in {**extra, **_context()}.items())
        line = f"{_time(record)} {record.levelname:<7} {record.name} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _context() -> dict[str, str]:
    known = {"request_id": request_id(), "trace_id": trace_id()}
    return {name: value for name, value in known.items() if value}


def _time(record: logging.LogRecord) -> str:
    when = datetime.fromtimestamp(record.created, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
