"""Replies that end by a text."""

import pytest
import torch
from transformers import AutoTokenizer

from actors.engines.stop_texts import StopTexts
from actors.engines.transformers_engine import Config, TransformersEngine
from actors.language.generation import Sampling


@pytest.fixture(scope="module")
def tokenizer(chat_model):
    return AutoTokenizer.from_pretrained(chat_model)


def ends_at(tokenizer, texts, written):
    """After how many tokens a reply ends; the prompt before it holds every stop text already."""
    stop = StopTexts(texts, tokenizer, len(tokenizer))
    prompt = tokenizer("".join(texts), add_special_tokens=False)["input_ids"]
    ids = tokenizer(written, add_special_tokens=False)["input_ids"]
    return next((n for n in range(1, len(ids) + 1) if stop.ends(prompt + ids[:n], len(prompt))), None)


def test_a_reply_ends_with_the_token_that_completes_a_text(tokenizer):
    assert ends_at(tokenizer, ("</a>",), "x</a>y") == 5
    assert ends_at(tokenizer, ("</a>", "\n"), "x\n</a>") == 2
    assert ends_at(tokenizer, ("</a>",), "/a> < /a></a") is None


def test_a_text_of_characters_of_several_bytes_is_found(tokenizer):
    assert ends_at(tokenizer, ("né",), "pour né.") == len("pour né".encode())


def test_a_text_that_begins_in_the_prompt_does_not_end_the_reply(tokenizer):
    stop = StopTexts(("ab",), tokenizer, len(tokenizer))
    a, b = tokenizer("ab", add_special_tokens=False)["input_ids"]
    assert not stop.ends([a, b], 1) and stop.ends([a, b], 0)


def test_a_policy_stops_at_a_text_and_keeps_it(chat_model):
    engine = TransformersEngine(Config(model=str(chat_model), device="cpu"))
    prompt = engine.chats.ids([[{"role": "user", "content": "?"}]])[0]
    free = engine.generate([prompt], Sampling(60), [3])[0]
    text = engine.chats.tokenizer.decode(free.token_ids)
    stop = text[8:10]
    bound = engine.generate([prompt], Sampling(60, stop=(stop,)), [3])[0]
    assert bound.finish == "stop" and bound.token_ids == free.token_ids[: len(bound.token_ids)]
    assert engine.chats.tokenizer.decode(bound.token_ids).endswith(stop)
    assert torch.tensor(bound.log_probs).allclose(torch.tensor(free.log_probs[: len(bound.token_ids)]))
