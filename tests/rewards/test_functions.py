"""Reward functions: what is injected, what becomes of what they give, and what their version covers."""

from __future__ import annotations

import asyncio
import math
import sys
import textwrap
import time
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.functions import ABSTAINED, PolicyFault, RewardFunction, load_reward, reward
from rewards.judges.episode import EpisodeJudge
from rewards.judges.function import FunctionJudge, RewardModelJudge
from rewards.judges.judge import Answer, Question
from rewards.models.classification import ClassificationModel
from rewards.models.classification import Config as ClassificationConfig
from rewards.models.retrieval import Config as RetrievalConfig
from rewards.models.retrieval import RetrievalModel
from rewards.questions import caption_question, pair_question
from rewards.verdicts import Status, Verdict


def answers(function: RewardFunction, **columns: list) -> list[Answer]:
    return asyncio.run(function.answer(columns))


@reward(subject="episode", version="1")
def exact_match(completion: str, answer: str) -> float | None:
    return float(completion.strip() == answer) if answer else None


def test_arguments_are_injected_by_name_whatever_else_there_is() -> None:
    found = answers(exact_match, answer=["4", "5", ""], prompt=["a", "b", "c"], completion=[" 4", "4", "x"])
    assert [a.value for a in found] == [1.0, 0.0, None]
    assert [a.status for a in found] == [Status.OK, Status.OK, Status.UNPARSEABLE]
    assert found[2].cause == ABSTAINED


def test_it_is_still_the_function_that_it_was() -> None:
    assert exact_match(" 4", "4") == 1.0
    assert exact_match(completion="5", answer="4") == 0.0
    assert exact_match.__name__ == exact_match.name == "exact_match"


@pytest.mark.parametrize(
    ("given", "status", "value"),
    [
        (1, Status.OK, 1.0),
        (True, Status.OK, 1.0),
        (np.bool_(False), Status.OK, 0.0),
        (np.float32(0.5), Status.OK, 0.5),
        (None, Status.UNPARSEABLE, None),
        (math.nan, Status.JUDGE_FAULT, None),
        (math.inf, Status.JUDGE_FAULT, None),
        (1e300, Status.JUDGE_FAULT, None),  # no float32
        (10**400, Status.JUDGE_FAULT, None),  # no float
        pytest.param(10**5000, Status.JUDGE_FAULT, None, id="no text either"),
        (-3e38, Status.OK, -3e38),
        ("0.5", Status.JUDGE_FAULT, None),
        ([1.0], Status.JUDGE_FAULT, None),
        (Answer(Status.TIMEOUT, cause="slow", tokens=7), Status.TIMEOUT, None),
        (Answer(Status.OK, 0.25, tokens=7), Status.OK, 0.25),
        (Answer(Status.OK, math.nan), Status.JUDGE_FAULT, None),
        (Answer(Status.OK, 1e39), Status.JUDGE_FAULT, None),
        (Answer(Status.TIMEOUT, 0.0), Status.JUDGE_FAULT, None),
    ],
)
def test_what_is_no_finite_number_is_never_a_value(given: object, status: Status, value: float | None) -> None:
    @reward(subject="caption")
    def judge(caption: str) -> object:
        return given

    (found,) = answers(judge, caption=["a"])
    assert (found.status, found.value) == (status, value)
    assert (found.cause == "") == (status is Status.OK)


def test_an_exception_is_a_judge_fault_with_its_cause_and_a_policy_fault_where_it_says_so() -> None:
    @reward(subject="caption")
    def picky(caption: str) -> float:
        if caption == "broken":
            raise PolicyFault("no code in the answer")
        return 1 / len(caption)

    empty, good, broken = answers(picky, caption=["", "ab", "broken"])
    assert (empty.status, empty.value) == (Status.JUDGE_FAULT, None)
    assert empty.cause == "ZeroDivisionError: division by zero"
    assert (good.status, good.value) == (Status.OK, 0.5)
    assert (broken.status, broken.value, broken.cause) == (Status.POLICY_FAULT, None, "no code in the answer")


def test_an_unknown_argument_is_an_error_before_any_work() -> None:
    called = []

    @reward(subject="row")
    def misspelt(anwser: str) -> float:
        called.append(anwser)
        return 0.0

    with pytest.raises(ValueError, match=r"nothing provides its argument 'anwser'; a row has answer, completion: did"):
        answers(misspelt, completion=["a"], answer=["a"])
    assert not called


