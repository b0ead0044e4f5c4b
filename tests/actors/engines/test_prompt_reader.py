"""Prompts that begin alike are read as if each had been read alone, by our decoder and by the model's own layers."""

import pytest
import torch

from actors.engines import decoder
from actors.engines.decoder import decoder_of
from actors.engines.prompt_reader import DecoderReader, ModelReader
from benchmarks.apparatus.random_chat_model import small_model

PREFIX = [7, 3, 9, 4, 4, 8]
RESTS = [[5], [2, 6, 11, 30], [9, 9], [12, 13, 14, 15, 16, 17, 18], [5, 6]]


def reader(family, model):
    return ModelReader(model, torch.device("cpu")) if family == "gpt2" else DecoderReader(decoder_of(model))


def alone(model, prompts):
    """Last logits of whole forward passes, one for each prompt."""
    with torch.inference_mode():
        return torch.stack([model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1] for ids in prompts])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
@torch.inference_mode()
def test_prompts_of_many_lengths_have_the_logits_that_each_has_alone(family):
    model = small_model(family)
    one = reader(family, model)
    for rests in (RESTS[:2], RESTS, RESTS[:1], RESTS[1:] * 9):  # buffers grow, and shorter ones are written over
        assert one.begin(PREFIX) == len(PREFIX)
        expected = alone(model, [PREFIX + rest for rest in rests])
        torch.testing.assert_close(one.last_logits(rests), expected, atol=1e-5, rtol=1e-5)
        assert one.begin([]) == 0
        torch.testing.assert_close(one.last_logits(rests), alone(model, rests), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
@torch.inference_mode()
def test_rows_that_fill_up_a_product_change_nothing(family, monkeypatch):
    model = small_model(family)
    monkeypatch.setattr(decoder, "whole_rows", lambda rows: rows + 5)
    one = DecoderReader(decoder_of(model))
    one.begin(PREFIX)
    expected = alone(model, [PREFIX + rest for rest in RESTS])
    torch.testing.assert_close(one.last_logits(RESTS), expected, atol=1e-5, rtol=1e-5)
    one_token = [rest[:1] for rest in RESTS]
    expected = alone(model, [PREFIX + rest for rest in one_token])
    torch.testing.assert_close(one.last_logits(one_token), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@torch.inference_mode()
def test_what_is_given_depends_on_what_is_read_and_not_on_what_was_read_before(family):
    model = small_model(family)
    fresh, used = reader(family, model), reader(family, model)
    for prefix in (PREFIX[:3], [*PREFIX, 1, 2], PREFIX[1:]):
        used.begin(prefix)
        used.last_logits(RESTS * 3)
    fresh.begin(PREFIX)
    used.begin(PREFIX)
    assert torch.equal(fresh.last_logits(RESTS), used.last_logits(RESTS))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@torch.inference_mode()
def test_a_beginning_is_read_once_until_the_weights_are_others(family):
    model, other = small_model(family), small_model(family, seed=1)
    one = reader(family, model)
    one.begin(PREFIX)
    one.last_logits(RESTS)
    model.load_state_dict(other.state_dict())
    expected = alone(other, [PREFIX + rest for rest in RESTS])
    one.begin(PREFIX)
    assert not torch.allclose(one.last_logits(RESTS), expected, atol=1e-3), "it was not read again"
    one.forget()
    one.begin(PREFIX)
    torch.testing.assert_close(one.last_logits(RESTS), expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_who_writes_with_the_decoder_is_not_disturbed():
    other = decoder_of(small_model("llama"))
    other.reserve(2, 4)
    other.memory.fill_(3.0)
    one = DecoderReader(other)
    one.begin(PREFIX)
    one.last_logits(RESTS)
    assert (other.memory == 3.0).all()


@torch.inference_mode()
def test_the_logits_that_are_wanted_may_lie_before_the_last_token_and_rows_anywhere():
    one, ids = decoder_of(small_model("qwen3")), torch.tensor([[4, 5, 6, 7], [8, 9, 1, 2]])
    one.reserve(3, 4)
    rows, ends = torch.tensor([2, 0]), torch.tensor([1, 3])
    positions = torch.arange(4)[None].expand(2, -1)
    expected = alone(small_model("qwen3"), [[4, 5], [8, 9, 1, 2]])
    for where in (0, positions):
        torch.testing.assert_close(one.extend(ids, where, rows, 4, ends=ends), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "qwen3"])
@torch.inference_mode()
def test_prompts_that_begin_like_some_of_the_last_reading_have_the_logits_that_each_has_alone(family):
    model = small_model(family)
    one = DecoderReader(decoder_of(model))
    firsts = [[5, 6, 7, 8, 9], [3, 3, 3, 3], [4, 9]]
    others = {0: [5, 6, 7, 1], 1: [3, 3, 2, 11, 12, 13], 2: [4, 2, 9, 9, 9, 9, 9, 9], 3: [5, 6, 7], 4: [3, 3, 3, 1]}
    like, kept = [0, 1, 2, 0, 1], [3, 2, 1, 2, 3]
    rests = [others[k][begin:] for k, begin in enumerate(kept)]
    for prefix in ([], PREFIX, PREFIX):  # rows beyond those of the reading are copies, and hold the beginning then
        one.begin(prefix)
        one.last_logits(firsts)
        expected = alone(model, [prefix + ids for ids in others.values()])
        torch.testing.assert_close(one.other_logits(like, kept, rests), expected, atol=1e-5, rtol=1e-5)
        many = [[9], *RESTS] * 3
        torch.testing.assert_close(
            one.last_logits(many), alone(model, [prefix + r for r in many]), atol=1e-5, rtol=1e-5
        )


def test_a_model_without_a_decoder_of_ours_reads_whole_prompts():
    one = ModelReader(small_model("gpt2"), torch.device("cpu"))
    assert one.pass_tokens is None
    with pytest.raises(NotImplementedError, match="whole prompts"):
        one.other_logits([0], [1], [[2]])


def test_a_pass_through_a_small_model_takes_as_long_to_begin_as_many_tokens():
    model = small_model("llama")
    layer = sum(one.numel() for one in model.model.layers[0].parameters())
    assert DecoderReader(decoder_of(model)).pass_tokens == 3 * 10**6 // layer
