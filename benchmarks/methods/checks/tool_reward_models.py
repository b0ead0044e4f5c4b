"""Check of a reward model that asks a tool before it scores: facts that cannot be known, and style that can be seen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import menu
from benchmarks.methods.worlds.scores import grpo
from benchmarks.methods.worlds.written_verdicts import Writer
from learners.objectives.tool_trace import Segment, tool_trace_losses
from rewards.columns import Column
from rewards.evaluation.accuracy import pair_accuracy
from rewards.judges.kinds.tool import lookup

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# --- 41: a table of facts ---------------------------------------------------------------------------------------------

NAMES, FACTS = 8, 8
"""A question names two things of NAMES each; the fact about them is one of FACTS."""
ASKS_FACT, ASKS_STYLE, PLAIN, POLITE, LOOK_UP, NO_TOOL, NOTHING, HOLDS, FAILS = range(9)
"""Kinds of questions, styles of answers, actions, an observation of nothing, and rationales."""
NAME, FACT = 9, 9 + NAMES
"""Tokens of names and of facts."""
VOCABULARY, READ, TRACE = 9 + NAMES + FACTS, 5, 5
"""READ tokens: kind of question, two names, and the fact and the style of an answer; TRACE tokens: action, two names,
observation and rationale."""
SEGMENTS = (Segment.ACTION, Segment.ACTION, Segment.ACTION, Segment.OBSERVATION, Segment.RATIONALE)
STEPS, PAIRS, TESTED = 600, 32, 1000
Tools = Literal["no trace", "no answers of the tool", "tools"]


class World:
    """Facts drawn at random, of which a half is in the pairs that are learnt from, and the tool that knows all."""

    def __init__(self, seed: int) -> None:
        """Facts from `seed`."""
        self.random = np.random.default_rng(seed)
        self.facts = self.random.integers(0, FACTS, (NAMES, NAMES))
        self.learnt = self.random.permuted(np.arange(NAMES * NAMES) % 2).reshape(NAMES, NAMES).astype(np.bool_)
        self._tool = lookup({f"{a} {b}": str(self.facts[a, b]) for a in range(NAMES) for b in range(NAMES)})

    def pairs(self, number: int, kind: int, learnt: bool) -> tuple[Ints, Ints]:
        """Two questions with answers each, the better answer first `[2, n, READ]`, both about what is learnt or not."""
        named = np.argwhere(self.learnt == learnt)[self.random.integers(0, self.learnt.sum(), number)]
        right = self.facts[named[:, 0], named[:, 1]]
        wrong = (right + self.random.integers(1, FACTS, number)) % FACTS
        said = [right, wrong] if kind == ASKS_FACT else list(self.random.integers(0, FACTS, (2, number)))
        styles = self.random.integers(PLAIN, POLITE + 1, (2, number))
        if kind == ASKS_STYLE:
            styles = np.array([[POLITE], [PLAIN]]).repeat(number, 1)
        asked = [np.full(number, kind), NAME + named[:, 0], NAME + named[:, 1]]
        one, other = (np.stack([*asked, FACT + said[k], styles[k]], 1) for k in range(2))
        return one, other

    def observed(self, actions: Ints) -> Ints:
        """What the tool says to actions as they were written `[n, 3]`, as tokens."""

        async def ask() -> list[str]:
            return [await self._tool.use(f"{a - NAME} {b - NAME}") for _, a, b in actions.tolist()]

        said = asyncio.run(ask())
        known = np.array([FACT + int(answer) if answer.isdigit() else NOTHING for answer in said], np.int64)
        return np.where(actions[:, 0] == LOOK_UP, known, NOTHING)

    def trace(self, read: Ints, answers: bool) -> Ints:
        """What an annotator writes about a question and an answer `[n, TRACE]`."""
        facts = read[:, 0] == ASKS_FACT
        action = np.column_stack([np.where(facts, LOOK_UP, NO_TOOL), read[:, 1:3]])
        truth = FACT + self.facts[read[:, 1] - NAME, read[:, 2] - NAME]
        holds = np.where(facts, truth == read[:, 3], read[:, 4] == POLITE)
        return np.column_stack([action, np.where(facts & answers, truth, NOTHING), np.where(holds, HOLDS, FAILS)])


class ToolRewardModel(Writer):
    """Writes a trace behind question and answer, and scores what it has read last."""

    def __init__(self, seed: int) -> None:
        """Random weights, from `seed`."""
        super().__init__(seed, VOCABULARY, READ + TRACE)
        self.worth = nn.Linear(len(self.body[0].get_parameter("weight")), 1)

    def both(self, read: Tensor, trace: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of a trace `[n, TRACE]`, and the score after it `[n]`, by heads on the same states."""
        states = self.body[1](self.body[0](self.states(torch.cat([read, trace], 1))[:, READ - 1 :]))
        logs = self.body[2](states[:, :-1]).log_softmax(-1).gather(-1, trace[..., None])[..., 0]
        return logs, self.worth(states[:, -1])[:, 0]

    @torch.no_grad()
    def judged(self, world: World, read: Ints, tools: Tools) -> Floats:
        """Scores `[n]`, after traces that it writes itself, the observations excepted."""
        asked = torch.as_tensor(read)
        trace = torch.full((len(read), TRACE), NOTHING)
        if tools != "no trace":
            generator = torch.Generator().manual_seed(0)
            trace[:, :3] = self.write(asked, 3, generator, greedy=True)
            if tools == "tools":
                trace[:, 3] = torch.as_tensor(world.observed(trace[:, :3].numpy()))
            trace[:, 4] = self.logits(asked, trace)[:, -1].argmax(-1)
        return np.asarray(self.both(asked, trace)[1].double().numpy())