def test_settings_go_before_columns_and_defaults_come_last() -> None:
    @reward(subject="caption", weight=2.0)
    def weighted(caption: str, weight: float, offset: float = 0.5) -> float:
        return len(caption) * weight + offset

    assert weighted.needed == ("caption",)
    assert [a.value for a in answers(weighted, caption=["ab"], weight=[100.0])] == [4.5]
    assert [a.value for a in answers(weighted, caption=["ab"], offset=[1.0])] == [5.0]
    assert [a.value for a in answers(weighted.configured(weight=3.0), caption=["ab"])] == [6.5]
    assert weighted("ab", weight=1.0) == 2.5


def test_async_functions_run_side_by_side_but_no_more_than_they_say() -> None:
    running, most = 0, 0

    @reward(subject="caption", concurrency=3)
    async def slow(caption: str) -> float:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        if caption == "3":
            raise ConnectionError("gone")
        return float(caption)

    found = answers(slow, caption=[str(k) for k in range(8)])
    assert [a.value for a in found] == [0, 1, 2, None, 4, 5, 6, 7]
    assert found[3].cause == "ConnectionError: gone"
    assert most == 3


def test_between_the_calls_of_a_function_that_computes_others_have_their_turn() -> None:
    called = []

    @reward(subject="caption")
    def slow(caption: str) -> float:
        called.append(caption)
        time.sleep(0.02)
        return float(caption)

    async def beside() -> None:
        turns = []
        judging = asyncio.ensure_future(slow.answer({"caption": [str(k) for k in range(5)]}))
        while not judging.done():
            await asyncio.sleep(0)
            turns.append(len(called))
        assert [a.value for a in await judging] == [0, 1, 2, 3, 4] and set(turns) >= {1, 2, 3, 4}
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(slow.answer({"caption": ["0"] * 1000}), 0.01)
        assert len(called) < 100

    asyncio.run(beside())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_batched_functions_get_lists_and_give_one_value_each(asynchronous: bool) -> None:
    def longest(captions: list[str]) -> list[float | None]:
        most = max(map(len, captions))
        return [len(c) / most if c else None for c in captions]

    if asynchronous:

        @reward(subject="caption", batched=True)
        async def judge(caption: list[str]) -> list[float | None]:
            return longest(caption)
    else:

        @reward(subject="caption", batched=True)
        def judge(caption: list[str]) -> list[float | None]:
            assert isinstance(caption, list)
            return longest(caption)

    assert [a.value for a in answers(judge, caption=("a", "abcd", ""))] == [0.25, 1.0, None]


@pytest.mark.parametrize("result", [[1.0], [1.0, 2.0, 3.0], None, 1.0])
def test_a_batch_of_another_length_fails_whole(result: object) -> None:
    @reward(subject="caption", batched=True)
    def judge(caption: list[str]) -> object:
        return result

    found = answers(judge, caption=["a", "b"])
    assert [a.status for a in found] == [Status.JUDGE_FAULT] * 2
    assert [a.value for a in found] == [None, None]


@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(-9, 9), st.just("x")), max_size=20))
def test_every_subject_gets_one_answer_with_a_finite_value_or_a_cause(values: list) -> None:
    @reward(subject="caption")
    def echo(value: object) -> object:
        return value

    @reward(subject="caption", batched=True)
    def echo_all(value: list) -> list:
        return value

    for function in (echo, echo_all):
        found = answers(function, value=values)
        assert len(found) == len(values)
        for value, answer in zip(values, found, strict=True):
            assert (answer.value is None) == (answer.status is not Status.OK) == (answer.cause != "")
            assert answer.value is None or answer.value == float(value)


