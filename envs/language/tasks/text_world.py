"""`text_world`: an adventure of ten or more turns, made up for each prompt: rooms, locked doors, keys, a treasure.

    > go north
    You are in the attic. Exits: south, east (red door, locked). You see: red key.

The world pays 1 for taking the treasure, and 0 for every other command.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from envs.language.splits import ENDLESS, TEST_SHARE, Drawn, identify
from envs.language.task import Prompt, Split, TextTask, Turn, user

STEPS = {"north": (0, 1), "east": (1, 0), "south": (0, -1), "west": (-1, 0)}
ROOMS = (
    "hall", "attic", "cellar", "kitchen", "library", "study", "chapel", "armoury", "pantry", "studio", "nursery",
    "garden", "stable", "vault", "gallery", "tower", "cloister", "larder", "workshop", "bath",
)  # fmt: skip
COLOURS = ("red", "blue", "green", "white")
TRIES = 500
COMMANDS = "go north, go east, go south, go west, take THING, unlock COLOUR door, look, inventory"


class Config(BaseModel):
    """How hard the worlds are.

    Attributes:
        rooms: of a world.
        keys: and locked doors.
        fewest_turns: that the shortest way to the treasure takes, at least.
        max_turns: commands at most.
        explain: whether the prompt says which commands there are.
        size: prompts of each split.
        test_share: of all worlds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rooms: int = Field(8, ge=2, le=len(ROOMS))
    keys: int = Field(1, ge=0, le=len(COLOURS))
    fewest_turns: int = Field(10, ge=1)
    max_turns: int = Field(40, ge=1)
    explain: bool = True
    size: int = Field(ENDLESS, ge=1)
    test_share: float = Field(TEST_SHARE, gt=0, lt=1)


class State(NamedTuple):
    """Where the adventurer stands.

    Attributes:
        room: index of the room.
        held: colours of keys.
        opened: colours of doors.
    """

    room: int = 0
    held: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()


