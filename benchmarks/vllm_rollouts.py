"""`vllm-rollouts`: a policy in real vLLM gets new weights while it writes, and its log-probabilities hold.

    make vllm                                               makes .venv-vllm, with vLLM for CPUs, and runs its tests
    .venv-vllm/bin/python -m benchmarks.vllm_rollouts       in that environment; two minutes
    .venv-vllm/bin/python -m benchmarks.vllm_rollouts repetitions=3 prompts=8

A model of random weights answers random arithmetic, sampled at a temperature with top-p and top-k. Each repetition
takes a step away from the weights, as a learner's update would, and hands it to the engine in mid-generation. What was
sampled is then scored by a learner's forward pass (transformers) under the version that each token carries. Beside it:
the same comparison for tokens of the old version against the new weights, which is what a version that was not kept
would cost, and the same rollouts by the transformers engine. Other keys: results, width, layers, members, tokens.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from actors.language.generation import GenerationEngine, Sampling
from actors.language.mismatch import mismatch
from actors.language.rollout import rollout
from actors.language.sampling import filtered_log_probs
from benchmarks.apparatus.random_chat_model import save_chat_model
from envs.language.task import Prompt, TextTask
from envs.language.tasks.arithmetic import Arithmetic
from envs.language.trajectory import TokenTrajectory
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Result, figure, write_result

NAME = "vllm-rollouts"
CLOSE = 0.01
"""Mean gap of log-probabilities, in nats, that counts as the same distribution."""
STEP = 0.02
"""How far weights move in a repetition, as a share of their size."""
UPDATE_AFTER = 5
"""Token steps before new weights come."""

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Round:
    """One batch of rollouts with an update in their midst."""

    tokens: int
    across: int
    """Conversations that hold tokens of both versions."""
    gap: float
    """Mean of |log-probability of the engine - of the learner|, each token under its own version."""
    largest_gap: float
    ess: float
    wrong_version_gap: float
    """The same for old tokens under the new weights."""
    update_s: float
    vllm_per_s: float
    transformers_per_s: float


def learner_log_probs(model: Any, row: TokenTrajectory, sampling: Sampling) -> np.ndarray[Any, Any]:
    """Log-probabilities `[L]` of a row's tokens by one forward pass, under the distribution that is sampled from."""
    ids = torch.from_numpy(row.token_ids.astype(np.int64))
    with torch.inference_mode():
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
    chances = filtered_log_probs(logits, sampling.temperature, sampling.top_k, sampling.top_p)
    return np.concatenate([[0.0], chances.gather(-1, ids[1:, None])[:, 0].numpy()])


def moved(weights: Weights, seed: int) -> dict[str, torch.Tensor]:
    """Weights after a step in a random direction."""
    rng = torch.Generator().manual_seed(seed)
    return {
        name: one + STEP * one.std().nan_to_num(0.0) * torch.randn(one.shape, generator=rng)
        for name, one in weights.items()
    }


class Play:
    """Rollouts of one engine, with an update in their midst."""

    def __init__(self, engine: GenerationEngine, task: TextTask, members: int, sampling: Sampling) -> None:
        self.engine, self.task, self.members, self.sampling = engine, task, members, sampling
        self.update_s = 0.0

    def __call__(
        self, prompts: Sequence[Prompt], weights: Weights, version: int, seed: int
    ) -> tuple[list[TokenTrajectory], float]:
        """Rows, and tokens of the policy per second, the update included."""
        steps = 0

        def poll() -> None:
            nonlocal steps
            steps += 1
            if steps == UPDATE_AFTER + 1:
                start = time.perf_counter()
                self.engine.load_weights(weights, version)
                self.update_s = time.perf_counter() - start

        start = time.perf_counter()
        chats = self.engine.chats  # type: ignore[attr-defined]
        rows = rollout(self.engine, chats, self.task, prompts, self.members, self.sampling, seed, poll=poll)
        seconds = time.perf_counter() - start
        return rows, sum(int(row.loss_mask.sum()) for row in rows) / seconds


