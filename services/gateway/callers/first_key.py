"""The first admin key, from the environment or a file: a container has nobody who could make it by a command."""

import logging
import time
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr

from omma.catalog.api_key import ApiKey, Role
from omma.catalog.interface import Catalog
from omma.errors import ConcurrentWrite, InvalidQuery
from omma.identity import DEFAULT_TENANT
from omma.storage import StorageSettings
from services.gateway.callers.auth import hash_secret

_NAME: Final = "OMMA_ADMIN_KEY"
_LEAST_CHARACTERS: Final = 16

logger = logging.getLogger(__name__)


class FirstKeySettings(StorageSettings):
    """Of a process with the gateway's faces. Either may name the secret; a file's last line feed is not part of it."""

    admin_key: SecretStr | None = Field(default=None, description="a secret that is an admin's key from the start")
    admin_key_file: Path | None = Field(default=None, description="a file that holds it, such as a mounted secret")

    def first_key(self) -> str | None:
        """The secret, None without one. Raises InvalidQuery when it cannot be read, or is too short to be one."""
        if self.admin_key is not None:
            return _checked(self.admin_key.get_secret_value(), "OMMA_ADMIN_KEY")
        if self.admin_key_file is None:
            return None
        try:
            return _checked(self.admin_key_file.read_text().rstrip("\n"), "OMMA_ADMIN_KEY_FILE")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise InvalidQuery(
                f"{self.admin_key_file} cannot be read: {reason}.", field="OMMA_ADMIN_KEY_FILE"
            ) from None


async def ensure_first_key(catalog: Catalog, settings: FirstKeySettings) -> None:
    """The catalog knows the key that the settings name. The one that they named before it is revoked.

    A key that was revoked by hand stays revoked. Raises InvalidQuery.
    """
    secret = settings.first_key()
    if secret is None:
        return
    wanted = hash_secret(secret)
    known = {key.hash: key for key in await catalog.api_keys()}
    if wanted in known:
        if known[wanted].revoked:
            logger.warning("the key that %s names was revoked: name another one", _NAME)
        return
    key = ApiKey(wanted, _NAME, DEFAULT_TENANT, Role.ADMIN, round(time.time() * 1000))
    try:
        await catalog.add_api_key(key)
    except ConcurrentWrite:
        return  # another gateway that starts now was first
    for one in known.values():
        if one.name == _NAME and not one.revoked:
            await catalog.revoke_api_key(one.hash)
    logger.info("a first admin key was made", extra={"key": wanted[:12]})


def _checked(secret: str, field: str) -> str:
    if len(secret) < _LEAST_CHARACTERS or not secret.isprintable() or " " in secret:
        raise InvalidQuery(f"{field} must be at least {_LEAST_CHARACTERS} characters without spaces.", field=field)
    return secret
