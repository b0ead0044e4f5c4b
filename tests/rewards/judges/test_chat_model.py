import asyncio
from dataclasses import dataclass

import numpy as np
import pytest

from rewards.judges.chat_model import LocalModel, NoReply
from rewards.judges.judge import question
from rewards.judges.rubric import Parts, rubric_class
from rewards.verdicts import Status


@dataclass
class Found:
    tokens: np.ndarray
    too_long: np.ndarray
    log_probs: np.ndarray = None
    texts: list = None


class Engine:
    """Remembers the batches that it was given."""

    fingerprint, special_tokens = "engine", ()

    def __init__(self, fail=None, drop=0, text="{}"):
        self.batches, self._fail, self._drop, self._text = [], fail, drop, text

    def score_choices(self, prompts, choices):
        self.batches.append(("choose", len(prompts)))
        if self._fail:
            raise self._fail
        n = len(prompts) - self._drop
        too_long = np.array(["long" in prompt[-1]["content"] for prompt in prompts])[:n]
        rows = np.log(np.tile(np.arange(1.0, len(choices) + 1) / sum(range(len(choices) + 1)), (n, 1)))
        return Found(np.full(n, 7), too_long, log_probs=np.where(too_long[:, None], np.nan, rows))

    def write(self, prompts, max_tokens, schema=None):
        self.batches.append(("write", len(prompts)))
        n = len(prompts)
        return Found(np.full(n, 9), np.zeros(n, bool), texts=[self._text] * n)


def judge_of(engine, kind, **settings):
    rubric = rubric_class(kind).model_validate({"id": "t", "version": 1, "kind": kind, **settings})
    return rubric.build(Parts(LocalModel(engine)))


RESPONSES = [question("response", [f"answer {n}"]) for n in range(12)]


def test_what_many_questions_ask_at_once_is_one_batch():
    engine = Engine()
    answers = asyncio.run(judge_of(engine, "binary").judge(RESPONSES))
    assert engine.batches == [("choose", 12)] and [a.tokens for a in answers] == [7] * 12


def test_so_are_both_orders_of_many_pairs_and_the_criteria_of_many_texts():
    engine = Engine()
    asyncio.run(judge_of(engine, "pairwise").judge([question("pair", [str(n), "x"]) for n in range(5)]))
    criteria = [{"id": f"c{n}", "text": "x"} for n in range(3)]
    asyncio.run(judge_of(engine, "rubric", criteria=criteria).judge(RESPONSES))
    assert engine.batches == [("choose", 10), ("choose", 36)]


def test_two_turns_are_two_batches():
    engine = Engine(text="too short.")
    asyncio.run(judge_of(engine, "critique").judge(RESPONSES))
    assert engine.batches == [("write", 12), ("choose", 12)]


def test_only_the_prompt_that_does_not_fit_has_no_value():
    answers = asyncio.run(judge_of(Engine(), "binary").judge([*RESPONSES[:2], question("response", ["far too long"])]))
    assert [a.status for a in answers] == [Status.OK, Status.OK, Status.JUDGE_FAULT]
    assert "more than the model takes" in answers[2].cause


def test_an_engine_that_fails_as_a_whole_raises():
    with pytest.raises(RuntimeError, match="out of memory"):
        asyncio.run(judge_of(Engine(fail=RuntimeError("out of memory")), "binary").judge(RESPONSES))


def test_an_engine_that_gives_too_few_replies_is_at_fault_for_all_of_them():
    answers = asyncio.run(judge_of(Engine(drop=1), "binary").judge(RESPONSES))
    assert all(a.status is Status.JUDGE_FAULT and a.value is None for a in answers)
    assert "11 replies to 12 prompts" in answers[0].cause


def test_numbers_that_are_not_finite_are_no_value():
    class Broken(Engine):
        def score_choices(self, prompts, choices):
            found = super().score_choices(prompts, choices)
            found.log_probs[0] = np.nan
            return found

    answers = asyncio.run(judge_of(Broken(), "binary").judge(RESPONSES))
    assert answers[0].value is None and "finite" in answers[0].cause and answers[1].value is not None


def test_a_session_that_is_left_early_leaves_nothing_behind():
    async def leave():
        model = LocalModel(Engine())
        async with model.session() as session:
            task = asyncio.create_task(session.choose([{"role": "user", "content": "x"}], ("yes", "no")))
            await asyncio.sleep(0)
            task.cancel()
        return len(asyncio.all_tasks())

    assert asyncio.run(leave()) <= 2  # this one, and the one that is being cancelled


def test_no_questions_ask_nothing():
    engine = Engine()
    assert asyncio.run(judge_of(engine, "binary").judge([])) == [] and engine.batches == []


def test_check_passes_where_the_model_answers_and_raises_where_it_does_not():
    asyncio.run(judge_of(Engine(), "pairwise").check())
    with pytest.raises(ConnectionError, match="does not answer"):
        asyncio.run(judge_of(Engine(drop=1), "binary", needs=["prompt"]).check())


def test_a_refusal_carries_its_status():
    error = NoReply(Status.TIMEOUT, "slow", tokens=3)
    assert (error.status, error.cause, error.tokens, str(error)) == (Status.TIMEOUT, "slow", 3, "slow")
