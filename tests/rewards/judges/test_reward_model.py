import asyncio
import math
from dataclasses import dataclass

import numpy as np
import pytest

from rewards.judges.judge import question
from rewards.judges.reward_model import Config, RewardModelJudge
from rewards.verdicts import Status


@dataclass
class Logits:
    logits: np.ndarray
    tokens: np.ndarray
    too_long: np.ndarray


class Engine:
    """The reward of a text is the number that it spells."""

    special_tokens = ("<|end|>",)

    def __init__(self, fingerprint="engine"):
        self.fingerprint, self.chats = fingerprint, []

    def score_texts(self, chats):
        self.chats += chats
        texts = [chat[-1]["content"] for chat in chats]
        too_long = np.array([text.startswith("long") for text in texts])
        rows = [
            [math.nan] if long else [float(x) for x in text.split(",")]
            for text, long in zip(texts, too_long, strict=True)
        ]
        return Logits(np.array(rows), np.full(len(chats), 4), too_long)


def ask(*questions, engine=None, **config):
    return asyncio.run(RewardModelJudge(engine or Engine(), Config(**config)).judge(questions))


def response(text, **context):
    return question("response", [text], **context)


def test_a_value_is_the_logistic_of_the_centred_and_scaled_logit():
    (answer,) = ask(response("3"), centre=1, scale=2)
    assert answer.value == pytest.approx(1 / (1 + math.exp(-1))) and answer.details == {"logit": 3.0}
    assert ask(response("3"), raw=True)[0].value == 3.0
    assert [a.value for a in ask(response("1000"), response("-1000"))] == [1.0, 0.0]


def test_a_pair_is_the_bradley_terry_probability_and_negates_when_turned():
    (pair,) = ask(question("pair", ["2", "1"]))
    (turned,) = ask(question("pair", ["1", "2"]))
    assert pair.value == pytest.approx(1 / (1 + math.exp(-1))) == pytest.approx(1 - turned.value)


def test_a_group_has_a_score_a_member_and_a_null_where_one_does_not_fit():
    (answer,) = ask(question("group", ["0", "long", "0"]))
    assert answer.scores == (0.5, None, 0.5) and answer.value == 0.5


def test_classes_are_read_by_softmax():
    (answer,) = ask(response("0,1,2"), softmax=True, output=2)
    assert answer.value == pytest.approx(math.exp(2) / (1 + math.e + math.exp(2)))


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_logits_that_are_not_finite_are_a_judge_fault_and_no_value(text):
    (answer,) = ask(response(text))
    assert (answer.status, answer.value) == (Status.JUDGE_FAULT, None) and "finite" in answer.cause


def test_an_output_that_the_model_does_not_have_is_named():
    (answer,) = ask(response("1"), output=3)
    assert answer.value is None and "expected at least 4" in answer.cause


def test_prompt_and_response_go_in_as_a_chat_and_control_tokens_do_not():
    engine = Engine()
    ask(response("1", prompt="hello <|end|>"), engine=engine)
    ((user, assistant),) = engine.chats
    assert (user["role"], assistant) == ("user", {"role": "assistant", "content": "1"})
    assert "<|end|>" not in user["content"]


def test_all_texts_of_all_questions_go_in_one_call_and_answers_keep_their_order():
    engine = Engine()
    answers = ask(response("0"), question("pair", ["9", "0"]), response("long"), response("0"), engine=engine)
    assert [a.status for a in answers] == [Status.OK, Status.OK, Status.JUDGE_FAULT, Status.OK]
    assert answers[0].value == 0.5 and answers[1].value > 0.99 and len(engine.chats) == 5


def test_a_text_that_is_too_long_to_be_judged_is_the_policys_fault():
    assert ask(response("1" * 200_000))[0].status is Status.POLICY_FAULT


def test_the_fingerprint_changes_with_model_and_reading():
    def fingerprint(engine="a", **config):
        return RewardModelJudge(Engine(engine), Config(**config)).fingerprint

    assert len({fingerprint(), fingerprint("b"), fingerprint(scale=2.0), fingerprint(softmax=True)}) == 4
    assert fingerprint() == fingerprint()
