"""Were the right tools called, with the right arguments?

A completion is `<think>…</think><tool_call>…</tool_call>`, with one JSON object `{"name": …, "arguments": {…}}` a line
inside.

Source: Qian et al., "ToolRL: Reward is All Tool Learning Needs", 2025, arXiv 2504.13958, section 3.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from rewards.functions import PolicyFault, reward
from rewards.verifiers.structure import read_json
from rewards.verifiers.tags import sections

Call = tuple[str, dict[str, Any]]

TAGS = ("think", "tool_call")
MOST = 100
"""Calls in one completion."""


def calls_of(completion: str) -> list[Call]:
    """The calls of a completion, in order; whatever else it says counts for nothing here.

    Raises:
        PolicyFault: there is no block of calls, or a line of it is no call.
    """
    _, opening, rest = completion.partition("<tool_call>")
    inside, closing, _ = rest.partition("</tool_call>")
    if not opening or not closing:
        raise PolicyFault("got no tool call; expected <tool_call>…</tool_call>")
    lines = [line for line in inside.splitlines() if line.strip()]
    if not 0 < len(lines) <= MOST:
        raise PolicyFault(f"got {len(lines)} tool calls; expected one JSON object a line, at most {MOST}")
    return [_call(read_json(line), PolicyFault) for line in lines]


@reward(subject="episode", version="2")
def tool_call_match(completion: str, calls: Sequence[Mapping[str, Any]], ordered: bool = True) -> float:
    """1 if exactly the wanted calls were made, else 0; a policy fault where there are none that can be read.

    Args:
        completion: what the policy wrote.
        calls: the wanted ones, `{"name": …, "arguments": {…}}`.
        ordered: whether their order counts.
    """
    made, wanted = calls_of(completion), [_call(call, ValueError) for call in calls]
    if ordered:
        return float(len(made) == len(wanted) and all(map(_same, made, wanted)))
    left = list(wanted)
    for call in made:
        match = next((k for k, other in enumerate(left) if _same(call, other)), None)
        if match is None:
            return 0.0
        del left[match]
    return float(not left)


@reward(subject="episode", version="2")
def tool_call_score(completion: str, calls: Sequence[Mapping[str, Any]]) -> float:
    """Format in {0, 1} plus correctness in [-3, 3]: names, names of arguments and values are each paid for.

    With S the Jaccard index of the bags of tool names, plus for each wanted call, matched to a call of the same name,
    the Jaccard index of the names of arguments and the number of equal values, correctness is 6 S / S_max - 3. The
    matching is the best there is, so the order of calls does not count. Calls that cannot be read give -3: a declared
    score, no fault.

    Args:
        completion: what the policy wrote.
        calls: the wanted ones, `{"name": …, "arguments": {…}}`.

    Raises:
        ValueError: no call is wanted, or one has not the form.
    """
    wanted = [_call(call, ValueError) for call in calls]
    if not wanted:
        raise ValueError("got no wanted calls; expected at least one")
    try:
        tagged = float(all(sections(completion, TAGS).values()))
    except PolicyFault:
        tagged = 0.0
    try:
        made = calls_of(completion)
    except PolicyFault:
        return tagged - 3.0
    names, aims = Counter(name for name, _ in made), Counter(name for name, _ in wanted)
    score = (names & aims).total() / (names | aims).total()
    worth = np.array([[_worth(call, aim) for aim in wanted] for call in made])
    score += float(worth[linear_sum_assignment(-worth)].sum())
    best = 1 + sum(1 + len(arguments) for _, arguments in wanted)
    return tagged + 6 * score / best - 3


def _worth(call: Call, aim: Call) -> float:
    (name, arguments), (wanted, aims) = call, aim
    if name != wanted:
        return 0.0
    union = arguments.keys() | aims.keys()
    shared = arguments.keys() & aims.keys()
    jaccard = len(shared) / len(union) if union else 1.0
    return jaccard + sum(_equal(arguments[key], aims[key]) for key in shared)


def _same(one: Call, other: Call) -> bool:
    return one[0] == other[0] and _equal(one[1], other[1])


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON, in which true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _call(value: Any, fault: type[Exception]) -> Call:
    """A call from its JSON; `parameters` is another word for arguments."""
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        arguments = value.get("arguments", value.get("parameters", {}))
        if isinstance(arguments, Mapping) and not value.keys() - {"name", "arguments", "parameters"}:
            return value["name"], dict(arguments)
    raise fault(f'got {str(value)[:100]}; expected {{"name": …, "arguments": {{…}}}}')
