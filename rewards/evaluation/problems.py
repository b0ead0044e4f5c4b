"""`Problem`: a prompt with answers that are right and answers that are not; and the same in other words."""

from __future__ import annotations

from dataclasses import dataclass

from rewards.judges.judge import Question, QuestionKind, question


@dataclass(frozen=True)
class Problem:
    """What a judge of answers is tried on.

    Attributes:
        prompt: that was answered.
        chosen: answers that are right, or better: one or more.
        rejected: answers that are not: one or more.
        answer: the reference, where there is one; "" where there is none.
        subset: of the data it is of; "" where there are none.
        reworded: prompt, chosen and rejected answers in other words, in their order; empty: they are
            wrapped by `in_other_words`.
    """

    prompt: str
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]
    answer: str = ""
    subset: str = ""
    reworded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is something to tell apart.

        Raises:
            ValueError: one side is empty, or the rewording has not as many texts.
        """
        if not self.chosen or not self.rejected:
            raise ValueError(
                f"got {len(self.chosen)} chosen and {len(self.rejected)} rejected answers; expected one of each or more"
            )
        if self.reworded and len(self.reworded) != 1 + len(self.answers):
            raise ValueError(
                f"got {len(self.reworded)} reworded texts; expected {1 + len(self.answers)}: prompt, chosen, rejected"
            )

    @property
    def answers(self) -> tuple[str, ...]:
        """All of them, the right ones first."""
        return (*self.chosen, *self.rejected)

    @property
    def gold(self) -> tuple[float, ...]:
        """What each of `answers` is worth: 1 or 0."""
        return (1.0,) * len(self.chosen) + (0.0,) * len(self.rejected)

    def ask(self, kind: QuestionKind, *texts: str) -> Question:
        """A question about answers to this prompt; the reference goes along as `answer` and as `reference`."""
        context = {"answer": self.answer, "reference": self.answer} if self.answer else {}
        return question(kind, texts, prompt=self.prompt, **context)


def in_other_words(problem: Problem, what: str) -> Problem:
    """The same problem with its prompt or its answers said differently, and nothing else changed.

    Problems that know no other words are wrapped: a sentence before the text, which changes nothing of the matter.

    Args:
        problem: as it was asked.
        what: "prompt" or "answers".

    Raises:
        ValueError: `what` is neither.
    """
    wrapped = (
        f"Here is something I would like to know. {problem.prompt}",
        *(f"Here is my answer. {text}" for text in problem.answers),
    )
    prompt, *answers = problem.reworded or wrapped
    if what == "prompt":
        return Problem(prompt, problem.chosen, problem.rejected, problem.answer, problem.subset)
    if what == "answers":
        cut = len(problem.chosen)
        return Problem(problem.prompt, tuple(answers[:cut]), tuple(answers[cut:]), problem.answer, problem.subset)
    raise ValueError(f"got {what!r}; expected 'prompt' or 'answers'")
