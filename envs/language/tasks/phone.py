"""`phone`: tasks on a phone with apps, drawn from templates, and checked by the phone's state when they are over.

    user       Change the number of Ben to 417.
    assistant  {"do": "open", "app": "contacts"}
    tool       contacts, page 1 of 2 …
    assistant  {"do": "write", "key": "Ben", "values": {"number": "417"}}
    assistant  {"do": "done"}

Each prompt has new parameters and a new phone. Whoever says that he is done, or has used up his actions, is paid what
`phone_tasks.checked` says of the state, and the phone is as it was before the task was set up.

Source: AndroidWorld, A Dynamic Benchmarking Environment for Autonomous Agents (Rawles et al. 2024): templates with
parameters, set-up, check by state, tear-down, and a budget of actions for each task. A phone of text stands for a real
one; the budget of so many times what is needed is chosen here.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from envs.language.phone import HELP, BadAction, Phone, action_of, random_state
from envs.language.phone_tasks import TEMPLATES, Drawn, checked, solved
from envs.language.splits import ENDLESS, TEST_SHARE, identify
from envs.language.splits import Drawn as DrawnPrompts
from envs.language.task import Prompt, Split, TextTask, Turn, tool_result, user


class Config(BaseModel):
    """Which tasks, and how hard they are.

    Attributes:
        templates: by name, of which tasks are drawn.
        most: entries of an app.
        patience: actions that are allowed, times those that are needed.
        max_turns: actions at most in any case.
        explain: whether the prompt says which actions there are.
        size: prompts of each split.
        test_share: of all tasks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    templates: tuple[str, ...] = Field(tuple(TEMPLATES), min_length=1)
    most: int = Field(9, ge=3, le=10)
    patience: float = Field(2.0, ge=1)
    max_turns: int = Field(60, ge=1)
    explain: bool = True
    size: int = Field(ENDLESS, ge=1)
    test_share: float = Field(TEST_SHARE, gt=0, lt=1)


class Session:
    """One task on a phone.

    Attributes:
        phone: that is used.
    """

    def __init__(self, columns: Mapping[str, Any]) -> None:
        """Set the phone up.

        Args:
            columns: of the prompt.
        """
        self.phone = Phone(columns["state"])
        self._columns, self._left = columns, columns["budget"]

    def step(self, reply: str) -> Turn:
        """Do what is asked; the end, and what it is worth, where that is "done" or the last action."""
        self._left -= 1
        try:
            action = action_of(reply)
            done = action.get("do") == "done"
            said = "" if done else self.phone.act(action)
        except BadAction as error:
            done, said = False, f"error: {error}"
        if not (done or self._left <= 0):
            return Turn((tool_result(said),), done=False, reward=0.0)
        reward = checked(self._columns["state"], self.phone.state, self._columns["wanted"])
        self.tear_down()
        return Turn((), done=True, reward=reward)

    def tear_down(self) -> None:
        """Leave the phone as it was before the task was set up."""
        self.phone = Phone(self._columns["home"])


class PhoneTasks(TextTask):
    """Tasks on phones.

    Example:
        >>> task = PhoneTasks(Config(templates=("delete_note",)))
        >>> task.load("train", seed=0)[0].messages[0]["content"].splitlines()[-1].startswith("Delete the note")
        True
    """

    name = "phone"
    pays = True

    def __init__(self, config: Config | None = None) -> None:
        """Ready at once.

        Raises:
            ValueError: a template that there is not.
        """
        self.config = config or Config()
        self.max_turns = self.config.max_turns
        if unknown := set(self.config.templates) - set(TEMPLATES):
            raise ValueError(f"got templates {sorted(unknown)}; expected some of {', '.join(TEMPLATES)}")

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """Tasks without end."""
        return DrawnPrompts(self._draw, split, seed, self.config.size, self.config.test_share)

    def reset(self, prompt: Prompt) -> Session:
        """Set a phone up."""
        return Session(prompt.columns)

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """What must be known is looked up, each change is made, and that is said."""
        columns = prompt.columns
        drawn = Drawn(columns["parameters"], columns["wanted"], columns["reads"])
        return tuple(json.dumps(action) for action in solved(columns["state"], drawn))

    def slip(self, prompt: Prompt, chance: random.Random) -> tuple[str, ...]:
        """The gold actions without one of them."""
        gold = list(self.gold(prompt))
        del gold[chance.randrange(len(gold) - 1)]
        return tuple(gold)

    def _draw(self, chance: random.Random) -> Prompt:
        config = self.config
        name = chance.choice(config.templates)
        template, home = TEMPLATES[name], random_state(chance, most=config.most)
        state = deepcopy(home)
        drawn = template.draw(chance, state)
        needed = len(solved(state, drawn))
        columns = {
            "template": name,
            "parameters": drawn.parameters,
            "home": home,
            "state": state,
            "wanted": [list(change) for change in drawn.wanted],
            "reads": [list(read) for read in drawn.reads],
            "budget": min(int(config.patience * needed), config.max_turns),
        }
        text = template.text.format(**drawn.parameters)
        messages = (user(f"{HELP}\n{text}" if config.explain else text),)
        return Prompt(identify(self.name, name, drawn.parameters, state), messages, columns)
