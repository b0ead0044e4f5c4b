"""Check of a judge of next actions that names a principle first: what a teacher overlooks, and what verdicts teach."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.written_verdicts import (
    FIRST,
    FREE,
    SECOND,
    Ints,
    Training,
    Writer,
    reinforced,
    taught,
    verdict_alone,
    verdicts,
    written,
)
from rewards.evaluation.accuracy import one_to_many_of_pairs, pair_accuracy
from rewards.judges.kinds.tournament import round_of

# --- 155: on the way to a goal, with steps that cannot be undone ------------------------------------------------------

MOVES = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
"""Right, left, up and down; the fifth action hands in."""
ACTIONS, HAND_IN, GRADES = 5, 4, 4
SIGN, TRAP = FREE, FREE + 6
"""Tokens: signs of the way to the goal along both axes, three each; and the move that cannot be undone, or none."""
ACTION, PRINCIPLE, GRADE = TRAP + 5, TRAP + 5 + ACTIONS, TRAP + 5 + ACTIONS + 3
"""Tokens of actions; of principles: hand in what is done, beware of the trap, go on; and of grades."""
VOCABULARY, PROMPT, LENGTH = GRADE + GRADES, 5, 4
TRAPS, OVERLOOKED = 0.6, 0.7
"""How often a move towards the goal is a trap, and how often the teacher overlooks that."""
IMITATING, LEARNING = 500, 250
TESTED, EPISODES, LONGEST, CANDIDATES = 600, 400, 12, 5


def closer(signs: Ints) -> NDArray[np.bool_]:
    """Which moves lead towards the goal `[n, 4]`, from the signs of the way there `[n, 2]`."""
    return np.asarray((signs @ MOVES.T) > 0)


def trap(random: np.random.Generator, signs: Ints) -> Ints:
    """A move towards the goal that cannot be undone, or 4 for none `[n]`."""
    ways = closer(signs)
    drawn = np.where(ways, random.random(ways.shape), -1.0).argmax(1)
    return np.where(ways.any(1) & (random.random(len(signs)) < TRAPS), drawn, 4)


def grades(signs: Ints, trapped: Ints) -> Ints:
    """What each action is worth `[n, ACTIONS]`: 0 cannot be undone, 1 away, 2 closer, 3 closer along the first axis.

    To hand in is worth 3 at the goal, and cannot be undone elsewhere.
    """
    ways, there = closer(signs), (signs == 0).all(1)
    first = np.where((signs[:, 0] != 0)[:, None], [True, True, False, False], [False, False, True, True])
    found = np.column_stack([1 + ways + (ways & first), np.where(there, 3, 0)])
    rows = np.flatnonzero(trapped < 4)
    found[rows, trapped[rows]] = 0
    return found


def states(random: np.random.Generator, number: int) -> tuple[Ints, Ints]:
    """Signs of the way to the goal `[n, 2]` and the trap `[n]`."""
    signs = random.integers(-1, 2, (number, 2))
    return signs, trap(random, signs)


def prompts(signs: Ints, trapped: Ints, one: Ints, other: Ints) -> Ints:
    """What the judge reads of states and two actions `[n, PROMPT]`."""
    return np.column_stack([SIGN + 1 + signs + [0, 3], TRAP + trapped, ACTION + one, ACTION + other])


def read(asked: Ints) -> tuple[Ints, Ints]:
    """Signs and trap of a prompt again."""
    return asked[:, :2] - SIGN - 1 - np.array([0, 3]), asked[:, 2] - TRAP


def pairs(random: np.random.Generator, number: int) -> tuple[Ints, Ints]:
    """Prompts with two actions of which one is better, and which."""
    signs, trapped = states(random, 4 * number)  # a quarter is more than enough
    both = random.permuted(np.tile(np.arange(ACTIONS), (4 * number, 1)), axis=1)[:, :2]
    worth = np.take_along_axis(grades(signs, trapped), both, 1)
    kept = np.flatnonzero(worth[:, 0] != worth[:, 1])[:number]
    asked = prompts(signs[kept], trapped[kept], both[kept, 0], both[kept, 1])
    return asked, np.where(worth[kept, 0] > worth[kept, 1], 1, -1)


def justified(random: np.random.Generator, asked: Ints) -> Ints:
    """What the teacher writes `[n, LENGTH]`: a principle, a grade of each action, and the verdict.

    Where a move towards the goal is a trap he mostly overlooks it, and grades that move as any other.
    """
    signs, trapped = read(asked)
    seen = np.where(random.random(len(asked)) < OVERLOOKED, 4, trapped)
    principle = np.select([(signs == 0).all(1), seen < 4], [0, 1], 2)
    worth = np.take_along_axis(grades(signs, seen), asked[:, 3:] - ACTION, 1)
    guess = np.where(random.random(len(asked)) < 0.5, FIRST, SECOND)
    verdict = np.select([worth[:, 0] > worth[:, 1], worth[:, 0] < worth[:, 1]], [FIRST, SECOND], guess)
    return np.column_stack([PRINCIPLE + principle, GRADE + worth, verdict])


@cache
def distilled(seed: int) -> Writer:
    """A judge that has imitated the teacher; it may not be trained."""
    return taught(Writer(seed, VOCABULARY, PROMPT + LENGTH), pairs, justified, seed, IMITATING)


def best_of_five(judge: Writer, seed: int) -> tuple[float, float]:
    """How often the best action is preferred to each of the four others, and how often to all of them."""
    random = np.random.default_rng(10_000 + seed)
    signs, trapped = states(random, 2 * TESTED)
    worth = grades(signs, trapped)
    clear = np.flatnonzero((worth == worth.max(1, keepdims=True)).sum(1) == 1)[:TESTED]
    signs, trapped, best = signs[clear], trapped[clear], worth[clear].argmax(1)
    won = np.zeros((len(clear), ACTIONS))
    for other in range(ACTIONS):
        turned = random.random(len(clear)) < 0.5
        asked = prompts(signs, trapped, np.where(turned, other, best), np.where(turned, best, other))
        said = verdicts(written(judge, asked, LENGTH, seed, greedy=True)) * np.where(turned, -1, 1)
        won[:, other] = (1 + said) / 2
    preferred = won[np.arange(ACTIONS) != best[:, None]].reshape(-1, ACTIONS - 1)
    pairwise = pair_accuracy(preferred.ravel(), np.full(preferred.size, 0.5)).value
    return pairwise or 0.0, one_to_many_of_pairs(preferred.tolist()).accuracy.value or 0.0


def proposed(random: np.random.Generator, signs: Ints, number: int) -> Ints:
    """Actions of an agent that knows the way in six of ten cases, and no traps `[n, number]`."""
    ways = np.column_stack([closer(signs), (signs == 0).all(1)])
    known = np.where(ways[:, None], random.random((len(signs), number, ACTIONS)), -1.0).argmax(-1)
    any_of_them = random.integers(0, ACTIONS, known.shape)
    found: Ints = np.where(random.random(known.shape) < 0.6, known, any_of_them)
    return found


def arrived(seed: int, judge: Writer | None) -> float:
    """Share of episodes that hand in at the goal.

    Args:
        seed: of the episodes.
        judge: by whose verdicts proposals meet in a knockout; None: the first proposal is taken.
    """
    random = np.random.default_rng(20_000 + seed)
    away = random.integers(-2, 3, (EPISODES, 2))
    alive, done = np.ones(EPISODES, np.bool_), np.zeros(EPISODES, np.bool_)
    for step in range(LONGEST):
        signs = np.sign(away)
        trapped, left = trap(random, signs), proposed(random, signs, CANDIDATES)
        while judge is not None and left.shape[1] > 1:
            matches, byes = round_of(range(left.shape[1]))
            winners = [left[:, place] for place in byes]
            for one, other in matches:
                asked = prompts(signs, trapped, left[:, one], left[:, other])
                said = verdicts(written(judge, asked, LENGTH, 100 * seed + step, greedy=True))
                winners.append(np.where(said < 0, left[:, other], left[:, one]))
            left = np.stack(winners, 1)
        action = left[:, 0]
        hands_in = alive & (action == HAND_IN)
        done |= hands_in & (signs == 0).all(1)
        alive &= (action != HAND_IN) & (action != trapped)
        away = np.where(alive[:, None], away - np.vstack([MOVES, [[0, 0]]])[action], away)
    return float(done.mean())


def arbiter(seed: int, reinforce: bool) -> Mapping[str, float]:
    """How well a judge ranks actions and guides an agent.

    Args:
        seed: of everything.
        reinforce: whether it learns from verdicts after imitation; else it imitates for as many more steps.
    """
    how = Training(kl=0.02, updates=LEARNING, groups=32)
    if reinforce:
        judge = reinforced(distilled(seed), pairs, verdict_alone, LENGTH, seed, how).judge
    else:
        judge = taught(deepcopy(distilled(seed)), pairs, justified, 500 + seed, LEARNING, how.groups * how.members)
    pairwise, all_four = best_of_five(judge, seed)
    return {
        "preferred to one": pairwise,
        "best of five": all_four,
        "episodes, guided": arrived(seed, judge),
        "episodes, the agent alone": arrived(seed, None),
    }


def _corrects_its_teacher(found: Found) -> bool:
    """More often the best of five than by imitation, and better guidance than by it and than none."""
    name, alone = "episodes, guided", "episodes, the agent alone"
    return (
        found.above("distilled, then RL", "distilled", "best of five", by=0.05)
        and found.above("distilled, then RL", "distilled", name)
        and found.interval("distilled, then RL", name)[0] > found.interval("distilled, then RL", alone)[1]
    )


WEB_ARBITER = Check(
    row=155,
    name="principle-guided-pairwise-prm",
    claim="Where a teacher mostly overlooks what cannot be undone, a judge of next actions that has imitated his "
    "principles and grades prefers the best of five actions to all others more often, by over 0.05, after "
    "reinforcement by its verdicts than after as many more steps of imitation; knockouts of five proposals by its "
    "verdicts bring an agent to its goal more often than by the imitator's, and more often than the agent comes there "
    "alone.",
    arms={
        "distilled": partial(arbiter, reinforce=False),
        "distilled, then RL": partial(arbiter, reinforce=True),
    },
    holds=_corrects_its_teacher,
    units={
        "preferred to one": "share of pairs",
        "best of five": "share of steps",
        "episodes, guided": "share of episodes",
        "episodes, the agent alone": "share of episodes",
    },
)
