"""The check of ONI: the whole loop on Ray, on a path that nobody walks to its end by chance."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods.experiment import Arm, Check, Found
from benchmarks.methods.worlds.crossing import CAPTIONS, HELPFUL
from envs.captions import caption_id
from pipelines import checkpoint
from pipelines.overrides import apply
from pipelines.recipes.table import find_recipe
from pipelines.reward_stage import reward_model_for
from pipelines.run_directory import RunDirectory, stored_experiment
from pipelines.train import train

WORLD = "benchmarks.methods.worlds.crossing"
FRAMES = 120_000
SETTINGS: Mapping[str, Any] = {
    "runner": "distributed",
    "task": f"{WORLD}:Crossing",
    "task_options.captioner": f"{WORLD}:CrossingCaptioner",
    "frames": FRAMES,
    "actors.count": 1,
    "actors.unroll_length": 24,
    "batch_fragments": 2,
    "judge.kind": "custom",
    "monitors.enabled": False,
    "tracking.enabled": False,
    "report_every_s": 0.25,
    "ray.object_store_mb": 100,
}


def agreement(directory: RunDirectory) -> float:
    """How often the reward of a caption that helps is above that of one that does not; half where neither is known."""
    model = reward_model_for(stored_experiment(directory).reward)
    assert model is not None
    model.load_state_dict(checkpoint.load(directory.checkpoints)[1]["roles"]["trainer"]["model"])
    model.observe({caption_id(text): text for text in CAPTIONS})
    scores, known = model.score(np.array([caption_id(text) for text in CAPTIONS]))
    helps = np.array([text in HELPFUL for text in CAPTIONS])
    order = np.sign(scores[helps][:, None] - scores[~helps])
    return float(np.where(known[helps][:, None] & known[~helps], order / 2 + 0.5, 0.5).mean())


def loop(seed: int, source: str, judge: str = "Judge") -> Mapping[str, float]:
    """One run.

    Args:
        seed: of the run.
        source: of the intrinsic reward; `extrinsic`: none.
        judge: of the world.
    """
    judged = source != "extrinsic"
    values = {**SETTINGS, "seed": seed, "reward.source": source, "judge.path": f"{WORLD}:{judge}"}
    with tempfile.TemporaryDirectory() as runs:
        directory = train(apply(find_recipe("catch"), values), Path(runs), None, say=lambda line: None)
        rows = list(directory.lines(directory.metrics))
        shares = [row["annotated_share"] for row in rows if judged and row.get("annotated_share") is not None]
        return {
            "solved": rows[-1]["episode_return"],
            "judged": shares[-1] if shares else 0.0,
            "agreement in the end": agreement(directory) if judged else 0.5,
        }


SOURCES = ("retrieval", "classification", "ranking")
NONE, SLOW = "extrinsic only", "retrieval, a judge ten times as slow"


def _learns_beside_the_judge(found: Found) -> bool:
    """Every judged reward solves what the environment's does not, also with a slow judge, and verdicts come in."""
    return all(
        found.above(source, NONE, "solved", by=0.5)
        and found.mean(source, "judged") > 0.95
        and found.above(source, NONE, "agreement in the end", by=0.25)
        for source in (*SOURCES, SLOW)
    )


ARMS: Mapping[str, Arm] = {
    NONE: partial(loop, source="extrinsic"),
    **{source: partial(loop, source=source) for source in SOURCES},
    SLOW: partial(loop, source="retrieval", judge="SlowJudge"),
}

ONI = Check(
    row=11,
    name="oni-async-intrinsic-reward",
    claim="On a path whose end nobody reaches by chance, retrieval, classification and ranking each solve at least "
    "half of the episodes more than the environment's reward alone does, and retrieval also with a judge ten times as "
    "slow; over 95 % of the captioned steps have verdicts in the end, and rewards order captions as the judge does.",
    arms=ARMS,
    holds=_learns_beside_the_judge,
    seeds=3,
    units={"solved": "share of the last 100 episodes", "judged": "share of captioned steps"},
)
