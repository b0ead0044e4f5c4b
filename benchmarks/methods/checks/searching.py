"""Checks of search while answering: trees over an imagined world, lookahead on a road with traps, trees of prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Literal

import numpy as np

from actors.search.beam import beam_search
from actors.search.lookahead import best_action, lookahead, replanned
from actors.search.mcts import mcts
from actors.search.prompts import optimise_prompt
from actors.search.tree import best_leaf, total
from actors.search.world_model import imagined
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.blocks import Layout, Move, Puzzle, met

# --- 103: blocks, in a world that a model imagines -------------------------------------------------------------------

PUZZLES, FAR, DEPTH, CALLS = 60, 4, 6, 240
"""Puzzles a seed, moves of the shortest plan and of the longest one, and answers of the model that a plan may take."""
TELLS, OFFERED = 3, 4
"""Times that the model of the world is asked about a move, and moves that the agent proposes in one answer."""
AT_GOAL = 10.0
"""What a plan earns at the goal, beside a share for each block that lies right."""

Way = Literal["majority", "best", "beam", "tree"]


@cache
def puzzles(seed: int) -> list[Puzzle]:
    """Of one seed."""
    return [Puzzle(1000 * seed + k, FAR) for k in range(PUZZLES)]


def plan_of(puzzle: Puzzle, way: Way, accuracy: float, random: np.random.Generator) -> tuple[Sequence[Move], int]:
    """A plan, and how many answers of the model it took, as agent and as model of the world.

    Args:
        puzzle: which.
        way: `majority`: the most frequent plan of chains of thought; `best`: the one of them with the most reward;
            `beam`; `tree`: RAP.
        accuracy: of the model of the world, each time that it is asked.
        random: of the model, and of chains of thought.
    """
    calls, chain = 0, DEPTH * (1 + TELLS)  # answers so far, and those of a plan of full length

    def propose(layout: Layout) -> list[tuple[Move, float]]:
        nonlocal calls
        calls += 1
        return puzzle.proposed(layout)

    def imagine(layout: Layout, move: Move) -> list[Layout]:
        nonlocal calls
        calls += TELLS
        return puzzle.imagined(layout, move, accuracy, TELLS, random)

    def heuristic(layout: Layout) -> float:
        return AT_GOAL if layout == puzzle.goal else met(layout, puzzle.goal)

    step = imagined(imagine, lambda layout: layout == puzzle.goal, heuristic)
    if way == "tree":
        # A pass over what is known costs nothing; passes go on as long as there are answers left for a whole one.
        root = mcts(puzzle.start, propose, step, CALLS, DEPTH, spent=lambda: calls + chain > CALLS)
        return best_leaf(root, "mean").actions, calls
    if way == "beam":
        width = CALLS // (DEPTH * (1 + OFFERED * TELLS))
        beam = beam_search(puzzle.start, propose, step, width, DEPTH)
        return max(beam, key=lambda node: node.ended).actions, calls
    chains = list[tuple[tuple[Move, ...], float]]()
    while calls + chain <= CALLS:
        layout, ended, plan, rewards = puzzle.start, False, list[Move](), list[float]()
        while not ended and len(plan) < DEPTH:
            offered = propose(layout)
            chances = np.array([chance for _, chance in offered])
            move, promise = offered[int(random.choice(len(offered), p=chances / chances.sum()))]
            layout, reward, ended = step(layout, move, promise)
            plan.append(move)
            rewards.append(reward)
        chains.append((tuple(plan), total(rewards, "mean") + (AT_GOAL if ended else 0.0)))
    if way == "majority":
        return Counter(plan for plan, _ in chains).most_common(1)[0][0], calls
    return max(chains, key=lambda pair: pair[1])[0], calls


def reasoned(seed: int, way: Way, accuracy: float = 0.9) -> Mapping[str, float]:
    """Puzzles that are solved in the real world by plans that were made in an imagined one."""
    random = np.random.default_rng(seed)
    found = [(puzzle, *plan_of(puzzle, way, accuracy, random)) for puzzle in puzzles(seed)]
    return {
        "solved": float(np.mean([puzzle.solved(plan) for puzzle, plan, _ in found])),
        "answers": float(np.mean([calls for _, _, calls in found])),
    }


MODELS = {"RAP, model right": 1.0, "RAP": 0.9, "RAP, model 0.7": 0.7, "RAP, model 0.5": 0.5}


def _plans_better(found: Found) -> bool:
    solved = [found.mean(arm, "solved") for arm in MODELS]
    return (
        all(found.above("RAP", other, "solved") for other in ("chains, majority", "beam"))
        and solved == sorted(solved, reverse=True)
        and solved[2] > solved[0] / 2
    )


RAP = Check(
    row=103,
    name="mcts-world-model-reasoning",
    claim="With 240 answers of a model that tells of nine moves in ten where they lead, RAP solves more puzzles than "
    "the most frequent of sampled plans and than beam search. The worse the model, the fewer it solves, and where it "
    "tells of seven in ten they are still more than half of those with the true world.",
    arms={
        "chains, majority": lambda seed: reasoned(seed, "majority"),
        "chains, most reward": lambda seed: reasoned(seed, "best"),
        "beam": lambda seed: reasoned(seed, "beam"),
        **{arm: partial(reasoned, way="tree", accuracy=accuracy) for arm, accuracy in MODELS.items()},
    },
    holds=_plans_better,
    units={"solved": "share of puzzles", "answers": "of the model, a puzzle"},
)


# --- 123: a road with traps ------------------------------------------------------------------------------------------

ROADS, SLACK, LONGEST_TRAP, LENGTHS = 60, 4, 3, (2, 4, 8, 12)
"""Roads a seed and length, steps that may be lost, steps into the deepest trap, and steps to the goal."""
Place = tuple[int, int, int]
"""Steps of the road behind, how far into a trap (0: on the road), and how deep that trap is."""


class Road:
    """A way of some steps; from each place two more edges lead into traps, which end soon and look like the way."""

    def __init__(self, seed: int, length: int, error: float = 0.05) -> None:
        """Drawn from `seed`; `error` is the standard deviation of what a place is taken to be worth."""
        random = np.random.default_rng([seed, length])
        self.length, self.calls = length, 0
        self._right = random.integers(0, 3, length)
        self._deep = random.integers(1, LONGEST_TRAP + 1, (length, 3))
        likes = random.uniform(0.3, 1.0, (length, 3))
        likes[np.arange(length), self._right] = random.uniform(0.2, 0.8, length)
        self._likes, self._inside = likes, random.uniform([0.5, 0.0], [1.0, 0.5], (length, LONGEST_TRAP, 2))
        self._errors = random.normal(0, error, (length + 1, LONGEST_TRAP + 1))

    def proposed(self, place: Place) -> list[tuple[int, float]]:
        """Edges with the score that each has at first sight; in a trap the first leads deeper and the second back."""
        at, into, deep = place
        if into == 0:
            return list(enumerate(self._likes[at].tolist()))
        return [] if into == deep else list(enumerate(self._inside[at, into - 1].tolist()))

    def step(self, place: Place, edge: int, score: float) -> tuple[Place, float, bool]:
        """Where an edge leads: worth 1 at the goal, which is the end."""
        self.calls += 1
        at, into, deep = place
        if into:
            return ((at, into + 1, deep) if edge == 0 else (at, 0, 0)), 0.0, False
        if edge != self._right[at]:
            return (at, 1, int(self._deep[at, edge])), 0.0, False
        return (at + 1, 0, 0), float(at + 1 == self.length), at + 1 == self.length

    def estimate(self, place: Place) -> float:
        """What is left to hope for, by a judge who takes steps into a trap for steps of the way."""
        at, into, _ = place
        return min(at + into, self.length) / self.length + float(self._errors[at, into])


def travelled(road: Road, start: Place, ahead: int) -> tuple[bool, bool]:
    """Whether the goal is reached, and whether the first step led into a trap; with `ahead` of 0 the score decides."""

    def choose(place: Place) -> int | None:
        if ahead == 0:
            return best_action(road.proposed(place))
        # later is a little less: without that, to be about to arrive is worth as much as to arrive
        return best_action(lookahead(place, road.proposed, road.step, ahead, leaf=road.estimate, gamma=0.95))

    passed, paid = replanned(start, choose, lambda place, edge: road.step(place, edge, 0.0), road.length + SLACK)
    return paid > 0, len(passed) > 1 and passed[1][1] > 0


def best_scored(road: Road, start: Place, width: int) -> tuple[bool, bool]:
    """The same of a beam by the sum of the scores; a path that has come to the goal is known and stays ahead of all."""

    def scored(place: Place, edge: int, score: float) -> tuple[Place, float, bool]:
        after, _, ended = road.step(place, edge, score)
        return after, score + 100.0 * ended, ended

    found = beam_search(start, road.proposed, scored, width, road.length + SLACK)[0]
    return found.state[0] == road.length, found.path[0].state[1] > 0


def planned(seed: int, ahead: int = 0, width: int = 0) -> Mapping[str, float]:
    """Goals reached over roads of several lengths, and after a first step that was wrong.

    Args:
        seed: of the roads.
        ahead: steps that are looked ahead; 0: none.
        width: of a beam in place of that; 0: none.
    """

    def go(length: int, start: Place) -> tuple[float, float, float]:
        roads = [Road(1000 * seed + k, length) for k in range(ROADS)]
        ways = [best_scored(road, start, width) if width else travelled(road, start, ahead) for road in roads]
        solved, trapped = np.mean(ways, axis=0).tolist()
        return solved, trapped, float(np.mean([road.calls for road in roads]))

    found = {length: go(length, (0, 0, 0)) for length in LENGTHS}
    return {
        **{f"solved, {length} steps": found[length][0] for length in LENGTHS},
        "first step into a trap": found[LENGTHS[-1]][1],
        "recovered": go(LENGTHS[-2], (0, 1, LONGEST_TRAP))[0],
        "model calls, 12 steps": found[LENGTHS[-1]][2],
    }


def _keeps_to_the_road(found: Found) -> bool:
    lengths = [f"solved, {length} steps" for length in LENGTHS]
    decays = all(found.mean(arm, lengths[-1]) < 0.5 * found.mean(arm, lengths[0]) for arm in ("greedy", "beam"))
    calls = found.mean("beam", "model calls, 12 steps") >= found.mean("FLARE, 4 ahead", "model calls, 12 steps")
    return decays and calls and all(found.mean("FLARE, 4 ahead", name) > 0.9 for name in [*lengths, "recovered"])


FLARE = Check(
    row=123,
    name="lookahead-value-propagation",
    claim="Where the edge that looks best mostly leads into a trap, greedy steps and a beam over their scores reach "
    "less than half as many goals over 12 steps as over 2. Values carried back from 4 steps ahead, with one step done "
    "at a time, reach nine of ten at each length, also after a forced first step into a trap, with no more model calls "
    "than the beam.",
    arms={
        "greedy": planned,
        "beam": partial(planned, width=18),
        "2 ahead": partial(planned, ahead=2),
        "FLARE, 4 ahead": partial(planned, ahead=4),
    },
    holds=_keeps_to_the_road,
    units={
        **{f"solved, {length} steps": "share of roads" for length in LENGTHS},
        "first step into a trap": "share of roads",
        "recovered": "share of roads of 8 steps",
        "model calls, 12 steps": "a road",
    },
)


# --- 101: rules of a prompt ------------------------------------------------------------------------------------------

TASKS, RULES, USEFUL, HELD_OUT = 20, 14, 10, 100
"""Tasks a seed, rules that a prompt may have, those that help, and questions that a prompt is scored on."""
Rules = frozenset[int]


class Guideline:
    """A task whose prompt is a set of rules: some help, some mislead, and some pairs help only together."""

    def __init__(self, seed: int) -> None:
        """Drawn from `seed`."""
        random = np.random.default_rng(seed)
        self._seed, self.scored = seed, 0
        self._worth = np.where(np.arange(RULES) < USEFUL, 1, -1) * random.uniform(0.01, 0.05, RULES)
        self._pairs = random.permutation(USEFUL)[:6].reshape(3, 2)
        self._worth[self._pairs.ravel()] = -0.03  # each of them alone is in the way

    def accuracy(self, rules: Rules) -> float:
        """Truly, from 0 to 1."""
        own = sum(float(self._worth[rule]) for rule in rules)
        together = sum(0.16 for one, other in self._pairs.tolist() if one in rules and other in rules)
        return float(np.clip(0.35 + own + together, 0.0, 1.0))

    def score(self, rules: Rules) -> float:
        """On the held-out questions, always the same ones."""
        self.scored += 1
        own = np.random.default_rng([self._seed, *sorted(rules)])
        return float(own.binomial(HELD_OUT, self.accuracy(rules)) / HELD_OUT)

    def rewritten(self, rules: Rules, random: np.random.Generator) -> Rules:
        """What feedback on some mistakes leads to: mostly a useful rule more, at times any rule, or one less."""
        kind, found = random.random(), set(rules)
        missing = [rule for rule in range(USEFUL) if rule not in rules]
        if kind < 0.7 and missing:
            found.add(missing[int(random.integers(len(missing)))])
        elif kind < 0.85 or not found:
            found.add(int(random.integers(RULES)))
        else:
            found.remove(sorted(found)[int(random.integers(len(found)))])
        if random.random() < 0.2:  # what else a new text says or leaves out
            found ^= {int(random.integers(RULES))}
        return frozenset(found)


START: Rules = frozenset()
Optimiser = Callable[[Guideline, np.random.Generator, int], Rules]
"""From a task, random numbers and how many prompts may be scored, the prompt that is chosen."""


def by_tree(task: Guideline, random: np.random.Generator, budget: int) -> Rules:
    """PromptAgent, as it is; its own number of prompts is everybody's budget."""
    return optimise_prompt(START, lambda rules: task.rewritten(rules, random), task.score).prompt


