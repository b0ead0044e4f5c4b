"""Two processes that share a batch learn what one does. Run as a program, this file is one of the two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from learners.language.corrections import Correction
from learners.language.kl import Kl
from learners.language.learner import Config, LanguageLearner
from learners.language.scorer import ValueHead
from learners.language.sharding import repeated_layers, replicated, sharded
from learners.language.student import Wrap
from learners.language.token_batch import TokenBatch, build_token_batch
from learners.language.world import World

HOUSE = Path(__file__).resolve().parents[3]
# The first process has three passes and the second one: 12, 11, 10 against 3, 3, 3 tokens.
LENGTHS = (12, 3, 11, 3, 10, 3)
CONFIG = Config(
    learning_rate=1e-2,
    micro_batch_tokens=14,
    epochs=2,
    corrections=(Correction(),),
    kl=Kl(to="behaviour", coefficient=0.01),
    value_clip=None,
)


def model():
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    settings = {"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 32}
    return LlamaForCausalLM(LlamaConfig(vocab_size=24, hidden_size=16, intermediate_size=32, **settings))


def batch() -> TokenBatch:
    generator = np.random.default_rng(0)
    masks = [np.arange(n) >= 2 for n in LENGTHS]
    return build_token_batch(
        [generator.integers(1, 24, n) for n in LENGTHS],
        masks,
        rewards=[1.0, -1.0, 0.5, None, 0.0, 2.0],
        streams={"behaviour_log_probs": [np.full(n, -3.2) for n in LENGTHS]},
    )


def learn(learner: LanguageLearner, part: TokenBatch) -> list[dict[str, float]]:
    return [learner.update(part) for _ in range(3)]


def one_of_two(rank: int, folder: Path) -> None:
    """Learn from every second sequence, with the other process, first replicated and then sharded."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    mesh = torch.distributed.init_device_mesh("cpu", (2,))
    for kind, wrap in (("replicated", replicated), ("sharded", partial(sharded, mesh=mesh))):
        share(rank, wrap, folder / kind)
    torch.distributed.destroy_process_group()


def share(rank: int, wrap: Wrap, folder: Path) -> None:
    """Learn from every second sequence, and let the first process write what came of it."""
    learner = LanguageLearner(model(), CONFIG, value_head=ValueHead(16), world=World.joined(), wrap=wrap)
    metrics = learn(learner, batch().select(torch.arange(rank, len(LENGTHS), 2)))
    state, weights = learner.state_dict(), learner.weights()
    learner.load_state_dict(state)
    again = learner.state_dict()
    assert all(torch.equal(state[name], again[name]) for name in state)
    if rank == 0:
        folder.mkdir()
        safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, folder / "state.safetensors")
        safetensors.torch.save_file({k: v.contiguous() for k, v in weights.items()}, folder / "weights.safetensors")
        (folder / "metrics.json").write_text(json.dumps(metrics))


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path):
    alone = LanguageLearner(model(), CONFIG, value_head=ValueHead(16))
    expected = learn(alone, batch())
    env = {**os.environ, "PYTHONPATH": str(HOUSE), "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, __file__, str(tmp_path), str(rank)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        told = [rank.communicate(timeout=270)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(told)
    for kind in ("replicated", "sharded"):
        found = json.loads((tmp_path / kind / "metrics.json").read_text())
        for one, other in zip(expected, found, strict=True):
            for name in ("loss", "grad_norm", "policy_loss", "value_loss", "kl", "ess", "ratio_max", "engine_gap_max"):
                assert other[name] == pytest.approx(one[name], rel=1e-3, abs=1e-5), f"{kind}: {name}"
        weights = alone.weights()
        for name, value in safetensors.torch.load_file(tmp_path / kind / "weights.safetensors").items():
            torch.testing.assert_close(value, weights[name], atol=1e-4, rtol=1e-3)
        # What two have saved, one goes on from.
        again = LanguageLearner(model(), CONFIG, value_head=ValueHead(16))
        again.load_state_dict(safetensors.torch.load_file(tmp_path / kind / "state.safetensors"))
        assert again.version == 3


def test_the_layers_that_are_gathered_one_at_a_time_are_the_blocks():
    assert [type(layer).__name__ for layer in repeated_layers(model())] == ["LlamaDecoderLayer"] * 2


if __name__ == "__main__":
    one_of_two(int(sys.argv[2]), Path(sys.argv[1]))
