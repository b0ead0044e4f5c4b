"""`lm-gpu`: learner tokens/s and utilisation of a GPU, against the ceiling of matrix products there.

    python -m benchmarks.lm_gpu
    python -m benchmarks.lm_gpu sizes=[0.5,1.5] tokens=65536 steps=10

For each size a model of Qwen2.5's shape with random weights takes steps of GRPO's learner on random tokens, in
bfloat16. A
token costs 6 floating-point operations for each weight and 12 · layers · width · context for attention. The ceiling is
the fastest large matrix product of the same run. The peak of memory stands beside. Needs a CUDA device.
Other keys: length, micro_batch, results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from learners.language.learner import Config, LanguageLearner
from learners.language.token_batch import build_token_batch
from pipelines.language.tiny_model import random_qwen2
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, figure, write_result

NAME = "lm-gpu"
KEYS: Mapping[str, Any] = {
    "sizes": [0.5, 1.5],
    "tokens": 65536,
    "length": 1024,
    "micro_batch": 16384,
    "steps": 10,
    "results": "docs/results",
}
SHAPES = {0.5: (896, 4864, 24, 14, 2), 1.5: (1536, 8960, 28, 12, 2)}


def ceiling(size: int = 8192, rounds: int = 30) -> float:
    """Floating-point operations a second of a square matrix product in bfloat16."""
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for _ in range(rounds):
        torch.cuda.synchronize()
        began = time.perf_counter()
        a @ b
        torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def measure(size: float, values: Mapping[str, Any]) -> dict[str, Cell]:
    """One size."""
    width, inner, layers, heads, shared = SHAPES[size]
    torch.manual_seed(0)
    model = random_qwen2(width, inner, layers, heads, shared).to("cuda", torch.bfloat16).train()
    torch.cuda.reset_peak_memory_stats()
    config = Config(micro_batch_tokens=values["micro_batch"], gradient_checkpointing=True)
    learner = LanguageLearner(model, config)
    rng, length = np.random.default_rng(0), values["length"]
    sequences = values["tokens"] // length
    ids = rng.integers(0, 1000, (sequences, length))
    mask = np.arange(length) >= length // 4
    seconds = []
    for step in range(values["steps"] + 2):
        batch = build_token_batch(list(ids), [mask] * sequences, advantages=rng.normal(size=sequences).tolist())
        torch.cuda.synchronize()
        began = time.perf_counter()
        learner.update(batch)
        torch.cuda.synchronize()
        if step >= 2:
            seconds.append(time.perf_counter() - began)
    weights = sum(p.numel() for p in model.parameters())
    tokens_per_s = values["tokens"] / float(np.median(seconds))
    flops = 6 * weights + 12 * layers * width * length
    peak = torch.cuda.max_memory_allocated() / 2**30
    del learner, model
    torch.cuda.empty_cache()
    return {
        "billions": size,
        "weights": weights,
        "tokens/s": tokens_per_s,
        "flops/s": tokens_per_s * flops,
        "peak_gib": peak,
    }


def main() -> None:
    """Measure, and write the result."""
    values = {**KEYS, **parse(sys.argv[1:])}
    if unknown := sorted(set(values) - set(KEYS)):
        raise SystemExit(f"got {', '.join(unknown)}; expected keys {', '.join(KEYS)}")
    if not torch.cuda.is_available():
        raise SystemExit("lm-gpu: torch sees no CUDA device here; run it where there is one")
    most = ceiling()
    rows = [{**measure(size, values), "ceiling_flops/s": most} for size in values["sizes"]]
    figures: dict[str, Figure] = {}
    for row in rows:
        name = f"{row['billions']:g}B"
        figures |= {
            f"{name}: tokens/s": figure([float(row["tokens/s"])], "tokens/s"),  # type: ignore[arg-type]
            f"{name}: utilisation of the ceiling": figure([float(row["flops/s"]) / most], "ratio"),  # type: ignore[arg-type]
            f"{name}: peak memory": figure([float(row["peak_gib"])], "GiB"),  # type: ignore[arg-type]
        }
        print(row, flush=True)
    write_result(
        Path(values["results"]) / f"{NAME}.json",
        NAME,
        "The learner uses at least 40 % of what matrix products reach on the same GPU, for a model of 1.5 "
        "billion weights.",
        float(rows[-1]["flops/s"]) / most >= 0.4,  # type: ignore[arg-type]
        "python -m benchmarks.lm_gpu",
        figures,
        rows,
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("lm-gpu: interrupted; nothing is written")
