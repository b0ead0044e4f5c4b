"""`Prices`: what a judge costs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Prices(BaseModel):
    """The price list of a judge, in any one currency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: float = Field(default=0.0, ge=0, description="for each question")
    million_tokens: float = Field(default=0.0, ge=0, description="for a million tokens, read or written")

    def cost(self, requests: int, tokens: int) -> float:
        """What some questions cost that took so many tokens together."""
        return requests * self.request + tokens * self.million_tokens / 1e6
