"""Rollouts: N prompts times G members, each a conversation between the policy and its task's world.

Nobody waits for anybody: at any time some episodes have a reply sampled, all of them in one batch of the engine, and
others are with their world, in threads. A bad rollout is data: a prompt that is too long, a reply that was cut, a world
that raised or hung is how an episode finished, never the end of the run.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jinja2 import TemplateError
from pydantic import BaseModel, ConfigDict, Field

from actors.engines.chat_tokenizer import ChatTokenizer
from actors.language.conversation import Conversations
from actors.language.generation import Generated, GenerationEngine, Poll, Sampling
from actors.language.world import World
from envs.language.task import Message, Prompt, TextEpisode, TextTask, Turn
from envs.language.trajectory import ROLES, TokenTrajectory

LOG = logging.getLogger(__name__)

Finish = Literal["stop", "length", "turns", "aborted"]

LARGEST = float(np.finfo(np.float32).max)
"""What a record can hold as a reward."""


class Config(BaseModel):
    """How rollouts are run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    episodes: int = Field(512, ge=1)
    """Under way at once; new groups begin while there is room for all their members."""
    world_threads: int = Field(8, ge=1)
    """Steps of the world that run at the same time."""
    world_timeout_s: float = Field(30.0, gt=0)
    """A step that takes longer aborts its episode."""
    lockstep: bool = False
    """Whether tokens wait for all worlds, so that batches, and with them every bit of the result, do not depend on how
    fast a world is."""


@dataclass(frozen=True)
class Origin:
    """Who rolls out: every group is one insert of the store, with a sequence number of its own."""

    actor: int = 0
    epoch: int = 0
    sequence: int = 0
    """Of the first group."""


@dataclass
class _Episode:
    """One conversation under way."""

    group: int
    """Place of its group in this call."""
    member: int
    prompt: Prompt
    messages: list[Message]
    tokens: list[int] = field(default_factory=list)
    own: list[bool] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    turn_ends: list[int] = field(default_factory=list)
    rewards: list[float | None] = field(default_factory=list)
    world: TextEpisode | None = None
    completion: str = ""
    """The last reply."""
    cut: bool = False
    """Whether it was."""
    finish: Finish | None = None

    def hear(self, tokens: Sequence[int]) -> None:
        """Append what is not the policy's."""
        self.tokens += tokens
        self.own += [False] * len(tokens)
        self.log_probs += [0.0] * len(tokens)
        self.versions += [-1] * len(tokens)

    def say(self, reply: Generated, text: str) -> None:
        """Append the policy's reply."""
        self.tokens += reply.token_ids
        self.own += [True] * len(reply.token_ids)
        self.log_probs += reply.log_probs
        self.versions += reply.versions
        self.turn_ends.append(len(self.tokens))
        self.rewards.append(None)
        self.messages.append({"role": "assistant", "content": text})
        self.completion, self.cut = text, reply.finish == "length"

    def forget(self, length: int) -> None:
        """Leave out what the policy never read, because its context was full."""
        for column in (self.tokens, self.own, self.log_probs, self.versions):
            del column[length:]

    def trajectory(self, task: str, number: int, origin: Origin, version: int) -> TokenTrajectory:
        """As a record; `version` is the engine's, for an episode in which nothing was sampled."""
        sequence = origin.sequence + self.group
        versions = [version for version in self.versions if version >= 0] or [version]
        assert self.finish is not None
        return TokenTrajectory(
            row_id=f"{origin.actor}/{origin.epoch}/{sequence}/{self.member}",
            task=task,
            prompt_id=self.prompt.id,
            group_id=f"{number:09d}",
            member=self.member,
            actor=origin.actor,
            epoch=origin.epoch,
            sequence=sequence,
            policy_version_min=min(versions),
            policy_version_max=max(versions),
            token_ids=np.array(self.tokens, np.int32),
            loss_mask=np.array(self.own, bool),
            behaviour_log_probs=np.array(self.log_probs, np.float32),
            token_versions=np.array(self.versions, np.int32),
            turn_ends=np.array(self.turn_ends, np.int32),
            env_rewards=tuple(self.rewards),
            finish=self.finish,
            messages=tuple(self.messages),
            columns=self.prompt.columns,
            completion=self.completion,
        )

    def step(self, task: TextTask, text: str) -> Turn:
        """Let the world answer; its first step begins it."""
        if self.world is None:
            self.world = task.reset(self.prompt)
        return self.world.step(text)


