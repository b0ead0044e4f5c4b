"""Is a task sound? Checked before the first step: gold replies score 1, splits are apart, no answer is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from envs.language.scoring import Resolve, play, score, unresolved, values
from envs.language.splits import Drawn
from envs.language.task import Message, Prompt, Split, TextTask
from envs.language.trajectory import ROLES

LEAKS = 0.5
"""A task is refused where so many more of its prompts tell their own answer than that of another prompt."""

FEW = 8
"""Prompts below which no share is taken for evidence."""

CountTokens = Callable[[Sequence[Message]], int]


class InvalidTask(ValueError):
    """A task that must not be trained on; the message says what was got, what was expected, and what to do."""


@dataclass(frozen=True)
class Report:
    """What was found of a task that is sound.

    Attributes:
        prompts: of each split; those that were looked at are at most `sample`.
        without_gold: prompts that were looked at and have no gold reply.
        repeated: share of drawn prompts that had been drawn before, by split.
        leaks: share of prompts that tell their own answer, less those that tell another's, in the worse split.
        too_long: tokens by the id of each prompt that leaves no room for a reply.
    """

    prompts: Mapping[Split, int]
    without_gold: int
    repeated: Mapping[Split, float]
    leaks: float
    too_long: Mapping[str, int] = field(default_factory=dict)


def validate(
    task: TextTask,
    resolve: Resolve = unresolved,
    *,
    seed: int = 0,
    sample: int = 64,
    count_tokens: CountTokens | None = None,
    context: int | None = None,
) -> Report:
    """Look at a task before it is used.

    Args:
        task: any.
        resolve: finds rewards that are named by dotted path.
        seed: of what is loaded.
        sample: prompts that are looked at in each split, the first of them.
        count_tokens: of the tokens of a conversation, its template included.
        context: tokens that a conversation may have; prompts that fill it are reported.

    Returns:
        What was found.

    Raises:
        InvalidTask: the task must not be used.
    """
    sides: tuple[Split, ...] = ("train", "test")
    loaded = {side: _load(task, side, seed) for side in sides}
    looked = {side: [prompts[i] for i in range(min(sample, len(prompts)))] for side, prompts in loaded.items()}
    repeated = {side: _repeated(task, loaded[side], looked[side]) for side in sides}
    _apart(task, loaded, looked)
    everything = [prompt for side in sides for prompt in looked[side]]
    for prompt in everything:
        _well_formed(task, prompt)
    with_gold = {side: [(p, gold) for p in prompts if (gold := task.gold(p))] for side, prompts in looked.items()}
    for pairs in with_gold.values():
        for prompt, gold in pairs:
            _gold_scores(task, prompt, gold, resolve)
    too_long = {}
    if count_tokens is not None and context is not None:
        lengths = {prompt.id: count_tokens(prompt.messages) for prompt in everything}
        too_long = {ident: tokens for ident, tokens in lengths.items() if tokens >= context}
        if len(too_long) == len(lengths):
            raise InvalidTask(
                f"task {task.name}: got prompts of {min(lengths.values())} tokens and more; expected fewer than the "
                f"context of {context}: take a longer context or shorter prompts"
            )
    return Report(
        prompts={side: len(prompts) for side, prompts in loaded.items()},
        without_gold=len(everything) - sum(map(len, with_gold.values())),
        repeated=repeated,
        leaks=max(_leaks(task, pairs) for pairs in with_gold.values()),
        too_long=too_long,
    )


def _load(task: TextTask, side: Split, seed: int) -> Sequence[Prompt]:
    try:
        prompts = task.load(side, seed)
        if len(prompts):
            prompts[0]
    except ValueError as error:
        raise InvalidTask(f"task {task.name}, {side}: {error}") from error
    if not len(prompts):
        raise InvalidTask(f"task {task.name}: got no prompts for {side}ing; expected at least one: look at its data")
    return prompts


def _repeated(task: TextTask, prompts: Sequence[Prompt], looked: Sequence[Prompt]) -> float:
    """Share of prompts that occur again. Prompts that are drawn may; of those that are listed each stands once."""
    seen: dict[str, Prompt] = {}
    again = 0
    for prompt in looked if isinstance(prompts, Drawn) else prompts:
        before = seen.setdefault(prompt.id, prompt)
        if before is prompt:
            continue
        again += 1
        if not isinstance(prompts, Drawn):
            raise InvalidTask(
                f"task {task.name}: got prompt {prompt.id} twice ({_shown(prompt)}); expected unique prompts: remove "
                "what is double in the data"
            )
        if (before.messages, before.columns) != (prompt.messages, prompt.columns):
            raise InvalidTask(
                f"task {task.name}: got two different prompts with the id {prompt.id}; expected an id that names all "
                "that is asked"
            )
    if looked and again > len(looked) / 2:
        raise InvalidTask(
            f"task {task.name}: {again} of {len(looked)} prompts had been drawn before; expected a larger world: make "
            "the task harder"
        )
    return again / len(looked)


def _apart(task: TextTask, loaded: Mapping[Split, Sequence[Prompt]], looked: Mapping[Split, list[Prompt]]) -> None:
    """Refuse splits that share a prompt, by its id or, where the reply follows from it alone, by its words."""
    keys: dict[str, set[str]] = {}
    for side, prompts in loaded.items():
        everything = looked[side] if isinstance(prompts, Drawn) else prompts
        keys[side] = {prompt.id for prompt in everything}
        if task.max_turns == 1:
            keys[side] |= {json.dumps([dict(m) for m in prompt.messages]) for prompt in everything}
    if common := keys["train"] & keys["test"]:
        raise InvalidTask(
            f"task {task.name}: got {min(common)[:120]} for training and for testing; expected splits that share no "
            "prompt: split by a hash of what is asked (envs/language/splits.py)"
        )


def _well_formed(task: TextTask, prompt: Prompt) -> None:
    try:
        plain = [prompt.id, [dict(m) for m in prompt.messages], dict(prompt.columns)]
        json.dumps(plain, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidTask(
            f"task {task.name}, prompt {prompt.id}: {error}; expected plain JSON in its columns, and whole characters"
        ) from None
    for message in prompt.messages:
        if message.get("role") not in ROLES or not isinstance(message.get("content"), str):
            raise InvalidTask(
                f"task {task.name}, prompt {prompt.id}: got the message {dict(message)!r:.80}; expected a role of "
                f"{', '.join(ROLES)}, and content"
            )
    if not prompt.messages or not any(message["content"].strip() for message in prompt.messages):
        raise InvalidTask(f"task {task.name}, prompt {prompt.id}: got an empty prompt; expected words")


def _gold_scores(task: TextTask, prompt: Prompt, gold: Sequence[str], resolve: Resolve) -> None:
    """Refuse a task whose gold replies do not score 1, or are not played to the end."""
    played = play(task, prompt, gold)
    taken = len(played.env_rewards)
    if taken < len(gold) or (task.max_turns > 1 and played.finish != "stop"):
        raise InvalidTask(
            f"task {task.name}, prompt {prompt.id}: the episode took {taken} of {len(gold)} gold replies and "
            f"ended with {played.finish!r}; expected it to stop with the last one, within max_turns={task.max_turns}"
        )
    try:
        got = score(task, played, resolve)
    except Exception as error:  # whatever a reward raises, it cannot be trained with
        raise InvalidTask(
            f"task {task.name}, prompt {prompt.id}: a reward failed on the gold reply: {error}"
        ) from error
    if got is None or abs(got - 1) > 1e-6:
        parts: dict[str, Any] = {
            **values(task, played, resolve),
            **({"world": played.env_rewards} if task.pays else {}),
        }
        raise InvalidTask(
            f"task {task.name}, prompt {prompt.id}: the gold reply {gold[-1][:80]!r} scores {got} ({parts}); "
            "expected 1: mend the reward or the gold replies"
        )


def _leaks(task: TextTask, with_gold: Sequence[tuple[Prompt, tuple[str, ...]]]) -> float:
    """How much more often prompts tell their own answer than another's: choices that are listed tell neither."""
    if task.extractive or task.max_turns > 1 or len(with_gold) < FEW:
        return 0.0
    answers = [str(prompt.columns.get("answer", gold[-1])) for prompt, gold in with_gold]
    prompts = [" ".join(message["content"] for message in prompt.messages) for prompt, _ in with_gold]
    shift = len(answers) // 2
    own = others = compared = 0
    for index, prompt in enumerate(prompts):
        other = answers[(index + shift) % len(answers)]
        if other == answers[index]:
            continue
        compared += 1
        own += _tells(prompt, answers[index])
        others += _tells(prompt, other)
    excess = (own - others) / compared if compared else 0.0
    if compared >= FEW and excess >= LEAKS:
        raise InvalidTask(
            f"task {task.name}: {own} of {compared} prompts tell their answer, such as {_shown(with_gold[0][0])}; "
            "expected prompts that do not: look at the template, or say extractive=True where answers are spans "
            "of their prompts"
        )
    return excess


def _tells(prompt: str, answer: str) -> bool:
    """Whether the answer stands in the prompt, not as a part of a longer word or number."""
    answer, place = answer.strip(), prompt.find(answer.strip())
    while answer and place >= 0:
        before, after = prompt[place - 1 : place], prompt[place + len(answer) : place + len(answer) + 1]
        inside = (answer[0].isalnum() and before.isalnum()) or (answer[-1].isalnum() and after.isalnum())
        if not inside:
            return True
        place = prompt.find(answer, place + 1)
    return False


def _shown(prompt: Prompt) -> str:
    return repr(prompt.messages[-1]["content"][:120] if prompt.messages else "")
