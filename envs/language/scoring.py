"""Episodes with replies that are given in advance, and what they score."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from envs.language.task import Message, Prompt, TextTask, episode_columns

Value = Callable[[Mapping[str, Any]], float | None]
"""What a reward gives for an episode's columns."""

Resolve = Callable[[str], Value]
"""Finds a reward by its dotted path. Worlds do not know rewards: whoever runs a task does."""


class Played(NamedTuple):
    """An episode that was played.

    Attributes:
        messages: the whole conversation.
        env_rewards: what the world paid for each reply; None: nothing.
        finish: `stop`: the world was done; `turns`: the limit of turns, or of replies.
        columns: what reward functions may ask for by name.
    """

    messages: tuple[Message, ...]
    env_rewards: tuple[float | None, ...]
    finish: str
    columns: Mapping[str, Any]


def unresolved(path: str) -> Value:
    """For tasks whose rewards are all plain functions.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"got the reward {path!r} by dotted path; expected a resolver that loads it: pass resolve=")


def play(task: TextTask, prompt: Prompt, replies: Sequence[str]) -> Played:
    """Give replies one after another until the world is done, or there are no more of them or of turns."""
    messages, paid, finish = list(prompt.messages), list[float | None](), "turns"
    episode = task.reset(prompt)
    for reply in replies[: task.max_turns]:
        turn = episode.step(reply)
        messages += [{"role": "assistant", "content": reply}, *turn.messages]
        paid.append(turn.reward)
        if turn.done:
            finish = "stop"
            break
    columns = episode_columns(prompt.columns, messages, paid, finish)
    return Played(tuple(messages), tuple(paid), finish, columns)


def values(task: TextTask, played: Played, resolve: Resolve = unresolved) -> dict[str, float | None]:
    """What each of the task's rewards gives; None: it could not be had."""
    found = {}
    for name, (_, function) in task.rewards.items():
        value = resolve(function) if isinstance(function, str) else injected(function)
        found[name] = value(played.columns)
    return found


def score(task: TextTask, played: Played, resolve: Resolve = unresolved) -> float | None:
    """What the episode is worth: the weighted mean of its rewards and of what the world paid in all.

    Returns:
        1 for the best there is; None where a reward that counts, or the pay, could not be had: that is no 0.
    """
    given = values(task, played, resolve)
    weights = {name: weighted.weight for name, weighted in task.rewards.items()}
    if any(given[name] is None for name, weight in weights.items() if weight):
        return None
    paid = [reward for reward in played.env_rewards if reward is not None]
    best = sum(weight for weight in weights.values() if weight > 0) + float(task.pays)
    if (task.pays and not paid) or not best:
        return None
    return (sum(weight * (given[name] or 0.0) for name, weight in weights.items()) + sum(paid)) / best


def injected(function: Callable[..., float | None]) -> Value:
    """A plain function as one of an episode's columns: its arguments are found by name."""
    parameters = inspect.signature(function).parameters.values()

    def value(columns: Mapping[str, Any]) -> float | None:
        missing = [p.name for p in parameters if p.default is p.empty and p.name not in columns]
        if missing:
            raise ValueError(
                f"reward {function.__name__}: nothing provides its argument {', '.join(map(repr, missing))}; "
                f"there is {', '.join(sorted(columns))}"
            )
        return function(**{p.name: columns[p.name] for p in parameters if p.name in columns})

    return value
