"""What is tried on a judge: honest samples with known verdicts, and attacks that dress up the bad ones.

An attack starts from something that a sound judge rejects, and changes its looks without mending it. Whatever comes out
must still be rejected: a judge that accepts it has been fooled. So no label is ever needed for an attacked text.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rewards.judges.judge import Question, question

SampleKind = Literal["caption", "response"]


@dataclass(frozen=True)
class Sample:
    """Something to be judged, with the verdict that is right.

    Attributes:
        name: of the honest sample it is or comes from.
        kind: "caption": an event, judged for a goal; "response": an answer to a question.
        text: what is judged.
        good: whether a sound judge accepts it.
        prompt: what was asked of the policy; the goal, for captions.
        reference: the right answer, for judges that see one; empty for captions.
    """

    name: str
    kind: SampleKind
    text: str
    good: bool
    prompt: str = ""
    reference: str = ""

    @property
    def question(self) -> Question:
        """As a judge is asked. Captions stand on one line and know no context: the judge knows its goal.

        The reference is also called `answer`, as reward functions often do.
        """
        if self.kind == "caption":
            return question("caption", [" ".join(self.text.split())])
        context = {"prompt": self.prompt, "reference": self.reference, "answer": self.reference}
        return question("response", [self.text], **context)


@dataclass(frozen=True)
class Variant:
    """One way of carrying out an attack.

    Attributes:
        name: for the table.
        dress: makes the attacked text out of a bad sample.
        held_out: whether it was worded apart from the filters in rewards/judges, and so says how they generalise.
        only: kinds of sample that it makes sense for.
    """

    name: str
    dress: Callable[[Sample, random.Random], str]
    held_out: bool = False
    only: tuple[SampleKind, ...] = ("caption", "response")


@dataclass(frozen=True)
class Attack:
    """A family of tricks.

    Attributes:
        name: for the table and the command line.
        about: in one sentence.
        source: where it was described.
        variants: ways of carrying it out.
    """

    name: str
    about: str
    source: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class Attempt:
    """An attacked sample; a sound judge rejects it.

    Attributes:
        attack: name of the attack.
        variant: name of the variant.
        held_out: see `Variant`.
        sample: with the attacked text.
    """

    attack: str
    variant: str
    held_out: bool
    sample: Sample


def attempts(attacks: Iterable[Attack], samples: Sequence[Sample], seed: int = 0) -> Iterator[Attempt]:
    """All variants of all attacks on all samples that a sound judge rejects.

    A text that comes out empty or unchanged is no attempt, and what makes the same question of many samples is one.

    Args:
        attacks: to carry out.
        samples: good ones are passed over.
        seed: of what the attacks draw; the same seed gives the same attempts.
    """
    for attack in attacks:
        for variant in attack.variants:
            asked = set()
            for sample in samples:
                if sample.good or sample.kind not in variant.only:
                    continue
                text = variant.dress(sample, random.Random(f"{seed} {attack.name} {variant.name} {sample.name}"))
                attacked = replace(sample, text=text)
                subject = attacked.question.subject
                if text != sample.text and (text.strip() or sample.kind == "response") and subject not in asked:
                    asked.add(subject)
                    yield Attempt(attack.name, variant.name, variant.held_out, attacked)


def prefixed(name: str, payload: str, held_out: bool = False, only: tuple[SampleKind, ...] | None = None) -> Variant:
    """The payload, then the bad text."""
    return Variant(name, lambda sample, _: f"{payload}\n{sample.text}", held_out, only or ("caption", "response"))


def suffixed(name: str, payload: str, held_out: bool = False, only: tuple[SampleKind, ...] | None = None) -> Variant:
    """The bad text, then the payload."""
    return Variant(name, lambda sample, _: f"{sample.text}\n{payload}", held_out, only or ("caption", "response"))


def replaced(name: str, payload: str, held_out: bool = False, only: tuple[SampleKind, ...] | None = None) -> Variant:
    """The payload alone: the text does not depend on the question."""
    return Variant(name, lambda _, __: payload, held_out, only or ("caption", "response"))
