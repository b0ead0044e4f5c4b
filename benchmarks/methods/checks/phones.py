"""Check of tasks that are drawn from templates and checked by state: who does them, who says so, and what varies."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.methods.experiment import Check, Found
from envs.language.phone import digest
from envs.language.phone_tasks import TEMPLATES
from envs.language.task import Prompt
from envs.language.tasks.phone import Config, PhoneTasks
from rewards.columns import Column
from rewards.evaluation.variation import variation

Agent = Callable[[PhoneTasks, Prompt, random.Random], list[str]]
"""What somebody replies to a task."""
PARAMETERS, ATTEMPTS, GIVES_UP = 16, 4, 0.05
"""Tasks of each template, attempts at each, and the chance to give up before an action."""
DONE, CLAIM = json.dumps({"do": "done"}), json.dumps({"do": "done", "answer": "I have done all that was asked for."})


def at_once(task: PhoneTasks, prompt: Prompt, chance: random.Random) -> list[str]:
    """Whoever does nothing."""
    return [DONE]


def liar(task: PhoneTasks, prompt: Prompt, chance: random.Random) -> list[str]:
    """Whoever does nothing, and says that he did."""
    return [CLAIM]


def oracle(task: PhoneTasks, prompt: Prompt, chance: random.Random) -> list[str]:
    """Whoever knows how it is done."""
    return [*task.gold(prompt)[:-1], CLAIM]


def distracted(task: PhoneTasks, prompt: Prompt, chance: random.Random) -> list[str]:
    """Whoever knows it too, and may give up before each action; he claims it in any case."""
    steps = task.gold(prompt)[:-1]
    kept = next((n for n in range(len(steps)) if chance.random() < GIVES_UP), len(steps))
    return [*steps[:kept], CLAIM]


def first_screen(task: PhoneTasks, prompt: Prompt, chance: random.Random) -> list[str]:
    """The same, who besides never looks at a second page."""
    return [reply for reply in distracted(task, prompt, chance) if json.loads(reply)["do"] != "more"]


def done(seed: int, agent: Agent) -> Mapping[str, float]:
    """What an agent is paid, by the state and by what it says, and how that varies with parameters.

    Args:
        seed: of tasks and of whoever does them.
        agent: who.
    """
    chance, left = random.Random(seed), []
    paid, said = np.zeros((2, len(TEMPLATES), PARAMETERS, ATTEMPTS))
    for place, template in enumerate(TEMPLATES):
        task = PhoneTasks(Config(templates=(template,)))
        for number, prompt in enumerate(task.load("test", seed)[:PARAMETERS]):
            for attempt in range(ATTEMPTS):
                session, replies = task.reset(prompt), agent(task, prompt, chance)
                turns = [session.step(reply) for reply in replies]
                paid[place, number, attempt] = sum(turn.reward or 0.0 for turn in turns)
                said[place, number, attempt] = "answer" in json.loads(replies[-1])
                left.append(digest(session.phone.state) == digest(prompt.columns["home"]))
    found = variation(Column.full(paid))
    return {
        "paid by state": float(paid.mean()),
        "paid by what was said": float(said.mean()),
        "least paid": float(paid.min()),
        "most paid": float(paid.max()),
        "torn down": float(np.mean(left)),
        "variance by parameters": float(found.across.mean()),
        "variance by chance": float(found.within.mean()),
    }


def _by_state_and_by_parameters(found: Found) -> bool:
    nothing = all(max(found.values[arm]["most paid"]) == 0 for arm in ("done at once", "liar"))
    everything = min(found.values["oracle"]["least paid"]) == 1
    name = "variance by parameters"
    return (
        nothing
        and everything
        and all(min(measures["torn down"]) == 1 for measures in found.values.values())
        and found.interval("first screen", name)[0] > 0
        and found.above("first screen", "distracted", name)
    )


ANDROID_WORLD = Check(
    row=147,
    name="parameterized-state-checked-tasks",
    claim="Checked by its state, a phone pays 1 for every task that was done and 0 to whoever only says so, and is "
    "left as it was found; who looks at the first screen alone succeeds or not by the parameters of one and the same "
    "template, more than who knows all the screens and is as distracted.",
    arms={
        "done at once": lambda seed: done(seed, at_once),
        "liar": lambda seed: done(seed, liar),
        "oracle": lambda seed: done(seed, oracle),
        "distracted": lambda seed: done(seed, distracted),
        "first screen": lambda seed: done(seed, first_screen),
    },
    holds=_by_state_and_by_parameters,
    units={"torn down": "share of phones"},
)