def rollout(
    engine: GenerationEngine,
    chats: ChatTokenizer,
    task: TextTask,
    prompts: Sequence[Prompt],
    group_size: int,
    sampling: Sampling,
    seed: int,
    *,
    groups: Sequence[int] | None = None,
    origin: Origin | None = None,
    config: Config | None = None,
    poll: Poll | None = None,
) -> list[TokenTrajectory]:
    """Play all prompts to their end; see `play`.

    Returns:
        N x G trajectories, group by group in the order of the prompts, members in order.
    """
    done = dict(play(engine, chats, task, prompts, group_size, sampling, seed, groups, origin, config, poll))
    return [one for place in sorted(done) for one in done[place]]


def play(
    engine: GenerationEngine,
    chats: ChatTokenizer,
    task: TextTask,
    prompts: Iterable[Prompt],
    group_size: int,
    sampling: Sampling,
    seed: int,
    groups: Iterable[int] | None = None,
    origin: Origin | None = None,
    config: Config | None = None,
    poll: Poll | None = None,
) -> Iterator[tuple[int, list[TokenTrajectory]]]:
    """Groups as they are finished, which is not the order of their prompts.

    Args:
        engine: that has nothing else to do.
        chats: the tokenizer of its model.
        task: the world.
        prompts: taken one by one while there is room.
        group_size: members that answer each prompt.
        sampling: of each reply.
        seed: of the run. A conversation depends on the weights, its prompt, this, its group and member; not on what
            else is under way.
        groups: numbers of the groups in the run; 0, 1, … if not given.
        origin: whose rows these are.
        config: how rollouts are run.
        poll: asked between token steps for new weights.

    Yields:
        The place of a prompt in `prompts`, and its members' trajectories.
    """
    stage = _Stage(engine, chats.conversations, task, group_size, sampling, seed, config or Config())
    coming = enumerate(prompts)
    numbers = iter(groups) if groups is not None else None
    origin, exhausted = origin or Origin(), False
    try:
        while True:
            if poll is not None and (fresh := poll()) is not None:
                engine.load_weights(*fresh)
            while not exhausted and stage.room:
                place, prompt = next(coming, (-1, None))
                if prompt is None:
                    exhausted = True
                else:
                    stage.begin(place, place if numbers is None else next(numbers), prompt)
            for place, number, members in stage.advance():
                yield place, [one.trajectory(task.name, number, origin, engine.version) for one in members]
            if exhausted and stage.empty:
                return
    finally:
        stage.close()


