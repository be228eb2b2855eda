"""Settings: OMMA_* in the environment or `.env`, nested with `__`; one frozen class a service, read once in main."""

import difflib
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "OMMA_"
_OTHERS = ("EGS", "SHARD", "RERANK", "GATEWAY", "INDEXER", "WORKER", "POSTGRES", "KAFKA", "S3", "TRITON", "DESCRIPTION")

logger = logging.getLogger(__name__)


class Section(BaseModel):
    """The settings of one adapter or service; an adapter is given only its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(BaseSettings):
    """Root of a process's settings. Fields are sections or single values; every number has bounds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file=".env", extra="ignore", frozen=True
    )

    @classmethod
    def known_names(cls) -> set[str]:
        """Every OMMA_* name that this class reads."""
        return set(_names(cls, PREFIX))


def warn_unknown_names(known: Iterable[str], environment: Mapping[str, str] | None = None) -> list[str]:
    """Log a warning for each OMMA_* name that nothing reads, with the nearest known one; returns the messages.

    Sections of other services and of servers that this one does not ask are passed over: one environment serves all.
    """
    known = sorted(known)
    given = {**dotenv_values(Path(".env")), **os.environ} if environment is None else environment
    messages = []
    for name in sorted(given):
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in known:
            continue
        section = upper[len(PREFIX) :].split("__")[0]
        own = any(one.startswith(f"{PREFIX}{section}__") for one in known)
        if section in _OTHERS and not own:
            continue
        near = difflib.get_close_matches(upper, known, n=1, cutoff=0.5)
        messages.append(f"{name} is no setting of Omma{f'; did you mean {near[0]}?' if near else '.'}")
    for message in messages:
        logger.warning(message)
    return messages


def _names(model: type[BaseModel], prefix: str) -> Iterable[str]:
    for name, info in model.model_fields.items():
        upper = f"{prefix}{name.upper()}"
        section = _section(info.annotation)
        if section is None:
            yield upper
        else:
            yield from _names(section, f"{upper}__")


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, or may hold."""
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)
