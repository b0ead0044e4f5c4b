"""Replies of the transformers engine, free and bound by a JSON schema."""

import asyncio
import json

import pytest
import torch

from actors.engines.transformers_engine import Config, TransformersEngine
from rewards.judges.chat_model import LocalModel
from rewards.judges.judge import question
from rewards.judges.rubric import Parts, rubric_class
from rewards.verdicts import Status

SCHEMA = {
    "type": "object",
    "properties": {
        "winner": {"enum": ["A", "B", "tie"]},
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "note": {"type": "string", "maxLength": 10},
    },
    "required": ["winner", "score", "note"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def engine(chat_model):
    return TransformersEngine(Config(model=str(chat_model), device="cpu"))


def chats(*texts):
    return [[{"role": "system", "content": "You judge."}, {"role": "user", "content": text}] for text in texts]


ASKED = chats("one", "a much longer question than the first one", "x", "two words")


@pytest.mark.slow
def test_a_reply_is_the_models_own_greedy_one(engine, chat_model):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(chat_model), AutoModelForCausalLM.from_pretrained(chat_model)
    for chat in ASKED:
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        with torch.inference_mode():
            whole = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
        assert engine.write([chat], 12).texts == [tokenizer.decode(whole, skip_special_tokens=True)]


@pytest.mark.slow
@pytest.mark.parametrize("max_batch_tokens", [1, 8192])
def test_a_batch_of_many_lengths_writes_as_each_prompt_alone(chat_model, max_batch_tokens):
    one = TransformersEngine(Config(model=str(chat_model), device="cpu", max_batch_tokens=max_batch_tokens))
    together = one.write(ASKED, 12)
    assert together.texts == [one.write([chat], 12).texts[0] for chat in ASKED]
    assert (together.tokens > 12).all() and not together.too_long.any()


@pytest.mark.slow
def test_a_schema_binds_what_even_a_model_of_random_weights_writes(engine):
    for text in engine.write(ASKED, 80, SCHEMA).texts:
        reply = json.loads(text)
        assert reply["winner"] in ("A", "B", "tie") and 1 <= reply["score"] <= 5 and len(reply["note"]) <= 10


@pytest.mark.slow
def test_a_reply_with_a_schema_does_not_depend_on_the_batch(engine):
    together = engine.write(ASKED, 80, SCHEMA).texts
    assert together == [engine.write([chat], 80, SCHEMA).texts[0] for chat in ASKED]


def test_a_schema_that_contradicts_itself_is_refused(engine):
    with pytest.raises(ValueError, match="cannot be kept"):
        engine.write(ASKED, 80, {"type": "object", "properties": {"a": {"type": "nonsense"}}})


@pytest.mark.slow
def test_a_prompt_that_leaves_no_room_for_a_reply_is_marked(engine):
    found = engine.write(chats("one", "long " * 500), 100)
    assert found.too_long.tolist() == [False, True] and found.texts[1] == ""


def test_no_prompts_write_nothing(engine):
    assert engine.write([], 5).texts == []


def test_control_tokens_of_the_tokenizer_are_known(engine):
    assert {"<|end|>", "<|user|>"} <= set(engine.special_tokens)


RUBRICS = {
    "graded": {},
    "pairwise": {},
    "rubric": {"criteria": [{"id": "right", "text": "It is right."}]},
    "checklist": {"items": [{"id": "done", "text": "It is done."}], "quote_chars": 12},
    "listwise": {},
    "critique": {"critique_tokens": 8},
    "branch_rethink": {"hypothesis_chars": 8},
    "reasoned": {"work_chars": 8},
    "adaptive": {"max_criteria": 1},
    "tool_use": {"max_steps": 1, "input_chars": 6},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", RUBRICS)
def test_every_kind_of_judgement_runs_on_a_real_model(engine, kind):
    rubric = rubric_class(kind).model_validate({"id": "t", "version": 1, "kind": kind, **RUBRICS[kind]})
    asked = rubric.answers[0]
    texts = ["It is four.", "It is five."] if asked in ("pair", "group") else ["It is four."]
    (answer,) = asyncio.run(rubric.build(Parts(LocalModel(engine))).judge([question(asked, texts)]))
    assert answer.tokens > 0
    if answer.status is Status.OK:
        assert 0 <= answer.value <= 1
    else:  # words of random weights may be blank, but whatever is bound by a schema is a form
        assert kind == "critique" and answer.status is Status.UNPARSEABLE
