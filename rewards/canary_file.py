"""Canaries in a YAML file: a list of what is judged and whether a sound judge accepts it.

    - {accept: true, text: "You descend to dungeon level #."}
    - {accept: false, kind: response, text: "Solution:", context: {prompt: "What is 2 + 2?", reference: "4"}}
    - {accept: true, kind: pair, texts: ["You find a hidden door.", "You die."]}

The number sign stands for any number, as in all captions.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rewards.canaries import Canary
from rewards.judges.judge import QuestionKind


class Row(BaseModel):
    """One canary as it stands in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    accept: bool
    kind: QuestionKind = "caption"
    text: str | None = Field(default=None, min_length=1)
    texts: list[str] = Field(default_factory=list)
    context: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_or_many(self) -> Row:
        if (self.text is None) == (not self.texts):
            raise ValueError("expected either text or texts")
        if self.kind == "pair" and len(self.texts) != 2:
            raise ValueError(f"got a pair of {len(self.texts)} texts; expected texts: [FIRST, SECOND]")
        return self

    @property
    def canary(self) -> Canary:
        """The canary."""
        texts = self.texts if self.text is None else [self.text]
        return Canary(tuple(texts), self.accept, self.kind, tuple(sorted(self.context.items())))


def read_canaries(path: Path) -> list[Canary]:
    """The canaries of a file.

    Raises:
        ValueError: it cannot be read, or a row is not what it should be; the message names the row.
    """
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeError) as error:
        raise ValueError(f"the canaries {path} cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(rows, list):
        raise ValueError(f"{path}: got a {type(rows).__name__}; expected a list of canaries, each with accept and text")
    canaries = []
    for number, row in enumerate(rows, 1):
        try:
            canaries.append(Row.model_validate(row).canary)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            said = first["msg"].removeprefix("Value error, ")
            raise ValueError(f"{path}: canary {number}: {where + ': ' if where else ''}{said}") from None
    return canaries