def by_climbing(task: Guideline, random: np.random.Generator, budget: int) -> Rules:
    """Three rewritings of the best prompt so far, again and again."""
    best, reward = START, task.score(START)
    while task.scored + 3 <= budget:
        written = [task.rewritten(best, random) for _ in range(3)]
        found = max(((task.score(one), k) for k, one in enumerate(written)))
        if found[0] > reward:
            best, reward = written[found[1]], found[0]
    return best


def by_beam(task: Guideline, random: np.random.Generator, budget: int) -> Rules:
    """Three rewritings of each of three prompts, of which the three best go on."""
    scores = {START: task.score(START)}

    def step(rules: Rules, written: Rules, promise: float) -> tuple[Rules, float, bool]:
        scores[written] = task.score(written)
        return written, scores[written] - scores[rules], False  # these sum to a prompt's own score

    depth = 1 + (budget - 1 - 3) // 9
    beam_search(START, lambda rules: [(task.rewritten(rules, random), 0.0) for _ in range(3)], step, 3, depth)
    return max(scores, key=scores.__getitem__)


def by_sampling(task: Guideline, random: np.random.Generator, budget: int) -> Rules:
    """Rewritings of the first prompt alone."""
    written = [START, *(task.rewritten(START, random) for _ in range(budget - 1))]
    return max(written, key=task.score)