def compare(rows: Sequence[TokenTrajectory], learners: Mapping[int, Any], sampling: Sampling) -> dict[str, Any]:
    """The gap under each token's own version, and of old tokens under the newest.

    Raises:
        ValueError: no conversation holds both versions.
    """
    sampled, own, newest, old = [], [], [], []
    latest = max(learners)
    for row in rows:
        by_version = {version: learner_log_probs(model, row, sampling) for version, model in learners.items()}
        mask, versions = row.loss_mask, row.token_versions
        sampled.append(row.behaviour_log_probs[mask])
        own.append(np.choose(versions[mask] == latest, [by_version[min(learners)][mask], by_version[latest][mask]]))
        newest.append(by_version[latest][mask])
        old.append(versions[mask] != latest)
    across = sum(row.policy_version_min != row.policy_version_max for row in rows)
    if not across:
        raise ValueError("got no conversation with tokens of both versions; give more tokens or prompts")
    everything = np.ones(sum(map(len, sampled)), bool)
    right = mismatch(np.concatenate(sampled), np.concatenate(own), everything)
    # Under other weights top-p and top-k leave out tokens that were sampled: those would be infinitely unlikely.
    finite = np.isfinite(np.concatenate(newest)) & np.concatenate(old)
    wrong = mismatch(np.concatenate(sampled), np.concatenate(newest), finite)
    assert right is not None and wrong is not None
    return {
        "tokens": right.tokens,
        "across": across,
        "gap": right.mean_abs,
        "largest_gap": right.max_abs,
        "ess": right.ess,
        "wrong_version_gap": wrong.mean_abs,
    }


def report(rounds: Sequence[Round], results: Path) -> Result:
    """Write the result."""
    holds = all(one.gap <= CLOSE and one.gap < one.wrong_version_gap / 10 for one in rounds)
    rows: list[dict[str, Cell]] = [{"repetition": number, **asdict(one)} for number, one in enumerate(rounds)]
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"Rollouts in vLLM that get new weights in mid-generation carry log-probabilities that differ from the "
        f"learner's by at most {CLOSE} nats in the mean, each token under the version it carries, and by more than ten "
        "times as much under the wrong one.",
        holds,
        "make vllm && .venv-vllm/bin/python -m benchmarks.vllm_rollouts",
        {
            "mean gap of log-probabilities": figure([one.gap for one in rounds], "nats"),
            "largest gap": figure([one.largest_gap for one in rounds], "nats"),
            "mean gap under the wrong version": figure([one.wrong_version_gap for one in rounds], "nats"),
            "effective sample size": figure([one.ess for one in rounds], "share"),
            "conversations across the update": figure([float(one.across) for one in rounds], "conversations"),
            "weight update": figure([one.update_s for one in rounds], "s"),
            "vLLM": figure([one.vllm_per_s for one in rounds], "tokens/s"),
            "transformers engine": figure([one.transformers_per_s for one in rounds], "tokens/s"),
        },
        rows,
    )


def main(arguments: Sequence[str]) -> None:
    from transformers import AutoModelForCausalLM

    from actors.engines import transformers_engine, vllm_engine

    values = parse(arguments)
    repetitions, count = int(values.pop("repetitions", 5)), int(values.pop("prompts", 32))
    width, layers = int(values.pop("width", 256)), int(values.pop("layers", 4))
    members, tokens = int(values.pop("members", 4)), int(values.pop("tokens", 48))
    results = Path(values.pop("results", "docs/results"))
    if values:
        raise UserError(
            f"got the keys {sorted(values)}; expected repetitions, prompts, members, tokens, width, layers, results"
        )
    sampling = Sampling(tokens, temperature=0.9, top_p=0.95, top_k=100)
    with tempfile.TemporaryDirectory() as directory:
        model = str(save_chat_model(Path(directory), width, layers))
        there = transformers_engine.TransformersEngine(transformers_engine.Config(model=model, device="cpu"))
        here = vllm_engine.VllmEngine(vllm_engine.Config(model=model, dtype="float32", cache_mb=512))
        old, new = (AutoModelForCausalLM.from_pretrained(model).eval() for _ in range(2))
    task = Arithmetic()
    data = task.load("train", 0)
    plays = {name: Play(one, task, members, sampling) for name, one in (("vllm", here), ("transformers", there))}
    rounds = []
    for number in range(-1, repetitions):  # the first one warms up
        prompts = [data[(number + 1) * count + i] for i in range(count)]
        version, weights = number + 2, moved(old.state_dict(), seed=number)
        new.load_state_dict(weights)
        (rows, fast), (_, slow) = (play(prompts, weights, version, seed=number + 1) for play in plays.values())
        one = Round(
            **compare(rows, {version - 1: old, version: new}, sampling),
            update_s=plays["vllm"].update_s,
            vllm_per_s=fast,
            transformers_per_s=slow,
        )
        old.load_state_dict(weights)
        if number >= 0:
            rounds.append(one)
            print(f"{number}: gap {one.gap:.2g} (wrong version {one.wrong_version_gap:.2g}), {fast:,.0f}/s", flush=True)
    print(f"{results / f'{NAME}.json'}: holds {report(rounds, results).holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError, ImportError) as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