class World:
    """Rooms, exits and things; it does not change, states do."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        """A world by its plan: `names`, `exits` by room and direction `[room, colour or ""]`, `keys`, `treasure`."""
        self.names: Sequence[str] = plan["names"]
        self.exits: Sequence[Mapping[str, Sequence[Any]]] = plan["exits"]
        self.keys: Mapping[str, int] = plan["keys"]
        self.treasure: int = plan["treasure"]

    def after(self, state: State, command: str) -> State | str:
        """The state that a command leads to, or why it leads nowhere."""
        verb, _, rest = command.partition(" ")
        if verb == "go":
            there, colour = self.exits[state.room].get(rest, (None, ""))
            if there is None:
                return f"You cannot go {rest[:20]}."
            return (
                f"The {colour} door is locked." if colour and colour not in state.opened else state._replace(room=there)
            )
        if verb == "take":
            colour = rest.removesuffix(" key")
            if rest not in (f"{c} key" for c in self._lying(state)):
                return f"There is no {rest[:20]} here."
            return state._replace(held=state.held | {colour})
        if verb == "unlock":
            colour = rest.removesuffix(" door")
            here = {c for _, c in self.exits[state.room].values() if c}
            if colour not in here or not rest.endswith(" door"):
                return f"There is no {rest[:20]} here."
            return (
                state._replace(opened=state.opened | {colour})
                if colour in state.held
                else f"You need the {colour} key."
            )
        return "I do not understand."

    def wins(self, state: State, command: str) -> bool:
        """Whether a command takes the treasure."""
        return command == "take treasure" and state.room == self.treasure

    def describe(self, state: State) -> str:
        """What the adventurer sees."""
        exits = [
            direction + (f" ({colour} door{'' if colour in state.opened else ', locked'})" if colour else "")
            for direction, (_, colour) in self.exits[state.room].items()
        ]
        things = [f"{colour} key" for colour in self._lying(state)]
        things += ["treasure"] * (state.room == self.treasure)
        seen = f" You see: {', '.join(things)}." if things else ""
        return f"You are in the {self.names[state.room]}. Exits: {', '.join(exits)}.{seen}"

    def commands(self, state: State) -> list[str]:
        """All that might lead to another state."""
        doors = [f"unlock {c} door" for _, c in self.exits[state.room].values() if c and c not in state.opened]
        return [*(f"take {c} key" for c in self._lying(state)), *doors, *(f"go {d}" for d in self.exits[state.room])]

    def solution(self) -> list[str] | None:
        """The fewest commands that take the treasure; None where it cannot be had."""
        first = State()
        came: dict[State, tuple[State, str] | None] = {first: None}
        queue = deque([first])
        while queue:
            state = queue.popleft()
            if state.room == self.treasure:
                commands = ["take treasure"]
                while (step := came[state]) is not None:
                    state, command = step
                    commands.append(command)
                return commands[::-1]
            for command in self.commands(state):
                after = self.after(state, command)
                if isinstance(after, State) and after not in came:
                    came[after] = (state, command)
                    queue.append(after)
        return None

    def _lying(self, state: State) -> list[str]:
        return [colour for colour, room in self.keys.items() if room == state.room and colour not in state.held]


class Adventure:
    """One walk through a world."""

    def __init__(self, world: World) -> None:
        """At the start."""
        self._world, self._state = world, State()

    def step(self, reply: str) -> Turn:
        """Obey a command; anything else is answered, and costs a turn."""
        command = " ".join(reply.lower().split()).strip(" .!>")
        if self._world.wins(self._state, command):
            return Turn((), done=True, reward=1.0)
        if command == "look":
            return self._say(self._world.describe(self._state))
        if command == "inventory":
            return self._say(
                "You carry: " + (", ".join(f"{c} key" for c in sorted(self._state.held)) or "nothing") + "."
            )
        after = self._world.after(self._state, command)
        if isinstance(after, str):
            return self._say(after)
        self._state = after
        return self._say(self._world.describe(after))

    def _say(self, text: str) -> Turn:
        return Turn((user(text),), done=False, reward=0.0)


class TextWorld(TextTask):
    """Adventures.

    Example:
        >>> task = TextWorld(Config(rooms=12, keys=2, fewest_turns=15))
        >>> len(task.gold(task.load("train", seed=0)[0])) >= 15
        True
    """

    name = "text_world"
    pays = True

    def __init__(self, config: Config | None = None) -> None:
        """Ready at once."""
        self.config = config or Config()
        self.max_turns = self.config.max_turns
        if self.config.keys >= self.config.rooms or self.config.fewest_turns > self.max_turns:
            raise ValueError(
                f"got {self.config.keys} keys in {self.config.rooms} rooms, and at least {self.config.fewest_turns} of "
                f"{self.max_turns} turns; expected fewer keys than rooms, and no more turns than there are"
            )

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """Worlds without end."""
        return Drawn(self._draw, split, seed, self.config.size, self.config.test_share)

    def reset(self, prompt: Prompt) -> Adventure:
        """Begin at the start."""
        return Adventure(World(prompt.columns["plan"]))

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """The shortest way."""
        return tuple(World(prompt.columns["plan"]).solution() or ())

    def _draw(self, chance: random.Random) -> Prompt:
        config = self.config
        for _ in range(TRIES):
            plan = _plan(chance, config.rooms, config.keys)
            world = World(plan)
            solution = world.solution()
            if solution is not None and config.fewest_turns <= len(solution) <= config.max_turns:
                told = "Find the treasure and take it." + (f" Commands: {COMMANDS}." if config.explain else "")
                return Prompt(identify(self.name, plan), (user(f"{told}\n{world.describe(State())}"),), {"plan": plan})
        raise ValueError(
            f"none of {TRIES} worlds of {config.rooms} rooms and {config.keys} keys takes {config.fewest_turns} to "
            f"{config.max_turns} turns; expected more rooms, more keys, or other limits"
        )


def _plan(chance: random.Random, rooms: int, keys: int) -> dict[str, Any]:
    """A tree of rooms on a grid. Doors on the way to the treasure are locked; each key lies before its door.

    Room r grew from an earlier one, so whatever lies behind its door has a number from r on: a key in a room below r is
    never behind its own door, nor, by induction, behind a ring of doors.
    """
    cells, parents = [(0, 0)], [-1]
    exits: list[dict[str, list[Any]]] = [{}]
    opposite = dict(zip(STEPS, ("south", "west", "north", "east"), strict=True))
    while len(cells) < rooms:
        # mostly from the newest room, so that ways are long
        parent = len(cells) - 1 if chance.random() < 0.7 else chance.randrange(len(cells))
        direction = chance.choice(list(STEPS))
        dx, dy = STEPS[direction]
        cell = (cells[parent][0] + dx, cells[parent][1] + dy)
        if cell in cells:
            continue
        exits[parent][direction] = [len(cells), ""]
        exits.append({opposite[direction]: [parent, ""]})
        cells.append(cell)
        parents.append(parent)
    way = [rooms - 1]
    while parents[way[-1]] > 0:
        way.append(parents[way[-1]])
    lying: dict[str, int] = {}
    for colour, room in zip(chance.sample(COLOURS, keys), chance.sample(way, min(keys, len(way))), strict=False):
        for one, other in ((room, parents[room]), (parents[room], room)):
            for passage in exits[one].values():
                if passage[0] == other:
                    passage[1] = colour
        lying[colour] = chance.randrange(room)
    return {"names": chance.sample(ROOMS, rooms), "exits": exits, "keys": lying, "treasure": rooms - 1}
