"""Settings of the re-ranker: OMMA_RERANK__…"""

from pydantic import Field

from omma.settings import Section
from services.rerank.policies import DEFAULT, Policy


class RerankSettings(Section):
    """policies: a deployment's own, as a JSON list beside the built-in `default` and `diverse`.

    OMMA_RERANK__POLICIES='[{"name": "shop", "version": 2, "blocked_domains": ["spam.example"]}]'
    """

    policies: tuple[Policy, ...] = Field(default=(), max_length=1000)
    default_policy: str = Field(default=DEFAULT.name, description="name or name@version, for a query that names none")
    threads: int = Field(default=1, ge=1, le=64)
