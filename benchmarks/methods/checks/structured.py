"""Checks of rewards that look into an answer: tool calls, sets of intervals, tests of a program."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Measured
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.functions import PolicyFault
from rewards.groups import group_advantages, has_signal
from rewards.verifiers.sets import box_matching, iou
from rewards.verifiers.tool_calls import tool_call_match, tool_call_score
from rewards.verifiers.unit_tests import difficulty_weights

MEMBERS = 8


# Tool calls: a prompt names a tool and two values; the call must name the tool's own two parameters.

TOOLS, VALUES, NAMES = 3, 4, 4
TOOL, NAME, VALUE = 1, 1 + TOOLS, 1 + TOOLS + NAMES
WORDS = 1 + TOOLS + NAMES + VALUES
CALL = 5
PARAMETERS = np.array([[0, 1], [1, 2], [2, 3]])
"""Of each tool."""


def requests(random: np.random.Generator, number: int) -> NDArray[np.int64]:
    """A tool and two values `[n, 3]`."""
    tool = random.integers(0, TOOLS, (number, 1))
    return np.concatenate([TOOL + tool, VALUE + random.integers(0, VALUES, (number, 2))], axis=1)


def wanted_calls(asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """The right call of each request: tool, name, value, name, value `[n, 5]`."""
    names = NAME + PARAMETERS[asked[:, 0] - TOOL]
    return np.stack([asked[:, 0], names[:, 0], asked[:, 1], names[:, 1], asked[:, 2]], axis=1)


def call_text(tokens: NDArray[np.int64]) -> str:
    """A completion as text; what is no call of tool, name, value, name, value is not readable as one."""
    tool, *rest = tokens.tolist()
    names, values = rest[0::2], rest[1::2]
    well = TOOL <= tool < NAME and all(NAME <= n < VALUE for n in names) and all(VALUE <= v < WORDS for v in values)
    if not well or len(set(names)) != len(names):
        return f"<think>.</think><tool_call>{tokens.tolist()}</tool_call>"
    return f"<think>.</think><tool_call>{json.dumps(call_of(tokens))}</tool_call>"


def call_of(tokens: NDArray[np.int64]) -> dict[str, Any]:
    """A call as JSON."""
    tool, *rest = tokens.tolist()
    return {"name": f"tool_{tool}", "arguments": {f"p{n}": v for n, v in zip(rest[0::2], rest[1::2], strict=True)}}


def graded(writing: Writing, grade: Literal["fine", "coarse"]) -> NDArray[np.float32]:
    """Format and correctness of each call, in [-3, 4]; coarse: 4 for exactly the wanted call, -2 or -3 otherwise."""
    found = []
    for tokens, aim in zip(writing.completions, wanted_calls(writing.prompts), strict=True):
        text, wanted = call_text(tokens), [call_of(aim)]
        if grade == "fine":
            found.append(tool_call_score(text, wanted))
            continue
        try:
            found.append(1.0 + 6.0 * tool_call_match(text, wanted) - 3.0)
        except PolicyFault:
            found.append(-2.0)
    return np.array(found, np.float32)


def calling(seed: int, grade: Literal["fine", "coarse"]) -> Measured:
    """Training a policy that has hardly seen calls."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(WORDS, seed)
    asked = requests(random, 256)
    shown = wanted_calls(asked)
    shown = np.where(random.random(shown.shape) < 0.6, random.integers(1, WORDS, shown.shape), shown)
    imitate(policy, asked, shown, 25)
    signal: list[float] = []

    def components(writing: Writing) -> Mapping[str, Column]:
        score = graded(writing, grade)
        signal.append(float(has_signal(Column.full(score.reshape(-1, MEMBERS))).mean()))
        return {"score": Column.full(score)}

    reinforce(policy, requests, components, grpo(), seed, updates=200, members=MEMBERS, length=CALL, entropy=0.05)
    tested = write(policy, requests(np.random.default_rng(10_000 + seed), 256), 2, CALL, _seeded(seed))
    exact = (tested.completions == wanted_calls(tested.prompts)).all(-1)
    return {"exact": float(exact.mean()), "groups with a signal": float(np.mean(signal))}


