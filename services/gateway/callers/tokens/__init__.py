"""JSON Web Tokens of somebody else's sign-in, beside API keys."""

from services.gateway.callers.tokens.bearer import MAX_TOKEN_CHARACTERS, Bearer, Tokens, looks_like_token, open_tokens
from services.gateway.callers.tokens.settings import JwtSettings

__all__ = ["MAX_TOKEN_CHARACTERS", "Bearer", "JwtSettings", "Tokens", "looks_like_token", "open_tokens"]
