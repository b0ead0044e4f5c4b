"""What a language task is: prompts with columns, episodes of turns, weighted rewards, and gold replies.

A task is plain Python: it knows messages, not tokens, and no model. A single-turn task says what is asked and what is
right; a multi-turn one also answers, through an episode, whatever the policy replies:

    class Parity(TextTask):
        name = "parity"
        rewards: Mapping[str, Weighted] = {"exact": Weighted(1.0, exact)}

        def load(self, split, seed):
            return Drawn(self.draw, split, seed)

        def gold(self, prompt):
            return (prompt.columns["answer"],)

What reward functions may ask for by argument name is a prompt's columns, and what the episode became (see
`EPISODE_COLUMNS`). None abstains; a malformed reply is the policy's own fault and scores 0, never None. What an episode
scores is what the world paid and weight times value, over all weights there are: 1 for the gold replies (`scoring.py`).
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

Message = Mapping[str, str]
"""`role` (system, user, assistant, or tool for what a tool gave) and `content`."""

Split = Literal["train", "test"]

EPISODE_COLUMNS = ("completion", "prompt", "replies", "turns", "messages", "env_rewards", "finish")
"""Besides a prompt's columns: the last reply, what the user said before the first, all replies in order, how many they
are, the whole conversation, what the world paid for each reply (None: nothing), and how the episode ended."""


@dataclass(frozen=True)
class Prompt:
    """Where an episode begins.

    Attributes:
        id: names the prompt within its task, in every process and split.
        messages: the conversation up to the policy's first turn.
        columns: what rewards read by name, such as `answer`; JSON-able, and never seen by the policy.
    """

    id: str
    messages: tuple[Message, ...]
    columns: Mapping[str, Any] = field(default_factory=dict)


class Turn(NamedTuple):
    """What the world says to a reply.

    Attributes:
        messages: what the policy hears before its next reply; none where the episode is over.
        done: whether it is.
        reward: what the world pays for the reply; None: it pays nothing, which is not 0.
    """

    messages: tuple[Message, ...]
    done: bool
    reward: float | None = None


class TextEpisode(Protocol):
    """One conversation. The same replies to the same prompt are answered in the same way."""

    def step(self, reply: str) -> Turn:
        """Answer a reply. Not called again once a turn was `done`, or after the task's `max_turns`."""
        ...


class Weighted(NamedTuple):
    """A reward and what it counts for.

    Attributes:
        weight: its value is multiplied by this.
        function: its arguments are injected by name; as a dotted path, `package.module:function`, it is for whoever
            runs the task to load, because worlds do not know rewards.
    """

    weight: float
    function: Callable[..., Any] | str


class SingleTurn:
    """An episode that is over with the first reply, whatever it is."""

    def step(self, reply: str) -> Turn:
        """The world has nothing to say and pays nothing."""
        return Turn((), done=True)


class TextTask(ABC):
    """Prompts, episodes, rewards and gold replies.

    Attributes:
        name: in the table, in records and in reports.
        max_turns: replies of an episode at most; whoever plays it ends it there.
        pays: whether the world itself pays, 1 in all for the gold replies.
        extractive: whether answers stand in their prompts as they should, such as a span of a passage.
        rewards: by component name; each gives at most 1.
    """

    name: str
    max_turns: int = 1
    pays: bool = False
    extractive: bool = False
    rewards: Mapping[str, Weighted] = {}

    @abstractmethod
    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """The prompts of a split, by random access. The same seed gives the same prompts; the splits never overlap.

        Args:
            split: which.
            seed: of what is drawn and of the order; data that stands as it is may ignore it.
        """

    @abstractmethod
    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """The replies of one episode, in order, that score 1; none where nobody knows any."""

    def slip(self, prompt: Prompt, chance: random.Random) -> tuple[str, ...]:
        """The replies of somebody who errs; by default the gold ones, with one digit of the last a step off.

        Raises:
            ValueError: the last gold reply has no digit.
        """
        *before, last = self.gold(prompt)
        return (*before, slipped(last, chance))

    def reset(self, prompt: Prompt) -> TextEpisode:
        """Begin an episode; by default one of a single turn."""
        return SingleTurn()


def slipped(reply: str, chance: random.Random) -> str:
    """A reply with one digit of it one too many or too few, as by a carry that was forgotten.

    Raises:
        ValueError: it has no digit.
    """
    digits = [place for place, sign in enumerate(reply) if sign in "0123456789"]
    if not digits:
        raise ValueError(f"got tiny.slips for the answer {reply!r}; expected a digit in it: set tiny.slips=0")
    place = chance.choice(digits)
    return f"{reply[:place]}{(int(reply[place]) + chance.choice((1, 9))) % 10}{reply[place + 1 :]}"


def episode_columns(
    columns: Mapping[str, Any], messages: Sequence[Message], env_rewards: Sequence[float | None], finish: str
) -> dict[str, Any]:
    """What reward functions may ask for by name of an episode.

    Args:
        columns: of the prompt.
        messages: the whole conversation.
        env_rewards: what the world paid for each reply.
        finish: how it ended, as in `trajectory.py`.
    """
    replies = [message["content"] for message in messages if message["role"] == "assistant"]
    first = next((i for i, message in enumerate(messages) if message["role"] == "assistant"), len(messages))
    return {
        **columns,
        "completion": replies[-1] if replies else "",
        "prompt": "\n".join(message["content"] for message in messages[:first] if message["role"] == "user"),
        "replies": replies,
        "turns": len(replies),
        "messages": list(messages),
        "env_rewards": list(env_rewards),
        "finish": finish,
    }


def user(content: str) -> Message:
    """What the world says first, as a message."""
    return {"role": "user", "content": content}


def tool_result(content: str) -> Message:
    """What a tool gave, as a message."""
    return {"role": "tool", "content": content}
