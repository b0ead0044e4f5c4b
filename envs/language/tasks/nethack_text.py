"""`nethack_text`: NetHack, seen as text and played by the names of actions.

    [ascii map]
    > far E

The game itself pays. It is loaded when the first prompt is asked for, so that the task can be named where NLE is not
installed. Nobody knows gold replies.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from envs.environment import Environment
from envs.language.splits import ENDLESS, TEST_SHARE, Drawn, identify
from envs.language.task import Prompt, Split, TextTask, Turn, user
from envs.specs import Discrete
from envs.tasks import load as load_path

GOALS = {"score": "Raise the score.", "depth": "Reach dungeon level {depth}.", "oracle": "Stand next to the Oracle."}


class Config(BaseModel):
    """Which game, and for how long.

    Attributes:
        task: `score`: the game pays what its score rises by; `depth` and `oracle`: 1 for the goal.
        depth: dungeon level to reach, of task `depth`.
        max_turns: replies of an episode at most.
        games: different games that there are; None: any number.
        reward_scale: what the game pays is multiplied by this.
        size: prompts of each split.
        test_share: of all games.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Literal["score", "depth", "oracle"] = "score"
    depth: int = Field(2, ge=2)
    max_turns: int = Field(50, ge=1)
    games: int | None = Field(None, ge=2)
    reward_scale: float = Field(1.0, gt=0)
    size: int = Field(ENDLESS, ge=1)
    test_share: float = Field(TEST_SHARE, gt=0, lt=1)


class Game:
    """One game; its memory is freed with its end."""

    def __init__(self, environment: Environment, seed: int, scale: float) -> None:
        """Begin the game of a seed."""
        self._environment, self._scale = environment, scale
        kind = environment.spec.action
        names = environment.spec.action_names if isinstance(kind, Discrete) else ()
        self.actions = {name.lower(): index for index, name in enumerate(names)}
        environment.reset(seed)

    def look(self) -> str:
        """The screen, without the empty lines."""
        return "\n".join(line.rstrip() for line in self._environment.render().splitlines() if line.strip())

    def step(self, reply: str) -> Turn:
        """Do what the reply names; anything else is told so, costs a turn and earns nothing."""
        wanted = " ".join(reply.lower().split())
        if wanted not in self.actions:
            return Turn((user(f"No action {wanted[:30]!r}. {self.help()}"),), done=False, reward=0.0)
        timestep = self._environment.step(self.actions[wanted])
        turn = Turn((user(self.look()),), timestep.last, float(timestep.reward) * self._scale)
        if timestep.last:
            self.close()
            return turn._replace(messages=())
        return turn

    def help(self) -> str:
        """The names of all actions."""
        return f"Actions: {', '.join(self.actions)}."

    def close(self) -> None:
        """Free the game's memory."""
        self._environment.close()


class NetHackText(TextTask):
    """Games of NetHack.

    Example:
        >>> task = NetHackText(Config(task="depth", depth=3, max_turns=200))
        >>> task.gold(task.load("train", seed=0)[0])
        ()
    """

    name = "nethack_text"
    pays = True

    def __init__(self, config: Config | None = None) -> None:
        """Ready; no game is loaded."""
        self.config = config or Config()
        self.max_turns = self.config.max_turns

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """Games without end; each prompt shows the first screen of one."""
        config = self.config
        return Drawn(self._draw, split, seed, config.size, config.test_share, self._show)

    def reset(self, prompt: Prompt) -> Game:
        """Begin the prompt's game."""
        return self._game(prompt.columns["seed"])

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """None: nobody knows them."""
        return ()

    def _draw(self, chance: random.Random) -> Prompt:
        number = chance.randrange(self.config.games or 2**31)
        ident = identify(self.name, self.config.task, number)
        return Prompt(ident, (), {"seed": number})

    def _show(self, prompt: Prompt) -> Prompt:
        game = self.reset(prompt)
        goal = GOALS[self.config.task].format(depth=self.config.depth)
        text = f"You play NetHack. {goal} Reply with one action. {game.help()}\n{game.look()}"
        game.close()
        return replace(prompt, messages=(user(text),))

    def _game(self, seed: int) -> Game:
        config = self.config
        options: dict[str, Any] = {"depth": config.depth} if config.task == "depth" else {}
        make = load_path("envs.nethack:make_nethack")
        return Game(make(config.task, max_episode_steps=config.max_turns, **options), seed, config.reward_scale)
