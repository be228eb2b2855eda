"""python -m deploy.compose.settings: write omma.env, every setting that compose.yaml leaves open, as a comment.

What it is for and its default come from the settings classes; run it again when one has changed.
"""

import json
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # its stubs are not among our dependencies
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from omma.settings import PREFIX, Settings, named_fields
from services.egs.main import EgsProcess
from services.gateway.main import GatewayProcess
from services.indexer.main import IndexerProcess
from services.nn_shard.main import ShardProcess
from services.worker.main import WorkerProcess

FOLDER: Final = Path(__file__).parent
PROCESS_OF: Final[dict[str, type[Settings]]] = {
    "services.egs": EgsProcess,
    "services.gateway": GatewayProcess,
    "services.indexer": IndexerProcess,
    "services.nn_shard": ShardProcess,
    "services.worker": WorkerProcess,
}
OF_THIS_MACHINE: Final = ("DECODE_THREADS", "MODEL_THREADS", "WIDE_THREADS")
_HEAD: Final = """\
# Settings of every process of Omma, beside those that compose.yaml sets: remove the # before a line and run
# `docker compose up -d`. What is shown is the default. Written by `python -m deploy.compose.settings`.
"""


def compose() -> dict[str, Any]:
    """compose.yaml, anchors resolved."""
    said: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return said


def environments() -> dict[str, dict[str, str]]:
    """What compose.yaml sets for each service that is a process of Omma."""
    return {
        name: service["environment"]
        for name, service in compose()["services"].items()
        if service.get("command", [])[-1:] and service["command"][-1] in PROCESS_OF
    }


def open_names() -> set[str]:
    """Every name that some process reads and compose.yaml does not set. TLS between processes is not among them, nor a
    topology: compose.yaml says where the one index is.
    """
    known = {name for process in PROCESS_OF.values() for name in process.known_names()}
    fixed = {name for environment in environments().values() for name in environment}
    return {name for name in known - fixed - {f"{PREFIX}TOPOLOGY"} if not name.startswith(f"{PREFIX}TLS__")}


def written() -> str:
    """The text of omma.env."""
    sections: dict[str, dict[str, str]] = {}
    wanted = open_names()
    for process in PROCESS_OF.values():
        for name, field in named_fields(process):
            if name in wanted:
                section = name.removeprefix(PREFIX).rpartition("__")[0]
                sections.setdefault(section, {})[name] = _line(name, field)
    return _HEAD + "".join(_paragraph(section, lines) for section, lines in sorted(sections.items()))


def _paragraph(section: str, lines: dict[str, str]) -> str:
    title = f"{PREFIX}{section}__…" if section else "every process"
    return f"\n# {title}\n" + "\n".join(lines[name] for name in sorted(lines)) + "\n"


def _line(name: str, field: FieldInfo) -> str:
    about = f"# {field.description.rstrip('.')}\n" if field.description else ""
    return f"{about}#{name}={_default(name, field)}"


def _default(name: str, field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=False)
    if value is PydanticUndefined or value is None or name.endswith(OF_THIS_MACHINE):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if hasattr(value, "get_secret_value"):
        return str(value.get_secret_value())
    return json.dumps(value) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    (FOLDER / "omma.env").write_text(written())
