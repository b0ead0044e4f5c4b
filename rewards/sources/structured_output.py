"""JSON that is paid step by step: it parses, nothing stands around it, the keys are there, the values are right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rewards.functions import PolicyFault
from rewards.verifiers.structure import read_json, same


class Structured(NamedTuple):
    """Scores of one output, each between 0 and 1.

    Attributes:
        valid: whether it is a JSON object.
        form: whether nothing stands around it.
        structure: share of the wanted keys that are there, at the right depth.
        correct: share of the wanted values that are right.
    """

    valid: float
    form: float
    structure: float
    correct: float

    def total(self, weights: tuple[float, float, float, float] = (1.0, 0.5, 1.0, 1.5)) -> float:
        """The weighted sum; weights in the order of the scores, as inferred from the source."""
        return float(sum(w * s for w, s in zip(weights, self, strict=True)))


def structured_output(completion: str, reference: Mapping[str, Any]) -> Structured:
    """Scores of a completion that is to be the JSON object `reference`, in any order of keys.

    Keys of objects within objects count each, by their path; a text that does not parse has a form at most: nothing of
    it is valid or correct.

    Source: RL-Struct, A Lightweight RL Framework for Reliable Structured Output. That an invalid text has no structure
    either, and that correctness is a share, is chosen here.

    Args:
        completion: what the policy wrote.
        reference: the wanted object, with at least one key.

    Raises:
        ValueError: the reference has no key.
    """
    wanted = dict(_leaves(reference))
    if not wanted:
        raise ValueError("got a reference without keys; expected a JSON object with at least one")
    try:
        value = read_json(completion)
    except PolicyFault:
        return Structured(0.0, 0.0, 0.0, 0.0)
    if not isinstance(value, dict):
        return Structured(0.0, 0.0, 0.0, 0.0)
    text = completion.strip()
    found = dict(_leaves(value))
    right = sum(path in found and same(found[path], aim) for path, aim in wanted.items())
    return Structured(
        1.0,
        float(text.startswith("{") and text.endswith("}")),
        sum(path in found for path in wanted) / len(wanted),
        right / len(wanted),
    )


def _leaves(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, inner in value.items():
        here = (*path, str(key))
        found += _leaves(inner, here) if isinstance(inner, dict) and inner else [(here, inner)]
    return found
