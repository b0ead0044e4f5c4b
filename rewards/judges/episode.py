"""`EpisodeJudge`: a verifier, which is a reward function of episodes or rows, asked about responses to prompts.

A response is an episode of one reply, in one row, with the columns of `envs.language.task.EPISODE_COLUMNS` and the
texts of the question's context. The reference is a text there: an argument that is a number gets it as one, and a
function that wants anything else is refused, since it would read the letters of the text.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from envs.language.task import episode_columns, user
from rewards.functions import RewardFunction
from rewards.judges.judge import Answer, Question, alike, unanswerable

SUBJECTS = ("episode", "row")
REFERENCES = ("answer", "reference", "references")
"""Arguments that get the right answer."""


class EpisodeJudge:
    """A `Judge` of responses."""

    def __init__(self, function: RewardFunction) -> None:
        """Judge by a function.

        Raises:
            ValueError: it is not one of episodes or rows, or its reference is neither a text nor a number.
        """
        if function.subject not in SUBJECTS:
            raise ValueError(f"reward {function.name} judges {function.subject}s; expected subject='episode' or 'row'")
        self.function, self._numbers = function, _numbers(function)

    @property
    def fingerprint(self) -> str:
        """The function's reward version."""
        return f"function-{self.function.version}"

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order.

        Raises:
            ValueError: the function asks for what such an episode does not have, or for a number that is none.
        """
        if wrong := [question for question in questions if question.kind != "response"]:
            return [unanswerable(wrong[0], ["response"])] * len(questions)
        if not questions:
            return []
        answers: dict[int, Answer] = {}
        for places in alike(questions):
            episodes = [self._episode(questions[place]) for place in places]
            shared = set.intersection(*map(set, episodes))
            columns = {name: [one[name] for one in episodes] for name in sorted(shared)}
            answers.update(zip(places, await self.function.answer(columns), strict=True))
        return [answers[place] for place in range(len(questions))]

    async def check(self) -> None:
        """Always reachable."""

    def _episode(self, question: Question) -> dict[str, Any]:
        """What the function may ask for of an episode in which the policy replied once, and was done."""
        context: dict[str, Any] = {**question.fields}
        if "reference" in context:
            context.setdefault("references", context["reference"])
        for name in self._numbers & set(context):
            try:
                context[name] = float(context[name])
            except ValueError:
                raise ValueError(
                    f"reward {self.function.name}: got {name} {context[name][:100]!r}; it takes a number"
                ) from None
        asked = [user(context["prompt"])] if "prompt" in context else []
        reply = {"role": "assistant", "content": question.texts[0]}
        return episode_columns(context, [*asked, reply], [None], "stop")


def _numbers(function: RewardFunction) -> set[str]:
    """Which of the arguments for the reference are numbers; refuses what is neither a number nor a text."""
    try:
        hints = get_type_hints(function.function)
    except (NameError, TypeError):  # written for readers, or known to type checkers alone
        return set()
    found = set()
    for name in (one for one in REFERENCES if one in hints and one not in function.settings):
        hint = hints[name]
        kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        if {str, Any}.intersection(kinds):
            continue
        if not {int, float}.intersection(kinds):
            raise ValueError(
                f"reward {function.name}: its argument {name} is a {hint}, and the reference of an answer to be judged "
                f"is a text; expected a text or a number: judge by a function that reads {name} from a text"
            )
        found.add(name)
    return found