def fitted(world: World, tools: Tools, seed: int) -> ToolRewardModel:
    """A reward model that was taught with pairs of both kinds about what is learnt."""
    model = ToolRewardModel(seed)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    segments = torch.tensor([int(one) for one in SEGMENTS]).expand(2, PAIRS, TRACE)
    for _ in range(STEPS):
        halves = [world.pairs(PAIRS // 2, kind, learnt=True) for kind in (ASKS_FACT, ASKS_STYLE)]
        both = [np.concatenate(sides) for sides in zip(*halves, strict=True)]
        read = torch.as_tensor(np.concatenate(both))
        if tools == "no trace":
            trace = torch.full((2 * PAIRS, TRACE), NOTHING)
        else:
            trace = torch.as_tensor(np.concatenate([world.trace(one, tools == "tools") for one in both]))
        logs, scores = model.both(read, trace)
        weight = float(tools != "no trace")
        better, worse = scores.view(2, PAIRS)
        losses = tool_trace_losses(logs.view(2, PAIRS, TRACE), segments, better, worse, weight, 0.0, weight)
        loss = losses.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def followed(world: World, model: ToolRewardModel, tools: Tools, seed: int) -> float:
    """How often a policy that was trained by the scores says the fact, over all questions."""
    a, b, said = (grid.ravel() for grid in np.meshgrid(*map(np.arange, (NAMES, NAMES, FACTS)), indexing="ij"))
    read = np.stack([np.full_like(a, ASKS_FACT), NAME + a, NAME + b, FACT + said, np.full_like(a, PLAIN)], 1)
    scores = model.judged(world, read, tools).reshape(-1, FACTS)
    chances = menu.trained(
        np.zeros(scores.shape),
        lambda prompt, picked, random: {"score": Column.full(scores[prompt, picked])},
        grpo(),
        seed,
        updates=150,
        groups=32,
        rate=32.0,
    )
    return float(chances[np.arange(len(chances)), world.facts.ravel()].mean())


def asking(seed: int, tools: Tools) -> Mapping[str, float]:
    """How often a reward model is right, of facts and of style, and what a policy learns from it.

    Args:
        seed: of everything.
        tools: none, and nothing written; all that is written with them, but no answers; or tools that answer.
    """
    world = World(seed)
    model = fitted(world, tools, seed)

    def right(kind: int, learnt: bool) -> float:
        one, other = world.pairs(TESTED, kind, learnt)
        return pair_accuracy(model.judged(world, one, tools), model.judged(world, other, tools)).value or 0.0

    return {
        "right of facts": right(ASKS_FACT, learnt=False),
        "right of facts that were in pairs": right(ASKS_FACT, learnt=True),
        "right of style": right(ASKS_STYLE, learnt=False),
        "facts said by a policy": followed(world, model, tools, seed),
    }


def _knows_what_it_looks_up(found: Found) -> bool:
    """Right of facts with tools alone, of style as often, and the policy with it."""
    style = found.difference("tools", "no trace", "right of style")
    return (
        all(found.above("tools", other, "right of facts", by=0.2) for other in ("no trace", "no answers of the tool"))
        and abs(style.value) < 0.02
        and found.above("tools", "no trace", "facts said by a policy", by=0.2)
    )


THEMIS = Check(
    row=41,
    name="tool-augmented-rm",
    claim="Of answers about facts that were in no pair, a reward model that looks them up is right more often, by over "
    "0.2, than one that writes no trace and than one whose tool does not answer; of style it is right as often, within "
    "0.02, as one without a trace; and a policy that learns from it says facts more often, by over 0.2.",
    arms={tools: partial(asking, tools=tools) for tools in ("no trace", "no answers of the tool", "tools")},
    holds=_knows_what_it_looks_up,
    units={
        "right of facts": "share of pairs",
        "right of facts that were in pairs": "share of pairs",
        "right of style": "share of pairs",
        "facts said by a policy": "share of questions",
    },
)
