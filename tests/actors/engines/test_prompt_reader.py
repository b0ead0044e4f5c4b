"""Prompts that begin alike are read as if each had been read alone, by our decoder and by the model's own layers."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from actors.engines.decoder import decoder_of
from actors.engines.prompt_reader import DecoderReader, ModelReader

VOCABULARY, CONTEXT = 50, 48
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.3,
}
PREFIX = [7, 3, 9, 4, 4, 8]
RESTS = [[5], [2, 6, 11, 30], [9, 9], [12, 13, 14, 15, 16, 17, 18], [5, 6]]


def make(family, seed=0):
    torch.manual_seed(seed)
    if family == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(**SMALL, head_dim=16, tie_word_embeddings=True)).eval()
    if family == "gpt2":
        sizes = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
        return GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.3)).eval()
    return LlamaForCausalLM(LlamaConfig(**SMALL, attention_bias=True)).eval()


def reader(family, model):
    return ModelReader(model, torch.device("cpu")) if family == "gpt2" else DecoderReader(decoder_of(model))


def alone(model, prompts):
    """Last logits of whole forward passes, one for each prompt."""
    with torch.inference_mode():
        return torch.stack([model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1] for ids in prompts])


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
@torch.inference_mode()
def test_prompts_of_many_lengths_have_the_logits_that_each_has_alone(family):
    model = make(family)
    one = reader(family, model)
    for rests in (RESTS[:2], RESTS, RESTS[:1], RESTS[1:] * 9):  # buffers grow, and shorter ones are written over
        assert one.begin(PREFIX) == len(PREFIX)
        expected = alone(model, [PREFIX + rest for rest in rests])
        torch.testing.assert_close(one.last_logits(rests), expected, atol=1e-5, rtol=1e-5)
        assert one.begin([]) == 0
        torch.testing.assert_close(one.last_logits(rests), alone(model, rests), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@torch.inference_mode()
def test_what_is_given_depends_on_what_is_read_and_not_on_what_was_read_before(family):
    model = make(family)
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
    model, other = make(family), make(family, seed=1)
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
    decoder = decoder_of(make("llama"))
    decoder.reserve(2, 4)
    decoder.memory.fill_(3.0)
    one = DecoderReader(decoder)
    one.begin(PREFIX)
    one.last_logits(RESTS)
    assert (decoder.memory == 3.0).all()


@torch.inference_mode()
def test_the_logits_that_are_wanted_may_lie_before_the_last_token_and_rows_anywhere():
    decoder, ids = decoder_of(make("qwen3")), torch.tensor([[4, 5, 6, 7], [8, 9, 1, 2]])
    decoder.reserve(3, 4)
    rows, ends = torch.tensor([2, 0]), torch.tensor([1, 3])
    positions = torch.arange(4)[None].expand(2, -1)
    expected = alone(make("qwen3"), [[4, 5], [8, 9, 1, 2]])
    for where in (0, positions):
        torch.testing.assert_close(decoder.extend(ids, where, rows, 4, ends=ends), expected, atol=1e-5, rtol=1e-5)