# Refusals ------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_injected_is_refused_when_it_is_declared() -> None:
    with pytest.raises(ValueError, match=r"got the argument \*texts.*; expected arguments with names"):

        @reward(subject="row")
        def many(*texts: str) -> float:
            return 0.0

    with pytest.raises(ValueError, match="got reward subject 'day'; expected one of caption"):
        reward(subject="day")(lambda caption: 0.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got settings \['tolerance'\]; expected arguments of the function: caption"):
        reward(subject="caption", tolerance=1)(lambda caption: 0.0)
    with pytest.raises(TypeError, match="put @reward on its def"):
        reward(subject="caption")(len)
    with pytest.raises(TypeError, match="settings must be plain data"):
        reward(subject="caption", f=print)(lambda caption, f: 0.0)
    with pytest.raises(ValueError, match="got columns of lengths"):
        answers(exact_match, completion=["a"], answer=[])


# Versions ------------------------------------------------------------------------------------------------------------

MODULE = """
    import re
    from rewards.functions import reward
    WORDS = {"gold", "key"}
    PATTERN = re.compile("[0-9]+")

    def score(text):
        return sum(word in WORDS for word in text.split())

    class Scale:
        by = 2

    @reward(subject="caption", version="1")
    def helpful(caption: str, weight: float = 1.0) -> float:
        # how much gold
        return weight * score(PATTERN.sub("", caption)) * Scale.by

    def plain(caption):
        return 0.0

    @reward(subject="caption")
    def silent(caption: str) -> None:
        return None
"""


def module(directory: Path, name: str, *changes: tuple[str, str]) -> RewardFunction:
    text = textwrap.dedent(MODULE)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (directory / f"{name}.py").write_text(text)
    return load_reward(f"{name}:helpful")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("lab_"):
            del sys.modules[name]


def test_the_version_changes_with_code_helpers_constants_settings_and_what_is_declared(lab: Path) -> None:
    first = module(lab, "lab_0")
    changes = [
        ("weight * score", "2 * weight * score"),
        ("sum(word", "1 + sum(word"),
        ('"gold", "key"', '"gold", "keys"'),
        ("[0-9]+", "[0-9]"),
        ("by = 2", "by = 3"),
        ("weight: float = 1.0", "weight: float = 1.5"),
        ('version="1"', 'version="2"'),
        ('subject="caption", version', 'subject="step", version'),
    ]
    versions = {module(lab, f"lab_{k + 1}", change).version for k, change in enumerate(changes)}
    versions |= {first.version, first.configured(weight=3.0).version}
    assert len(versions) == len(changes) + 2


LONG = """
    import re
    from dataclasses import dataclass
    from functools import cached_property, lru_cache

    from rewards.functions import reward

    LETTERS = re.compile(r"WORDS|tail")
    DEPTH = 3
    FLOOR = 0.5

    def deep(text):
        return len(text) * DEPTH

    @lru_cache
    def cached(text):
        return deep(text)

    @dataclass
    class Marks:
        floor: float = 1.0

        @property
        def least(self):
            return FLOOR

    @reward(subject="caption", most=1.0)
    def bounded(caption: str, most: float) -> float:
        return min(most, len(caption))

    strict = bounded.configured(most=2.0)

    @reward(subject="caption")
    def helpful(caption: str) -> float:
        return bool(LETTERS.search(caption)) + cached(caption) + Marks().least + strict(caption=caption)
""".replace("WORDS", "|".join(f"word{number}" for number in range(60)))


def test_the_version_covers_long_patterns_cached_functions_and_what_those_and_methods_use(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "MODULE", LONG)
    changes = [
        ("|tail", "|tails"),
        ("return deep(text)", "return deep(text) + 1"),
        ("len(text) * DEPTH", "len(text) + DEPTH"),
        ("DEPTH = 3", "DEPTH = 4"),
        ("FLOOR = 0.5", "FLOOR = 0.6"),
        ("configured(most=2.0)", "configured(most=3.0)"),
    ]
    versions = {module(lab, f"lab_long_{k}", change).version for k, change in enumerate(changes)}
    versions |= {module(lab, "lab_long").version, module(lab, "lab_long_again").version}
    assert len(versions) == len(changes) + 1


def test_the_version_stays_where_nothing_that_counts_has_changed(lab: Path) -> None:
    first = module(lab, "lab_a")
    moved = module(
        lab,
        "lab_b",
        ("import re\n", "import re\n\n\n"),
        ('@reward(subject="caption")\n', "@reward(\n    subject='caption')\n"),
    )
    assert first.version == moved.version == first.configured().version
    assert len(first.version) == 12


def test_a_function_without_source_has_a_version_of_its_code() -> None:
    versions = []
    for factor in (2, 2, 3):
        module = compile(f"def f(caption):\n    return [len(c) * {factor} for c in caption][0]\n", "<nowhere>", "exec")
        (code,) = (constant for constant in module.co_consts if isinstance(constant, CodeType))
        versions.append(reward(subject="caption")(FunctionType(code, {})).version)
    assert versions[0] == versions[1] != versions[2]


def test_a_reward_is_loaded_by_its_dotted_path(lab: Path) -> None:
    assert answers(module(lab, "lab_c"), caption=["gold 12 key"])[0].value == 4.0
    with pytest.raises(ValueError, match="got a function without @reward; lab_c has helpful, silent"):
        load_reward("lab_c:plain")
    with pytest.raises(ValueError, match="got nothing of that name"):
        load_reward("lab_c:lost")
    with pytest.raises(ValueError, match="cannot import 'lab_none'"):
        load_reward("lab_none:helpful")
    for path in ("helpful", "lab_c.helpful", ":helpful", "lab_c:", "lab_c:a.b"):
        with pytest.raises(ValueError, match=r"expected package\.module:function"):
            load_reward(path)


# As judges -----------------------------------------------------------------------------------------------------------


def test_a_reward_function_answers_questions_as_any_judge_does() -> None:
    @reward(subject="caption")
    def gold(caption: str) -> float | None:
        return None if caption == "?" else float("gold" in caption)

    @reward(subject="pair")
    def longer(first: str, second: str) -> float:
        return float(len(first) > len(second))

    judge = FunctionJudge(gold)
    found = asyncio.run(judge.judge([caption_question("You gain gold."), caption_question("?")]))
    assert [(a.status, a.value) for a in found] == [(Status.OK, 1.0), (Status.UNPARSEABLE, None)]
    assert judge.fingerprint == f"function-{gold.version}"
    (pair,) = asyncio.run(FunctionJudge(longer).judge([pair_question("abc", "a")]))
    assert pair.value == 1.0
    (wrong,) = asyncio.run(judge.judge([pair_question("abc", "a")]))
    assert wrong.status is Status.JUDGE_FAULT and "got a question on a pair" in wrong.cause
    assert asyncio.run(judge.judge([])) == []
    asyncio.run(judge.check())


def test_a_question_carries_its_context_to_the_function() -> None:
    @reward(subject="response")
    def correct(completion: str, answer: str) -> float:
        return float(completion == answer)

    questions = [Question(str(k), "response", (text,), (("answer", "4"),)) for k, text in enumerate("45")]
    assert [a.value for a in asyncio.run(FunctionJudge(correct).judge(questions))] == [1.0, 0.0]


@pytest.mark.parametrize(("subject", "judge_of"), [("response", FunctionJudge), ("episode", EpisodeJudge)])
def test_a_question_keeps_its_context_beside_one_that_has_none(subject: Any, judge_of: Any) -> None:
    @reward(subject=subject)
    def correct(completion: str, answer: str = "5") -> float:
        return float(completion == answer)

    bare, asked = Question("a", "response", ("4",)), Question("b", "response", ("4",), (("answer", "4"),))
    judge = judge_of(correct)
    for questions, values in (([asked], [1.0]), ([bare, asked, bare], [0.0, 1.0, 0.0]), ([bare], [0.0])):
        assert [a.value for a in asyncio.run(judge.judge(questions))] == values


def test_a_function_that_nobody_can_ask_is_no_judge() -> None:
    with pytest.raises(ValueError, match="reward exact_match judges episodes"):
        FunctionJudge(exact_match)


def test_a_reward_model_is_a_judge_that_knows_what_it_cannot_tell() -> None:
    model = RetrievalModel(RetrievalConfig())
    question = caption_question("You gain gold.")
    model.observe({int(question.subject): "You gain gold."})
    model.add([Verdict(question.subject, "caption", "intrinsic", "v", 1.0, Status.OK, "f", text="You gain gold.")])
    judge = RewardModelJudge(model)
    known, unknown = asyncio.run(judge.judge([question, caption_question("You die.")]))
    assert (known.status, known.value) == (Status.OK, 1.0)
    assert (unknown.status, unknown.value) == (Status.UNPARSEABLE, None)
    (pair,) = asyncio.run(judge.judge([pair_question("You gain gold.", "You die.")]))
    assert (pair.status, pair.value) == (Status.JUDGE_FAULT, None), "and not what the first alone is worth"
    assert judge.fingerprint == RewardModelJudge(model).fingerprint


def test_two_models_of_the_same_weights_and_another_threshold_are_two_judges() -> None:
    first, same, other = (ClassificationModel(ClassificationConfig(threshold=t)) for t in (0.5, 0.5, 0.9))
    assert first.snapshot() == other.snapshot()
    fingerprints = [RewardModelJudge(model).fingerprint for model in (first, same, other)]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