class _Stage:
    """All conversations under way."""

    def __init__(
        self,
        engine: GenerationEngine,
        talk: Conversations,
        task: TextTask,
        group_size: int,
        sampling: Sampling,
        seed: int,
        config: Config,
    ) -> None:
        self._engine, self._talk, self._task, self._group_size = engine, talk, task, group_size
        self._sampling, self._seed, self._config = sampling, seed, config
        self._world: World[Turn] = World(config.world_threads, config.world_timeout_s)
        self._silent = type(task).reset is TextTask.reset  # its world has nothing to say, and needs no thread for that
        self._groups: dict[int, tuple[int, list[_Episode]]] = {}
        self._writing: dict[int, _Episode] = {}
        self._acting: dict[int, _Episode] = {}
        self._steps = 0
        self._moved = False  # whether an episode may have ended since groups were last looked at

    @property
    def room(self) -> bool:
        """Whether another group may begin."""
        under_way = self._group_size * len(self._groups)
        return under_way == 0 or under_way + self._group_size <= self._config.episodes

    @property
    def empty(self) -> bool:
        """Whether no group is under way."""
        return not self._groups

    def begin(self, place: int, number: int, prompt: Prompt) -> None:
        """Have all members of a group answer a prompt."""
        members = [_Episode(place, m, prompt, list(prompt.messages)) for m in range(self._group_size)]
        self._groups[place] = number, members
        refused = False
        try:
            opening = self._talk.opening(prompt.messages)
        except TemplateError as error:
            LOG.warning("prompt %s of task %s: the chat template refuses it: %s", prompt.id, self._task.name, error)
            opening, refused = self._talk.plain(prompt.messages), True
        for one in members:
            one.hear(opening)
            if refused:
                one.finish, self._moved = "aborted", True
            else:
                self._ask(one)

    def advance(self) -> list[tuple[int, int, list[_Episode]]]:
        """A token step, and what the worlds have said meanwhile; returns groups that are whole."""
        if self._writing:
            for ticket, reply in self._engine.step():
                self._take(self._writing.pop(ticket), reply)
        idle = not self._writing or self._config.lockstep
        while self._world.pending:
            for key, turn in self._world.collect(self._config.world_timeout_s if idle else 0.0):
                self._hear(self._acting.pop(key), turn)
            if not self._config.lockstep:
                break
        if not self._moved:
            return []
        self._moved = False
        whole = [place for place, (_, members) in self._groups.items() if all(one.finish for one in members)]
        return [(place, *self._groups.pop(place)) for place in whole]

    def close(self) -> None:
        """Leave nothing in the engine, and let the threads go."""
        self._engine.abort(list(self._writing))
        self._world.close()

    def _ask(self, one: _Episode) -> None:
        """Have the engine write an episode's next reply."""
        number, turn = self._groups[one.group][0], len(one.turn_ends)
        seed = _seed(self._seed, number, one.member, turn)
        name = (number, one.member) if turn + 1 < self._task.max_turns else None
        self._writing[self._engine.submit(one.tokens, self._sampling, seed, name)] = one

    def _take(self, one: _Episode, reply: Generated) -> None:
        """Hand a reply to the world."""
        self._moved = True
        if not reply.token_ids:  # the context is full
            one.forget(one.turn_ends[-1] if one.turn_ends else self._engine.max_tokens)
            one.finish = "length"
            return
        text = self._talk.reply(reply.token_ids)
        one.say(reply, text)
        if self._silent:
            self._hear(one, one.step(self._task, text))
            return
        self._steps += 1
        self._acting[self._steps] = one
        self._world.submit(self._steps, lambda: one.step(self._task, text))

    def _hear(self, one: _Episode, turn: Turn | Exception) -> None:
        """Go on with what the world said."""
        self._moved = True
        try:
            if isinstance(turn, Exception):
                raise turn
            _check(turn)
            said, one.rewards[-1] = len(one.messages), turn.reward
            one.messages += turn.messages
            if one.cut:
                one.finish = "length"
            elif turn.done:
                one.finish = "stop"
            elif len(one.turn_ends) >= self._task.max_turns:
                one.finish = "turns"
            else:
                one.hear(self._talk.continuation(one.messages[:said], turn.messages, one.tokens[-1]))
                self._ask(one)
        except Exception as error:  # a world may raise, hang, or say what a template refuses
            LOG.warning("task %s, prompt %s: %s: %s", self._task.name, one.prompt.id, type(error).__name__, error)
            one.finish = "aborted"


def _seed(*parts: int) -> int:
    """A seed of 64 bits for one reply."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little")


def _check(turn: Turn) -> None:
    for message in turn.messages:
        if message.get("role") not in ROLES or not isinstance(message.get("content"), str):
            raise ValueError(f"got the message {message!r} from the world; expected a role of {ROLES}, and a content")
        try:
            message["content"].encode()
        except UnicodeEncodeError:  # half of a pair: neither tokenizers nor records take it
            raise ValueError(
                f"got {message['content']!r:.80} from the world; expected text that UTF-8 can say"
            ) from None
    if turn.reward is not None and not abs(turn.reward) <= LARGEST:  # NaN is not
        raise ValueError(f"got the reward {turn.reward} from the world; expected a number that float32 holds, or None")
