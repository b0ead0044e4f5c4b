"""Sets of things, intervals and boxes: how much do two have in common?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rewards.functions import PolicyFault, reward
from rewards.verifiers.structure import read_json

MOST = 500
"""Things in one completion."""

Box = tuple[float, ...]
"""Interval (start, end) or box (left, top, right, bottom): first all lower ends, then all upper ends."""


def f1(written: set[str], wanted: set[str]) -> float:
    """F1 of two sets; 1 where both are empty."""
    if not written and not wanted:
        return 1.0
    return 2 * len(written & wanted) / (len(written) + len(wanted))


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two intervals or two boxes; 0 where both are empty of extent."""
    axes = len(one) // 2
    shared = math.prod(max(0.0, min(one[a + axes], other[a + axes]) - max(one[a], other[a])) for a in range(axes))
    union = _extent(one) + _extent(other) - shared
    return shared / union if union > 0 else 0.0


@reward(subject="episode", version="2")
def set_f1(completion: str, answer: Sequence[str]) -> float:
    """F1 of the completion, a JSON list of strings, and the wanted ones; case and white space around count for nothing.

    Saying something twice is no help: these are sets. A policy fault where the completion is no such list.
    """
    return f1({_plain(item, PolicyFault) for item in _list(completion)}, {_plain(item, ValueError) for item in answer})


@reward(subject="episode", version="2")
def interval_iou(completion: str, answer: Sequence[float]) -> float:
    """Intersection over union of the completion, a JSON list of numbers, and the wanted interval or box.

    Args:
        completion: `[start, end]` or `[left, top, right, bottom]`; a policy fault where it is not.
        answer: the same.
    """
    return iou(_box(_list(completion), len(answer), PolicyFault), _box(answer, len(answer), ValueError))


@reward(subject="episode", version="2")
def box_matching(completion: str, boxes: Sequence[Any], advanced: bool = False) -> float:
    """Format, recall and precision of labelled boxes, 0 to 3, with criteria that grow sterner.

    The completion is a JSON list of `{"box": [left, top, right, bottom], "label": …}`, matched one to one to the wanted
    ones so that the total overlap is greatest. Format is 1, and everything is 0 without it. Recall is the share of
    wanted boxes that are matched well enough; precision the mean overlap over all boxes that were written, so that many
    guesses do not pay. Both are made harder at the ends: nothing below one threshold, all above another.

    Source: Zhan et al., "Vision-R1", 2025, arXiv 2503.18013; thresholds 0.5 and 0.75 for beginners, 0.75 and 0.9 for
    the advanced.

    Args:
        completion: what the policy wrote.
        boxes: the wanted ones, as mappings of the same form; intervals `[start, end]` do as well.
        advanced: which thresholds.
    """
    low, high = (0.75, 0.9) if advanced else (0.5, 0.75)
    length = len(boxes[0]["box"]) if boxes else 4
    wanted = [(_box(item["box"], length, ValueError), item.get("label")) for item in boxes]
    try:
        written = [
            (_box(item["box"], length, PolicyFault), item.get("label"))
            for item in _list(completion)
            if _is_labelled(item)
        ]
    except PolicyFault:
        return 0.0
    if not wanted or not written:
        return 1.0 + 2.0 * (not wanted and not written)
    overlap = np.array([[iou(box, aim) * (label == name) for aim, name in wanted] for box, label in written])
    matched = overlap[linear_sum_assignment(-overlap)]
    recall = float((matched >= low).sum()) / len(wanted)
    precision = float(_refined(matched, low, high).sum()) / len(written)
    return 1.0 + float(_refined(np.array(recall), low, high)) + precision


def _refined(values: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    return np.where(values < low, 0.0, np.where(values > high, 1.0, values))


def _extent(box: Box) -> float:
    axes = len(box) // 2
    return math.prod(max(0.0, box[a + axes] - box[a]) for a in range(axes))


def _list(completion: str) -> list[Any]:
    value = read_json(completion)
    if not isinstance(value, list) or len(value) > MOST:
        raise PolicyFault(f"got JSON that is no list of at most {MOST} things")
    return value


def _is_labelled(item: Any) -> bool:
    if not isinstance(item, dict) or "box" not in item:
        raise PolicyFault('got a thing without a box; expected {"box": […], "label": …}')
    return True


def _box(value: Any, length: int, fault: type[Exception]) -> Box:
    plain = isinstance(value, (list, tuple)) and all(type(x) in (int, float) and abs(x) < 1e15 for x in value)
    if not plain or len(value) != length or length not in (2, 4):
        raise fault(f"got {str(value)[:100]}; expected {length} finite numbers, two for an interval or four for a box")
    box = tuple(map(float, value))
    if any(box[a] > box[a + length // 2] for a in range(length // 2)):
        raise fault(f"got {box}; expected lower ends first")
    return box


def _plain(item: Any, fault: type[Exception]) -> str:
    if not isinstance(item, str):
        raise fault(f"got {str(item)[:100]} in the list; expected strings")
    return " ".join(item.lower().split())