@cache
def tree_budget(seed: int, k: int) -> tuple[Rules, int]:
    """What PromptAgent finds for a task, and how many prompts it scored."""
    task = Guideline(1000 * seed + k)
    return by_tree(task, np.random.default_rng([seed, k]), 0), task.scored


def optimised(seed: int, by: Optimiser | None = None) -> Mapping[str, float]:
    """True accuracy of the chosen prompts; None: PromptAgent's."""
    accuracies, scored = list[float](), list[int]()
    for k in range(TASKS):
        task = Guideline(1000 * seed + k)
        found, budget = tree_budget(seed, k)
        if by is not None:
            found = by(task, np.random.default_rng([seed, k]), budget)
        accuracies.append(task.accuracy(found))
        scored.append(task.scored if by is not None else budget)
    return {"accuracy": float(np.mean(accuracies)), "prompts scored": float(np.mean(scored))}


PROMPTAGENT = Check(
    row=101,
    name="mcts-prompt-optimization",
    claim="Where some rules of a prompt help only in pairs, prompts that tree search finds are more accurate than "
    "those of hill climbing, of beam search and of rewritings of the first prompt, with as many prompts scored.",
    arms={
        "rewritings of the first": partial(optimised, by=by_sampling),
        "hill climbing": partial(optimised, by=by_climbing),
        "beam": partial(optimised, by=by_beam),
        "PromptAgent": optimised,
    },
    holds=lambda found: all(
        found.above("PromptAgent", other, "accuracy") for other in ("rewritings of the first", "hill climbing", "beam")
    ),
    units={"accuracy": "share of questions", "prompts scored": "a task"},
)
