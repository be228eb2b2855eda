"""Settings: OMMA_* in the environment or `.env`, nested with `__`; one frozen class a service, read once in main."""

import difflib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "OMMA_"
_OTHERS = (
    "EGS",
    "SHARD",
    "RERANK",
    "GATEWAY",
    "INDEXER",
    "WORKER",
    "PICTURES",
    "FETCH",
    "DESCRIPTION",
    "POSTGRES",
    "KAFKA",
    "S3",
    "CLAMD",
    "TRITON",
    "TOPOLOGY",
)
FORMER = {
    "OMMA_GATEWAY__MAX_PICTURE_BYTES": "OMMA_PICTURES__MAX_BYTES",
    "OMMA_INDEXER__MAX_PICTURE_BYTES": "OMMA_PICTURES__MAX_BYTES",
    "OMMA_EGS__MAX_BYTES": "OMMA_PICTURES__MAX_BYTES",
    "OMMA_GATEWAY__MAX_PICTURE_PIXELS": "OMMA_PICTURES__MAX_PIXELS",
    "OMMA_EGS__MAX_PIXELS": "OMMA_PICTURES__MAX_PIXELS",
    "OMMA_GATEWAY__MAX_PICTURE_FRAMES": None,
    "OMMA_EGS__MAX_FRAMES": None,
    "OMMA_GATEWAY__MAX_TAGS": "OMMA_DESCRIPTION__TAGS",
    "OMMA_GATEWAY__MAX_ATTRIBUTES_BYTES": "OMMA_DESCRIPTION__ATTRIBUTES_BYTES",
}
"""Names that were: what each is called now, which every process reads, or None where nothing is limited any more.

Of several former names of one setting the first here counts, and the present name before them all.
"""

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
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """As pydantic-settings orders them, with former names read as the present ones."""
        for source in (env_settings, dotenv_settings):
            if isinstance(source, EnvSettingsSource):
                source.env_vars = _present_names(source.env_vars)
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @classmethod
    def known_names(cls) -> set[str]:
        """Every OMMA_* name that this class reads."""
        return {name for name, _ in named_fields(cls)}


def named_fields(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[tuple[str, FieldInfo]]:
    """Every single value that a settings class reads, with the name of its environment variable."""
    for name, field in model.model_fields.items():
        upper = f"{prefix}{name.upper()}"
        section = _section(field.annotation)
        if section is None:
            yield upper, field
        else:
            yield from named_fields(section, f"{upper}__")


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
        if upper in FORMER:
            messages += _about_former(upper, known)
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


def _present_names(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """With former names as the present ones; pydantic-settings has them in lower case."""
    names = {name.upper(): name for name in given}
    present = {name: value for name, value in given.items() if name.upper() not in FORMER}
    for former, now in FORMER.items():
        if now is not None and former in names:
            present.setdefault(now.lower(), given[names[former]])
    return present


def _about_former(name: str, known: Iterable[str]) -> list[str]:
    now = FORMER[name]
    if now is None:
        return [f"{name} is no setting any more: nothing is limited by it."]
    return [f"{name} is now called {now}; it still works."] if now in known else []


def setting_faults(error: ValidationError) -> list[str]:
    """One line a setting that is missing or wrong: `OMMA_GATEWAY__EGS: Field required`. No value is in them."""
    return [f"{PREFIX}{'__'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors()]


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, or may hold."""
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)
