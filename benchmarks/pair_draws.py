"""`pair-draws`: what a reward model learns from as many verdicts where pairs share their first caption, by two or more.

    python -m benchmarks.pair_draws
    python -m benchmarks.pair_draws opponents=[1,2] seeds=40

A judge reads less where pairs have their first caption in common (docs/speed.md). Captions are NetHack's own, of a
random player; sixteen become known in a round, in which 24 pairs are asked about and the ranking model takes sixteen
steps. The judge is the rule book, whose tiers are told apart with an error (noise, of a tier) and with a leaning to the
caption that comes first. What is told is how many of all pairs of known captions with different tiers the model puts in
order. About two minutes, on one core.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from envs.captions import caption_id
from envs.tasks import make_task
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Result, figure, write_result
from rewards.judges.judge import Question
from rewards.judges.rules import tier, topics_of
from rewards.models.caption_scorer import Config as ScorerConfig
from rewards.models.ranking import Config, RankingModel
from rewards.pairs import Config as PairConfig
from rewards.pairs import PairSampler
from rewards.verdicts import Status, Verdict

NAME = "pair-draws"
GOAL = "explore and descend"
OPPONENTS, SEEDS = (1, 2, 4, 8), 16
JUDGES = {"exact": (0.0, 0.0), "noisy": (0.7, 0.0), "noisy and leaning": (0.7, 0.5)}
"""Noise and leaning, in tiers."""
STEPS_PLAYED = 30_000
NEW, ASKED, STEPS, ROUNDS = 16, 24, 16, 16
AS_GOOD = 0.01
"""Share of pairs that may be put in the wrong order more, on average over the seeds."""


def captions(steps: int) -> list[str]:
    """Different captions of a random player, in the order in which they came."""
    task, player = make_task("nethack-score"), random.Random(0)
    found: dict[str, None] = {}
    env, captioner = task.make(), task.make_captioner()
    now = env.reset(seed=0)
    captioner.reset(now)
    for step in range(steps):
        now = env.step(player.randrange(23))
        if text := captioner.caption(now):
            found[text] = None
        if now.last:
            now = env.reset(seed=step + 1)
            captioner.reset(now)
    return list(found)


def verdict(question: Question, tiers: Mapping[str, int], noise: float, leaning: float, draw: random.Random) -> Verdict:
    """What the judge says of a pair."""
    first, second = (tiers[text] for text in question.texts)
    difference = first - second + draw.gauss(leaning, noise)
    value = 1.0 if difference > 0.5 else 0.0 if difference < -0.5 else 0.5
    text = "\n".join(question.texts)
    return Verdict(question.subject, question.kind, "judge", "1", value, Status.OK, "rules", text=text)


def told(model: RankingModel, known: Sequence[str], tiers: Mapping[str, int]) -> float:
    """Share of the pairs with different tiers that the model puts in order."""
    scores = dict(zip(known, model.raw([caption_id(text) for text in known]).tolist(), strict=True))
    different = [(a, b) for a, b in combinations(known, 2) if tiers[a] != tiers[b]]
    return float(np.mean([(scores[a] > scores[b]) == (tiers[a] > tiers[b]) for a, b in different]))


def learn(texts: Sequence[str], opponents: int, noise: float, leaning: float, seed: int) -> float:
    """What is told after all rounds."""
    draw = random.Random(seed)
    shuffled = draw.sample(list(texts), len(texts))
    topics = topics_of(GOAL)
    tiers = {text: tier(text, topics) for text in texts}
    sampler = PairSampler(PairConfig(opponents=opponents, seed=seed))
    model = RankingModel(Config(scorer=ScorerConfig(seed=seed), min_labels=NEW))
    known: list[str] = []
    for _ in range(ROUNDS):
        new, shuffled = shuffled[:NEW], shuffled[NEW:]
        known += new
        by_id = {caption_id(text): text for text in new}
        sampler.observe(by_id)
        model.observe(by_id)
        model.add([verdict(question, tiers, noise, leaning, draw) for question in sampler.sample(ASKED)])
        model.train(STEPS)
    return told(model, known, tiers)


def measure(opponents: Sequence[int], seeds: int, steps: int) -> list[dict[str, Cell]]:
    """One row for each judge, way to draw and seed."""
    texts = captions(steps)
    if len(texts) < NEW * ROUNDS:
        raise UserError(f"got {len(texts)} captions in {steps} steps; expected at least {NEW * ROUNDS}: play more")
    return [
        {"judge": judge, "opponents": count, "seed": seed, "told": learn(texts, count, noise, leaning, seed)}
        for judge, (noise, leaning) in JUDGES.items()
        for seed in range(seeds)
        for count in opponents
    ]


def report(rows: Sequence[Mapping[str, Any]], command: str, results: Path) -> Result:
    """Write the result: what is told, and by how much less than where no two pairs share a caption by design."""

    def values(judge: str, count: int) -> list[float]:
        return [row["told"] for row in rows if (row["judge"], row["opponents"]) == (judge, count)]

    counts = list(dict.fromkeys(row["opponents"] for row in rows))
    figures, holds = {}, True
    for judge in JUDGES:
        alone = values(judge, counts[0])
        for count in counts:
            figures[f"told, {judge}, {count} opponents"] = figure(values(judge, count), "share of pairs")
            if count != counts[0]:
                less = [a - b for a, b in zip(alone, values(judge, count), strict=True)]
                figures[f"lost, {judge}, {count} opponents"] = figure(less, "share of pairs")
                holds &= count != PairConfig().opponents or float(np.mean(less)) <= AS_GOOD
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"From as many verdicts a ranking model puts at most {AS_GOOD:.0%} of the pairs less in order where two pairs "
        "each share their first caption than where each pair is drawn by itself, for a judge that is exact, noisy, or "
        "leans to the first.",
        holds,
        command,
        figures,
        list(rows),
    )


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code."""
    values = parse(arguments)
    opponents, seeds = list(values.pop("opponents", OPPONENTS)), int(values.pop("seeds", SEEDS))
    steps, results = int(values.pop("steps", STEPS_PLAYED)), Path(values.pop("results", "docs/results"))
    if values:
        raise UserError(f"got {sorted(values)}; expected opponents, seeds, steps or results")
    if len(opponents) < 2 or PairConfig().opponents not in opponents[1:]:
        raise UserError(f"got opponents {opponents}; expected 1, then others, {PairConfig().opponents} among them")
    torch.set_num_threads(1)
    words = "".join(f" {argument}" for argument in arguments)
    result = report(measure(opponents, seeds, steps), f"python -m benchmarks.pair_draws{words}", results)
    for name, found in result.figures.items():
        interval = "" if found.low is None else f" [{found.low:.3f}, {found.high:.3f}]"
        print(f"{name}: {found.value:.3f}{interval}")
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")
    return 0 if result.holds else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
