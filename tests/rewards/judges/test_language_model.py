import asyncio
import threading
from dataclasses import dataclass

import numpy as np
import pytest

from rewards.judges import prompts
from rewards.judges.judge import Question
from rewards.judges.language_model import Config, LanguageModelJudge
from rewards.verdicts import Status

CAPTION = Question("c", "caption", ("a key.",))
PAIR = Question("p", "pair", ("a key.", "It's a wall."))


@dataclass
class Scores:
    log_probs: np.ndarray
    tokens: np.ndarray
    too_long: np.ndarray


class Oracle:
    """Gives the same probabilities to every prompt; remembers what it was asked."""

    def __init__(self, caption=(0.7, 0.3), pair=(0.5, 0.3, 0.2), fingerprint="oracle"):
        self.probabilities = {2: caption, 3: pair}
        self.fingerprint = fingerprint
        self.asked = []
        self.threads = set()

    def score_choices(self, prompts, choices):
        self.asked += prompts
        self.threads.add(threading.get_ident())
        n = len(prompts)
        row = np.log(np.array(self.probabilities[len(choices)]))
        too_long = np.array(["too long" in prompt[-1]["content"] for prompt in prompts])
        return Scores(np.where(too_long[:, None], np.nan, np.tile(row, (n, 1))), np.full(n, 11), too_long)


def ask(engine, *questions, **config):
    return asyncio.run(LanguageModelJudge(engine, Config(**config)).judge(questions))


def test_hard_values_are_the_likelier_answers():
    assert [a.value for a in ask(Oracle(), CAPTION, PAIR, CAPTION)] == [1.0, 1.0, 1.0]
    unsure = Oracle(caption=(0.5, 0.5), pair=(0.3, 0.3, 0.4))
    assert [a.value for a in ask(unsure, CAPTION, PAIR)] == [0.0, 0.5]
    assert ask(Oracle(pair=(0.1, 0.8, 0.1)), PAIR)[0].value == 0.0


def test_soft_values_are_probabilities_and_ties_count_half():
    caption, pair = ask(Oracle(), CAPTION, PAIR, soft=True)
    assert caption.value == pytest.approx(0.7)
    assert pair.value == pytest.approx(0.5 + 0.2 / 2)


def test_rounding_makes_no_value_above_one():
    assert ask(Oracle(pair=(1.0, 1e-17, 3e-16)), PAIR, soft=True)[0].value == 1.0


def test_the_threshold_moves_hard_values():
    assert ask(Oracle(), CAPTION, threshold=0.8)[0].value == 0.0


def test_mixed_kinds_keep_their_order_and_count_their_tokens():
    answers = ask(Oracle(caption=(0.9, 0.1), pair=(0.1, 0.8, 0.1)), PAIR, CAPTION, PAIR)
    assert [a.value for a in answers] == [0.0, 1.0, 0.0]
    assert [a.tokens for a in answers] == [11, 11, 11]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_a_judge_fault_and_no_value(bad):
    with np.errstate(all="ignore"):
        (answer,) = ask(Oracle(caption=(bad, 0.3)), CAPTION)
    assert (answer.status, answer.value) == (Status.JUDGE_FAULT, None)
    assert "finite" in answer.cause


def test_only_the_prompt_that_is_too_long_has_no_value():
    long = Question("l", "caption", ("far too long",))
    answers = ask(Oracle(), CAPTION, long)
    assert [a.status for a in answers] == [Status.OK, Status.JUDGE_FAULT]
    assert answers[1].value is None and "11 tokens" in answers[1].cause


def test_the_model_runs_beside_the_event_loop():
    engine = Oracle()
    ask(engine, CAPTION)
    assert threading.get_ident() not in engine.threads


def test_no_questions_have_no_answers():
    assert ask(Oracle()) == []


def test_check_passes_with_a_model_that_answers_and_raises_with_one_that_does_not():
    asyncio.run(LanguageModelJudge(Oracle()).check())
    with pytest.raises(ConnectionError, match="another model"):
        asyncio.run(LanguageModelJudge(Oracle(caption=(np.nan, 1.0))).check())


def test_the_fingerprint_changes_with_engine_goal_rule_and_wording(monkeypatch):
    def fingerprint(engine=Oracle(), **config):  # noqa: B008
        return LanguageModelJudge(engine, Config(**config)).fingerprint

    before = fingerprint()
    assert before == fingerprint()
    assert before != fingerprint(Oracle(fingerprint="another"))
    assert before != fingerprint(goal="collect gold")
    assert before != fingerprint(soft=True)
    monkeypatch.setattr(prompts, "_SYSTEM", "Judge. {goal}")
    assert before != fingerprint()
