"""Rewards for tests: one that fails for half of the answers, one that hangs, one that waits."""

from __future__ import annotations

import asyncio
import time

from rewards.functions import reward


@reward(subject="row")
def half(completion: str) -> float:
    """Fails for answers of an odd length."""
    if len(completion) % 2:
        raise RuntimeError("no opinion of odd answers")
    return float(len(completion))


@reward(subject="row")
def hangs(completion: str, answer: str) -> float:
    """Hangs for ever where the right answer is a hundred and some, and ends with 7."""
    if len(answer) == 3 and answer.endswith("7"):
        time.sleep(1e9)
    return float(completion.strip() == answer)


@reward(subject="row")
def explodes(completion: str, answer: str) -> float:
    """More than a gradient can bear, for some answers of an odd length where the right one ends with 3."""
    return 1e30 if answer.endswith("3") and len(completion) % 2 else 0.0


@reward(subject="row", batched=True)
async def waits(completion: list[str], answer: list[str]) -> list[float]:
    """Takes a while."""
    await asyncio.sleep(0.2)
    return [float(one.strip() == right) for one, right in zip(completion, answer, strict=True)]


@reward(subject="row", version="1")
def long(completion: str) -> float:
    """Does not fail, but is met without an answer: by going on."""
    return float(len(completion))


@reward(subject="row", version="1")
def digits(completion: str) -> float:
    """Does not fail either: whether it is a number of two or three digits."""
    return float(completion.strip().isdigit() and len(completion.strip()) in (2, 3))
