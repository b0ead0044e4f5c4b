"""`env-speed-gpu`: how near the learner and batched inference come to what the GPU can do; needs a GPU.

    python -m benchmarks.env_speed_gpu
    python -m benchmarks.env_speed_gpu device=cpu rows=8 unroll=8 requests=32 seconds=1     # to see that it works

ONI's full policy learns from synthetic NetHack rows and answers batched requests. Beside both stand the ceilings of the
same run: a large matrix product in the policy's precision, and a large copy. A share of a ceiling says how much of it
the arithmetic (or the bytes) of the task use.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from actors.policy import Config as PolicyConfig
from actors.policy import RecurrentPolicy
from envs.specs import ArraySpec, Discrete, EnvSpec
from learners.appo import Appo
from learners.appo import Config as AppoConfig
from learners.batch import TrainBatch
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, figure, write_result

NAME = "env-speed-gpu"
ENOUGH = 0.2  # of the matrix-product ceiling, for the learner
SPEC = EnvSpec(
    {
        "chars": ArraySpec((21, 79), "uint8"),
        "blstats": ArraySpec((27,), "int32"),
        "message": ArraySpec((256,), "uint8"),
    },
    Discrete(23),
)


def rate(work: Callable[[], object], seconds: float, device: torch.device) -> float:
    """Calls a second, after a few that do not count."""

    def finish() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(3):
        work()
    finish()
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(3):
            work()
        finish()
        calls += 3
    return calls / (time.perf_counter() - began)


def observations(count: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """NetHack's arrays with random contents, `[count, …]`."""
    status = torch.randint(0, 100, (count, 27), dtype=torch.int32, generator=generator)
    status[:, 0] %= 79
    status[:, 1] %= 21
    text = torch.randint(32, 127, (64, 256), dtype=torch.uint8, generator=generator)
    return {
        "chars": torch.randint(32, 127, (count, 21, 79), dtype=torch.uint8, generator=generator),
        "blstats": status,
        "message": text[torch.randint(0, 64, (count,), generator=generator)],
    }


def batch_of(rows: int, unroll: int, state_size: int) -> TrainBatch:
    """Synthetic experience: `rows` trajectories of `unroll` steps."""
    generator = torch.Generator().manual_seed(0)
    steps = rows * unroll
    return TrainBatch(
        observation=observations(steps + rows, generator),
        lengths=torch.full((rows,), unroll),
        initial_state=torch.zeros(rows, state_size),
        action=torch.randint(0, 23, (steps,), generator=generator),
        behaviour_logprob=torch.full((steps,), -3.0),
        reward=torch.rand(steps, generator=generator),
        discount=torch.ones(steps),
        policy_version_min=torch.zeros(rows, dtype=torch.int64),
        policy_version_max=torch.zeros(rows, dtype=torch.int64),
        row_ids=[str(row) for row in range(rows)],
    )


def multiplications(policy: RecurrentPolicy) -> int:
    """Multiplications of one step's forward pass: each weight of a product once."""
    tables = {policy.encoder.get_parameter(name) for name in ("embedding.weight", "message.weight")}
    return sum(value.numel() for value in policy.parameters() if value.ndim == 2 and value not in tables)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark.

    Raises:
        UserError: there is no such device.
    """
    values = parse(arguments)
    device = torch.device(str(values.pop("device", "cuda")))
    rows, unroll = int(values.pop("rows", 512)), int(values.pop("unroll", 32))
    requests, hidden = int(values.pop("requests", 4096)), int(values.pop("hidden", 512))
    seconds, results = float(values.pop("seconds", 10)), Path(values.pop("results", "docs/results"))
    repetitions = int(values.pop("repetitions", 3))
    if values:
        raise UserError(f"got {list(values)}; expected the keys that this file's head names")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("there is no GPU here; device=cpu shows that it works, and measures nothing of use")
    size = 8192 if device.type == "cuda" else 512
    table: list[dict[str, Cell]] = []
    for number in range(repetitions):
        for precision in ("float32", "bfloat16"):
            dtype = getattr(torch, precision)
            torch.manual_seed(0)
            policy = RecurrentPolicy(SPEC, PolicyConfig(hidden=hidden)).to(device)
            learner = Appo(policy, AppoConfig(precision=precision))
            batch = batch_of(rows, unroll, policy.state_size)
            seen = {key: value.to(device) for key, value in observations(requests, torch.Generator()).items()}
            state, generator = policy.initial_state(requests).to(device), torch.Generator(device).manual_seed(0)
            square = torch.randn(size, size, device=device).to(dtype)
            memory = torch.empty(2**28 if device.type == "cuda" else 2**22, dtype=torch.uint8, device=device)

            def update(learner: Appo = learner, batch: TrainBatch = batch) -> None:
                learner.update(batch.to(device))

            def act(
                policy: RecurrentPolicy = policy,
                seen: dict[str, torch.Tensor] = seen,
                state: torch.Tensor = state,
                generator: torch.Generator = generator,
                dtype: torch.dtype = dtype,
            ) -> None:
                with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                    policy.act(seen, state, generator)

            product = rate(partial(torch.matmul, square, square), seconds, device) * size**3
            copied = rate(memory.clone, seconds, device) * memory.numel() * 2
            learnt = rate(update, seconds, device) * rows * unroll
            answered = rate(act, seconds, device) * requests
            work = multiplications(policy)
            table.append(
                {
                    "number": number,
                    "precision": precision,
                    "learner_samples_per_s": learnt,
                    "inference_requests_per_s": answered,
                    "matrix_products_tflops": 2 * product / 1e12,
                    "memory_gb_per_s": copied / 1e9,
                    "learner_share_of_products": 3 * work * learnt / product,
                    "inference_share_of_products": work * answered / product,
                }
            )
            print(table[-1], flush=True)
    figures = {
        f"{name}, {precision}": figure([float(str(r[name])) for r in table if r["precision"] == precision], unit)
        for precision in ("float32", "bfloat16")
        for name, unit in (
            ("learner_samples_per_s", "frames/s"),
            ("inference_requests_per_s", "requests/s"),
            ("learner_share_of_products", "share"),
        )
    }
    best = max(figures[f"learner_share_of_products, {p}"].value for p in ("float32", "bfloat16"))
    write_result(
        results / f"{NAME}.json",
        NAME,
        f"On a GPU the learner's arithmetic on ONI's full policy uses at least {ENOUGH:.0%} of what a large matrix "
        "product reaches in the same run.",
        device.type == "cuda" and best >= ENOUGH,
        f"python -m benchmarks.env_speed_gpu {' '.join(arguments)}".strip(),
        figures,
        table,
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
