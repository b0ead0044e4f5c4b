import asyncio

import numpy as np
import pytest
import torch

from actors.engines.reward_model_engine import Config, RewardModelEngine
from rewards.judges.judge import question
from rewards.judges.reward_model import RewardModelJudge

TEXTS = ("a key.", "It's a wall.", "You die, after a long fight with the wall.", "x")


def chats(*texts):
    return [[{"role": "user", "content": "what happened?"}, {"role": "assistant", "content": text}] for text in texts]


def engine(directory, **config):
    return RewardModelEngine(Config(model=str(directory), device="cpu", **config))


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 3])
def test_logits_are_the_models_own(save_reward_model, outputs):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    directory = save_reward_model(outputs)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory)
    found = engine(directory).score_texts(chats(*TEXTS))
    for row, chat in zip(found.logits, chats(*TEXTS), strict=True):
        ids = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True)
        with torch.inference_mode():
            expected = model(**ids).logits[0].double().numpy()
        np.testing.assert_allclose(row, expected, atol=1e-5)
    assert found.logits.shape == (len(TEXTS), outputs) and (found.tokens > 10).all()


@pytest.mark.slow
def test_a_model_without_padding_reads_texts_to_their_end_though_the_tokenizer_ends_and_fills_with_one_token(
    save_reward_model, tmp_path
):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(save_reward_model())
    model = AutoModelForSequenceClassification.from_pretrained(save_reward_model())
    tokenizer.pad_token, model.config.pad_token_id = tokenizer.eos_token, None
    tokenizer.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    found = engine(tmp_path).score_texts(chats(*TEXTS))
    for row, chat in zip(found.logits, chats(*TEXTS), strict=True):
        ids = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True)["input_ids"]
        assert ids[0, -1] == tokenizer.pad_token_id
        with torch.inference_mode():
            np.testing.assert_allclose(row, model(input_ids=ids).logits[0].double().numpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("max_batch_tokens", [1, 90, 8192])
def test_the_budget_of_a_batch_changes_neither_logits_nor_their_order(save_reward_model, max_batch_tokens):
    directory = save_reward_model()
    expected = engine(directory).score_texts(chats(*TEXTS)).logits
    found = engine(directory, max_batch_tokens=max_batch_tokens).score_texts(chats(*TEXTS)).logits
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_text_that_is_too_long_is_marked_and_the_others_are_scored(save_reward_model):
    found = engine(save_reward_model(), max_prompt_tokens=60).score_texts(chats("a", "long " * 50, "b"))
    assert found.too_long.tolist() == [False, True, False]
    assert np.isnan(found.logits[1]).all() and np.isfinite(found.logits[[0, 2]]).all()


def test_a_tokenizer_without_a_chat_template_reads_plain_text(save_reward_model):
    found = engine(save_reward_model(template=None)).score_texts(chats(*TEXTS))
    assert np.isfinite(found.logits).all()


def test_the_fingerprint_changes_with_the_weights(save_reward_model):
    one, same, other = (
        engine(directory) for directory in (*[save_reward_model(seed=0)] * 2, save_reward_model(seed=1))
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_a_model_that_is_not_there_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match="id of a sequence classifier"):
        engine(tmp_path / "nothing")


def test_a_reward_model_judges_pairs_and_groups(save_reward_model):
    judge = RewardModelJudge(engine(save_reward_model()))
    pair, turned, group = asyncio.run(
        judge.judge([question("pair", TEXTS[:2]), question("pair", TEXTS[1::-1]), question("group", TEXTS)])
    )
    assert pair.value == pytest.approx(1 - turned.value, abs=1e-5)
    assert len(group.scores) == 4 and (pair.value > 0.5) == (group.scores[0] > group.scores[1])
    asyncio.run(judge.check())
