"""Code, by what it does: unit tests and input-output pairs, in the sandbox.

The code of a completion is what stands in its last fence, or all of it where there is none. The answer's details say
behind which wall it ran. Code that brings its own process to an end, or past a limit, is a policy fault: it gets what
the view declares for that, not the share of tests it had passed by then.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.functions import PolicyFault, reward
from rewards.judges.judge import Answer
from rewards.sandbox.programs import run_program
from rewards.sandbox.testing import TestReport, run_tests
from rewards.sandbox.tiers import Config
from rewards.verdicts import Status

LONGEST = 200_000
"""Characters of code."""

CONCURRENCY = max(1, (os.cpu_count() or 2) // 2)
"""Completions under test at the same time; each has two sandboxes."""


def code_of(completion: str) -> str:
    """The code of a completion.

    Raises:
        PolicyFault: there is none, or too much.
    """
    parts = completion.split("```")
    code = completion
    if len(parts) >= 3:
        inside = parts[len(parts) - 2 - (len(parts) % 2 == 0)]  # of an unclosed last fence, the one before
        first, newline, rest = inside.partition("\n")
        code = rest if newline and first.strip().lower() in ("python", "py", "python3", "") else inside
    if not code.strip():
        raise PolicyFault("got no code")
    if len(code) > LONGEST:
        raise PolicyFault(f"got {len(code)} characters of code; expected at most {LONGEST}")
    return code


async def examine(completion: str, tests: Sequence[str], sandbox: Mapping[str, Any]) -> TestReport:
    """Run tests against the code of a completion, in a thread that waits.

    Raises:
        PolicyFault: there is no code, or it could not be tested to the end.
        TestsBroken: the tests are no tests.
        TierAbsent: the sandbox cannot be had.
    """
    report = await asyncio.to_thread(run_tests, Config(**sandbox), code_of(completion), tests)
    if report.fault:
        raise PolicyFault(f"sandbox {report.tier}: {report.fault}")
    return report


@reward(subject="episode", concurrency=CONCURRENCY)
async def share_passed(
    completion: str, tests: Sequence[str], sandbox: Mapping[str, Any] = {"tier": "process"}
) -> Answer:
    """Share of the tests that the code passes.

    Args:
        completion: what the policy wrote.
        tests: pieces of Python that raise where the code is wrong (see `rewards.sandbox.testing`).
        sandbox: settings of `rewards.sandbox.tiers.Config`.
    """
    report = await examine(completion, tests, sandbox)
    return _answer(report.share, report)


@reward(subject="episode", concurrency=CONCURRENCY)
async def all_passed(completion: str, tests: Sequence[str], sandbox: Mapping[str, Any] = {"tier": "process"}) -> Answer:
    """1 if the code passes every test, else 0. Arguments as of `share_passed`."""
    report = await examine(completion, tests, sandbox)
    return _answer(float(all(report.passed)), report)


@reward(subject="episode", concurrency=CONCURRENCY)
async def outputs_match(
    completion: str, inputs: Sequence[str], outputs: Sequence[str], sandbox: Mapping[str, Any] = {"tier": "process"}
) -> Answer:
    """Share of inputs for which the program writes the wanted output.

    White space at ends of lines and of the whole is free. The outputs are compared here: none of the wanted ones ever
    enters the sandbox.

    Args:
        completion: a program that reads standard input and writes standard output.
        inputs: standard input of each run.
        outputs: wanted standard output of each run.
        sandbox: settings of `rewards.sandbox.tiers.Config`.

    Raises:
        PolicyFault: there is no code, or a run ended by a limit or a signal.
        ValueError: inputs and outputs differ in number, or there are none.
    """
    if len(inputs) != len(outputs) or not inputs:
        raise ValueError(f"got {len(inputs)} inputs and {len(outputs)} outputs; expected as many, at least one")
    config, code, right = Config(**sandbox), code_of(completion), 0
    for given, wanted in zip(inputs, outputs, strict=True):
        output = await asyncio.to_thread(run_program, config, code, given)
        if output.ending.reason != "exit":
            raise PolicyFault(f"sandbox {config.tier}: {output.ending.reason}: {output.ending.detail}")
        right += output.succeeded and _lines(output.stdout) == _lines(wanted)
    return Answer(Status.OK, right / len(inputs), details={"tier": config.tier, "right": right, "of": len(inputs)})


def difficulty_weights(passed: ArrayLike) -> NDArray[np.float64]:
    """Weights of tests by how rarely they are passed, so that many easy ones do not outweigh the one at the frontier.

    `w_j` is proportional to `(1 - rho_j) / density(rho_j)`, with rho_j the share of programs that pass test j and the
    density the number of tests with the same share: k copies of a test weigh as much as one. Where every program passes
    everything, all weigh the same.

    Source: "VeRPO: Verifiable Dense Reward Policy Optimization for Code Generation", 2026; its kernel in the simplest
    form.

    Args:
        passed: which program passed which test, `[N, M]`.

    Returns:
        Weights that sum to 1, `[M]`; `passed @ weights` are the rewards `[N]`.

    Raises:
        ValueError: there are no programs or no tests.
    """
    matrix = np.asarray(passed, np.bool_)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"got shape {matrix.shape}; expected [programs, tests] with at least one of each")
    counts = matrix.sum(axis=0)
    _, which, density = np.unique(counts, return_inverse=True, return_counts=True)
    weights = (1 - counts / len(matrix)) / density[which]
    return weights / weights.sum() if weights.any() else np.full(matrix.shape[1], 1 / matrix.shape[1])


def _answer(value: float, report: TestReport) -> Answer:
    details = {"tier": report.tier, "passed": list(report.passed), "causes": list(report.causes)}
    return Answer(Status.OK, value, latency_s=report.wall_s, details=details)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