TOOLRL = Check(
    row=27,
    name="tool-call-reward",
    claim="At equal steps, names of tools, names of parameters and values paid each for itself give more exactly right "
    "calls than being exactly right or not, and more groups whose rewards differ.",
    arms={"fine": lambda seed: calling(seed, "fine"), "coarse": lambda seed: calling(seed, "coarse")},
    holds=lambda found: (
        found.above("fine", "coarse", "exact") and found.above("fine", "coarse", "groups with a signal")
    ),
    units={"exact": "share of calls", "groups with a signal": "share of groups"},
    seeds=3,
)


# Sets of intervals: a prompt shows two of them, and a completion names as many as it likes.

PLACES, SHOWN, TOKENS = 16, 2, 9
"""Places on the line, intervals of a scene, most tokens of a completion."""
Pay = Callable[[str, list[dict[str, Any]], float], float]
"""Of a text, the wanted intervals and how far training is, a reward."""


def scenes(random: np.random.Generator, number: int) -> NDArray[np.int64]:
    """Starts and ends of two intervals, the first on the left half `[n, 4]`; place 0 is token 1."""
    start = random.integers(0, 3, (number, SHOWN)) + np.array([0, PLACES // 2])
    end = start + random.integers(3, 6, (number, SHOWN))
    return 1 + np.stack([start, end], axis=-1).reshape(number, -1)


def intervals(tokens: NDArray[np.int64], mask: NDArray[np.bool_]) -> list[list[int]]:
    """What a completion names; starts and ends by turns, an odd one at the end makes no interval and no JSON."""
    said = [int(t) - 1 for t in tokens[mask] if t != END]
    return [said[k : k + 2] for k in range(0, len(said), 2)]


def boxes(found: list[list[int]]) -> list[dict[str, Any]]:
    """Intervals in the form of the verifier."""
    return [{"box": one, "label": "thing"} for one in found]


def raw_overlap(text: str, wanted: list[dict[str, Any]], part: float) -> float:
    """Format, and the mean overlap as it is, over what was written or wanted, whichever is more."""
    if box_matching(text, wanted) < 1:
        return 0.0
    written = json.loads(text)
    if not written:
        return 1.0
    overlap = [max(iou(tuple(map(float, w["box"])), tuple(map(float, b["box"]))) for b in written) for w in wanted]
    return 1.0 + 2.0 * sum(overlap) / max(len(written), len(wanted))


def scanning(seed: int, pay: Pay, updates: int = 160) -> Measured:
    """Training a policy that knows roughly where things are, and names some twice."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(1 + PLACES, seed)
    asked = scenes(random, 384)
    shown = np.full((len(asked), TOKENS), END)
    shown[:, :4] = np.clip(asked + random.integers(-1, 2, asked.shape), 1, PLACES)
    twice = random.random(len(asked)) < 0.3
    shown[twice, 4:6] = shown[twice, 0:2]
    imitate(policy, asked, shown, 150)
    now = [0]

    def components(writing: Writing) -> Mapping[str, Column]:
        rows = zip(writing.completions, writing.mask, writing.prompts, strict=True)
        found = [
            pay(json.dumps(boxes(intervals(c, m))), boxes((p - 1).reshape(-1, 2).tolist()), now[0] / updates)
            for c, m, p in rows
        ]
        return {"score": Column.full(found)}

    def count(update: int, writing: Writing) -> None:
        now[0] = update

    view = grpo()
    reinforce(policy, scenes, components, view, seed, updates, 12, MEMBERS, TOKENS, on_update=count)
    tested = write(policy, scenes(np.random.default_rng(10_000 + seed), 128), 2, TOKENS, _seeded(seed))
    texts = [intervals(c, m) for c, m in zip(tested.completions, tested.mask, strict=True)]
    aims = [(p - 1).reshape(-1, 2).tolist() for p in tested.prompts]
    worth = [raw_overlap(json.dumps(boxes(t)), boxes(a), 1.0) for t, a in zip(texts, aims, strict=True)]
    return {
        "overlap": float(np.mean([max(w - 1, 0) / 2 for w in worth])),
        "all well": float(
            np.mean(
                [
                    box_matching(json.dumps(boxes(t)), boxes(a), advanced=True) > 2.9
                    for t, a in zip(texts, aims, strict=True)
                ]
            )
        ),
        "intervals": float(np.mean([len(text) for text in texts])),
    }


VISION_R1 = Check(
    row=69,
    name="criterion-driven-progressive-reward",
    claim="With criteria that grow sterner half-way, a policy of intervals has a higher mean overlap than with the "
    "beginner's criteria throughout, and than with the overlap itself as the reward; none names more than 2.1 "
    "intervals of 2.",
    arms={
        "progressive": lambda seed: scanning(seed, lambda t, w, part: box_matching(t, w, advanced=part >= 0.5)),
        "beginner's": lambda seed: scanning(seed, lambda t, w, part: box_matching(t, w)),
        "raw overlap": lambda seed: scanning(seed, raw_overlap),
    },
    holds=lambda found: (
        found.above("progressive", "beginner's", "overlap")
        and found.above("progressive", "raw overlap", "overlap")
        and found.mean("progressive", "intervals") <= 2.1
    ),
    seeds=3,
)


# Programs: bits of skill; 20 easy tests that ask for the same two, and 3 hard ones that ask for three more each.

EASY, HARD, EACH = 20, 3, 3
BITS = 2 + HARD * EACH
NEEDED = np.zeros((EASY + HARD, BITS), np.bool_)
NEEDED[:EASY, :2] = True
for _test in range(HARD):
    NEEDED[EASY + _test, 2 + _test * EACH : 2 + (_test + 1) * EACH] = True
MOST = 1500
"""Updates after which learning is given up."""


def programs(seed: int, reward: Literal["outcome", "share", "weighted", "anchored"], members: int = 16) -> Measured:
    """Steps until nine of ten programs pass everything, by policy gradient on independent bits; what is given up on."""
    random = np.random.default_rng(seed)
    logits = np.where(np.arange(BITS) < 2, 1.0, -0.5)
    silent, steps = [], MOST
    for update in range(MOST):
        chance = 1 / (1 + np.exp(-logits))
        if np.prod(chance) >= 0.9:  # the share that passes everything, exactly
            steps = update
            break
        bits = random.random((members, BITS)) < chance
        passed = (bits[:, None, :] | ~NEEDED).all(-1)
        outcome = passed.all(-1).astype(float)
        dense = passed @ difficulty_weights(passed)
        paid = {"outcome": outcome, "share": passed.mean(-1), "weighted": dense, "anchored": dense + outcome}[reward]
        column = Column.full(paid[None])
        silent.append(not has_signal(column)[0])
        logits += 0.1 * (group_advantages(column).values[0][:, None] * (bits - chance)).mean(0)
    return {"steps": steps, "groups without a signal": float(np.mean(silent))}


VERPO = Check(
    row=81,
    name="difficulty-weighted-partial-success",
    claim="Weighted by difficulty, and with the outcome on top, partial success needs fewer updates to 90 % than the "
    "plain share of tests and than the outcome alone, with fewer groups without a signal than the latter.",
    arms={
        "outcome": lambda seed: programs(seed, "outcome"),
        "share of tests": lambda seed: programs(seed, "share"),
        "weighted": lambda seed: programs(seed, "weighted"),
        "weighted and outcome": lambda seed: programs(seed, "anchored"),
    },
    holds=lambda found: (
        found.below("weighted and outcome", "share of tests", "steps")
        and found.below("weighted and outcome", "outcome", "steps")
        and found.below("weighted and outcome", "outcome", "groups without a signal")
    ),
    units={"steps": "updates", "groups without a signal": "share of groups"},
)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
