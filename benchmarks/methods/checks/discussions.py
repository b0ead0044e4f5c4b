"""Check of agents that reward each other: what they gain by discussions, and what each of the voices is good for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.roles import Floats, Ints, Questions, Roles, World, drawn
from rewards.columns import Column
from rewards.sources.interaction import Interaction, interaction_rewards
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of

Way = Literal["untrained", "CoMAS", "CoMAS of copies", "without evaluation", "without scoring"]
WAYS: tuple[Way, ...] = ("untrained", "CoMAS", "CoMAS of copies", "without evaluation", "without scoring")
AGENTS, MENU = 3, 8
"""Agents, and answers to a question."""
FATAL, MINOR, NONE, SILENT = 0, 1, 2, 3
"""What an evaluation says of an answer, one less than the score it speaks for; and that there is no evaluation."""
UNREADABLE, SCORES = 3, 4
"""A score that cannot be read, after 1 to 3, and all that a scorer may say."""
LESSONS, STEPS, MISTAKEN = 150, 120, 0.3
"""Questions that an agent is taught with, steps, and how often a label is any."""
LENIENT, PERSUADED, GARBLED = 0.5, 0.2, 0.05
"""How often a scorer finds nothing where nobody evaluates, just says what an evaluation does, and cannot be read. Where
the evaluation is true he is not mistaken: a flaw that is pointed out is easily seen."""
UPDATES, QUESTIONS, RATE, BETA = 200, 32, 1e-3, 0.01
"""Updates of each agent, questions of each, rate of Adam, and price of a nat away from what it was."""
REINFORCE = part_of({"part": "group_relative", "preset": "reinforce_pp", "of": "paid"})


def truth(questions: Questions) -> Ints:
    """What should be said of each answer: FATAL, MINOR or NONE, each of about a third `[N, M]`."""
    return np.digitize(questions.worth, [-0.43, 0.43])


def noisy(labels: Ints, others: int, random: np.random.Generator) -> Ints:
    """Labels, of which some are any of so many."""
    wrong = random.random(labels.shape) < MISTAKEN
    return np.where(wrong, random.integers(0, others, labels.shape), labels)


def flat(questions: Questions) -> Questions:
    """Each answer a question of its own, with that answer alone."""
    number = questions.worth.shape[1]
    return questions[np.repeat(np.arange(len(questions.worth)), number)].among(
        np.tile(np.arange(number), len(questions.worth))[:, None]
    )


def chances(model: Roles, role: str, questions: Questions, heard: Tensor | None = None) -> Tensor:
    """Log-probabilities of what is picked, or said of the one answer that there is, after an evaluation `[N, K]`."""
    if role == "solve":
        return model.picks(role, questions)
    logits = model.logits(role, questions)[:, 0]
    if heard is not None:
        logits = logits.unflatten(-1, (SILENT + 1, SCORES))[torch.arange(len(heard)), heard]
    return logits.log_softmax(-1)


class Acts(NamedTuple):
    """What an agent did for N questions: its choice, the log-probability of that, now and before discussions `[N]`."""

    done: Tensor
    log_probs: Tensor
    before: Tensor


class Agent:
    """Solves, evaluates and scores with one network."""

    def __init__(self, seed: int, world: World) -> None:
        """Taught a little of each role, from `seed`."""
        random = np.random.default_rng(seed)
        self.model = Roles(seed, {"solve": 1, "evaluate": SILENT, "score": (SILENT + 1) * SCORES})
        adam = torch.optim.Adam(self.model.parameters(), 3e-3)
        lessons = world.questions(random, LESSONS, MENU)
        single, grade = flat(lessons), truth(lessons).ravel()
        best = lessons.worth.argmax(1)
        for _ in range(STEPS):
            heard = random.integers(0, SILENT + 1, grade.shape)
            score = np.where(heard == SILENT, NONE, heard)
            lets_pass = random.random(grade.shape) < np.where(heard == SILENT, LENIENT, PERSUADED)
            score = np.where(lets_pass, score, np.where(heard == grade, grade, noisy(grade, SILENT, random)))
            score = np.where(random.random(grade.shape) < GARBLED, UNREADABLE, score)
            roles = (
                (chances(self.model, "solve", lessons), noisy(best, MENU, random)),
                (chances(self.model, "evaluate", single), noisy(grade, SILENT, random)),
                (chances(self.model, "score", single, torch.as_tensor(heard)), score),
            )
            loss = torch.stack([nll_loss(said, torch.as_tensor(wanted)) for said, wanted in roles]).sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
        self.before = deepcopy(self.model)
        self.adam = torch.optim.Adam(self.model.parameters(), RATE)

    def act(self, role: str, questions: Questions, generator: torch.Generator, heard: Tensor | None = None) -> Acts:
        """Do something for each question."""
        now = chances(self.model, role, questions, heard)
        done = drawn(now, generator)
        with torch.no_grad():
            before = chances(self.before, role, questions, heard)
        return Acts(done, *(logs.gather(1, done[:, None])[:, 0] for logs in (now, before)))

    def learn(self, acts: Sequence[tuple[Acts, Floats]]) -> None:
        """One step of REINFORCE++ on what was done and what it earned, NaN where that is not known."""
        logs = torch.cat([one.log_probs for one, _ in acts])
        left = logs.detach() - torch.cat([one.before for one, _ in acts])
        paid = np.concatenate([own for _, own in acts]) - BETA * left.double().numpy()
        column = Column(paid.astype(np.float32), ~np.isnan(paid))
        layout = Layout.of(np.ones(len(paid)), np.zeros(len(paid), np.int64))
        advantage = REINFORCE.apply(Table({"paid": column}, layout, {"paid": "episode"}), {})
        gain = torch.as_tensor(np.where(advantage.valid, advantage.values, 0.0))
        loss = -(gain * logs).sum() / advantage.valid.sum()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()


@cache
def taught(seed: int, number: int) -> Agent:
    """An agent before any discussion; it may not be trained."""
    return Agent(100 * seed + number, World(seed))


def earned(scored: Acts) -> Interaction:
    """What solutions, evaluations and scores earn by what was said, where each solution has one."""
    said = scored.done.double().numpy()
    return interaction_rewards(np.where(said == UNREADABLE, np.nan, 1 + said)[:, None])


def discussed(seed: int, way: Way) -> Mapping[str, float]:
    """What agents know after discussions, and what solutions earned on the way.

    Args:
        seed: of everything.
        way: who takes part. Without evaluation a scorer reads the solution alone; without scoring what the evaluator
            says is the score, and he earns what a scorer does. The untrained discuss and do not learn.
    """
    world, random, generator = World(seed), np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    agents = [deepcopy(taught(seed, 0 if way == "CoMAS of copies" else number)) for number in range(AGENTS)]
    tested, paid = world.questions(np.random.default_rng(9000 + seed), 1000, MENU), list[float]()

    @torch.no_grad()
    def accuracy() -> float:
        found = [chances(agent.model, "solve", tested).exp().double().numpy() for agent in agents]
        return float(np.mean([chance[np.arange(len(chance)), tested.worth.argmax(1)] for chance in found]))

    first = accuracy()
    for _ in range(UPDATES):
        questions = world.questions(random, QUESTIONS, MENU)
        turn = int(random.integers(1, AGENTS))  # who evaluates whom; the third one scores
        rows: list[list[tuple[Acts, Floats]]] = [[] for _ in agents]
        for number, agent in enumerate(agents):
            evaluator, scorer = (number + turn) % AGENTS, (number + 2 * turn) % AGENTS
            solved = agent.act("solve", questions, generator)
            solution = questions.among(solved.done[:, None].numpy())
            if way == "without scoring":
                scorer, scored = evaluator, agents[evaluator].act("evaluate", solution, generator)
            elif way == "without evaluation":
                scored = agents[scorer].act("score", solution, generator, torch.full_like(solved.done, SILENT))
            else:
                evaluated = agents[evaluator].act("evaluate", solution, generator)
                scored = agents[scorer].act("score", solution, generator, evaluated.done)
                rows[evaluator].append((evaluated, earned(scored).evaluation[:, 0]))
            found = earned(scored)
            rows[number].append((solved, found.solution))
            rows[scorer].append((scored, found.scoring[:, 0]))
            paid.append(float(np.nanmean(found.solution)))
        if way != "untrained":
            for agent, own in zip(agents, rows, strict=True):
                agent.learn(own)
    window = 20 * AGENTS
    return {
        "accuracy": accuracy(),
        "accuracy gained": accuracy() - first,
        "reward of solutions at first": float(np.mean(paid[:window])),
        "reward of solutions at last": float(np.mean(paid[-window:])),
    }


def _balanced(found: Found) -> bool:
    """More accurate by discussion, with rewards that neither side has won."""
    _, comas, copies, *fewer = WAYS
    low, high = found.interval(comas, "reward of solutions at last")
    return (
        found.interval(comas, "accuracy gained")[0] > 0.05
        and found.above(comas, copies, "accuracy gained")
        and 0.3 < low < high < 0.7
        and all(found.above(way, comas, "reward of solutions at last", by=0.1) for way in fewer)
    )


COMAS = Check(
    row=197,
    name="interaction-reward-coevolution",
    claim="Three agents that reward each other in discussions come to pick the best answer more often, by over 0.05, "
    "and gain more than three copies of one; what solutions earn ends within 0.2 of a half, and higher, by over 0.1, "
    "where there is no evaluation or no scoring.",
    arms={way: partial(discussed, way=way) for way in WAYS},
    holds=_balanced,
    units={"accuracy": "share of questions", "accuracy gained": "share of questions"},
)
