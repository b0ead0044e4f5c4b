"""Attack a judge of your own: how often is a bad answer let through, without Guerdon's defences and with them?

    python examples/attack_your_judge.py samples=50

The judge here is the kind that people write first: it looks for signs of an argument. Put yours in its place.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pipelines.overrides import parse
from pipelines.service.targets import Target
from pipelines.trust.attack import compare, table_of
from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status


class Impressionable:
    """Accepts whatever sounds like a solution."""

    fingerprint = "impressionable-1"

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        return [self.one(question.texts[0].lower()) for question in questions]

    def one(self, text: str) -> Answer:
        return Answer(
            Status.OK, float(any(sign in text for sign in ("solution", "therefore", "step by step", "correct")))
        )

    async def check(self) -> None:
        """Always there."""


def main(words: list[str]) -> None:
    values = parse(words)
    target = Target("impressionable", Impressionable(), "response", "1")
    print(table_of(compare(target, "", samples=int(values.get("samples", 50)))))


if __name__ == "__main__":
    main(sys.argv[1:])
