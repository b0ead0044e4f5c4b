"""Sampling from a model of transformers: batches, caches, seeds, ends, new weights."""

import pytest
import torch

from actors.engines.decoder import LlamaDecoder, ModelDecoder, decoder_of
from actors.engines.text_generator import TextGenerator
from actors.language.generation import Sampling
from actors.language.sampling import filtered_log_probs
from benchmarks.apparatus.random_chat_model import CONTEXT, VOCABULARY, small_model

END = 1


def generator(family="llama", seed=0, ends=(END,), **more):
    return TextGenerator(small_model(family, seed), None, ends, CONTEXT, **more)


def prompts(n, seed=0):
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 20, (n,), generator=rng).tolist()
    return [torch.randint(2, VOCABULARY, (length,), generator=rng).tolist() for length in lengths]


def whole_pass(model, prompt, reply, sampling):
    """Log-probabilities of a reply by one forward pass over everything, without a cache."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt + reply]), use_cache=False).logits[0]
    log_probs = filtered_log_probs(logits, sampling.temperature, sampling.top_k, sampling.top_p)
    return log_probs[len(prompt) - 1 : -1].gather(-1, torch.tensor(reply)[:, None])[:, 0]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
@pytest.mark.parametrize("sampling", [Sampling(12), Sampling(12, 0.7, 0.9, 20)], ids=["plain", "filtered"])
def test_log_probs_are_those_of_a_whole_forward_pass(family, sampling):
    engine, asked = generator(family), prompts(7)
    replies = engine.generate(asked, sampling, range(7))
    model = small_model(family)
    for prompt, reply in zip(asked, replies, strict=True):
        expected = whole_pass(model, prompt, reply.token_ids, sampling)
        torch.testing.assert_close(torch.tensor(reply.log_probs), expected, atol=1e-5, rtol=1e-5)


def test_the_llama_family_is_run_directly_and_others_by_their_own_layers():
    kinds = {family: type(decoder_of(small_model(family))) for family in ("llama", "qwen3", "gpt2")}
    assert kinds == {"llama": LlamaDecoder, "qwen3": LlamaDecoder, "gpt2": ModelDecoder}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_batch_writes_what_each_prompt_gets_alone_in_any_order(family):
    ends, asked, seeds = range(6), prompts(9), [5, 3, 8, 1, 1, 2, 9, 7, 0]
    engine = generator(family, ends=ends)
    together = engine.generate(asked, Sampling(15), seeds)
    alone = [engine.generate([prompt], Sampling(15), [seed])[0] for prompt, seed in zip(asked, seeds, strict=True)]
    backwards = engine.generate(asked[::-1], Sampling(15), seeds[::-1])[::-1]
    few = generator(family, ends=ends, max_rows=2, prefill_tokens=8).generate(asked, Sampling(15), seeds)
    for other in (alone, backwards, few):
        assert [one.token_ids for one in other] == [one.token_ids for one in together]
    assert len({len(one.token_ids) for one in together}) > 1  # some left the batch before others


def test_members_of_a_group_share_their_prompt_and_differ_by_their_seed():
    prompt = prompts(1, seed=3)[0]
    replies = generator().generate([prompt] * 4 + [[4, 5]], Sampling(10), [1, 2, 3, 1, 1])
    assert replies[0] == replies[3] and replies[0].token_ids != replies[1].token_ids != replies[2].token_ids
    assert replies[4].token_ids == generator().generate([[4, 5]], Sampling(10), [1])[0].token_ids


def test_a_strided_engine_throws_away_what_lies_beyond_the_end():
    plain, strided = generator(), generator()
    strided._stride = 5
    asked = prompts(6)
    expected, found = (one.generate(asked, Sampling(13), range(6)) for one in (plain, strided))
    assert [one.token_ids for one in found] == [one.token_ids for one in expected]
    assert [one.finish for one in found] == [one.finish for one in expected]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_stride_does_not_leave_the_context_with_a_row_that_has_filled_it(family):
    plain, strided = generator(family, ends=()), generator(family, ends=())
    strided._stride = 8
    asked = [[7] * (CONTEXT - 3), [9, 4]]  # the second still has room for a whole stride
    expected, found = (one.generate(asked, Sampling(20), [1, 2]) for one in (plain, strided))
    assert [one.token_ids for one in found] == [one.token_ids for one in expected] and len(found[0].token_ids) == 3
    torch.testing.assert_close(found[1].log_probs, expected[1].log_probs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [LlamaDecoder, ModelDecoder])
@torch.inference_mode()
def test_a_model_with_a_window_sees_no_further_back_than_that(kind):
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    settings = {**sizes, "vocab_size": VOCABULARY, "num_key_value_heads": 2, "initializer_range": 0.3}
    model = MistralForCausalLM(MistralConfig(**settings, sliding_window=5)).eval()
    ids, positions, decoder = torch.randint(VOCABULARY, (2, 20)), torch.arange(20).expand(2, -1), kind(model)
    expected = model(input_ids=ids, use_cache=False).logits
    decoder.reserve(2, 20)
    found = decoder.extend(ids[:, :12], positions[:, :12], torch.arange(2), 12)
    torch.testing.assert_close(found, expected[:, 11], atol=1e-4, rtol=1e-4)
    for n in range(12, 20):
        found = decoder.extend(ids[:, n : n + 1], positions[:, n : n + 1], None, n + 1)
        torch.testing.assert_close(found, expected[:, n], atol=1e-4, rtol=1e-4)


def test_temperature_zero_is_greedy_and_certain():
    model, prompt = small_model(), prompts(1)[0]
    reply = generator(ends=()).generate([prompt], Sampling(6, temperature=0), [0])[0]
    tokens = list(prompt)
    with torch.inference_mode():
        for _ in range(6):
            tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    assert reply.token_ids == tokens[len(prompt) :] and reply.log_probs == [0.0] * 6


def test_replies_end_by_an_end_token_by_their_budget_or_by_the_context():
    replies = generator(ends=range(10)).generate([[7]] * 30, Sampling(8), range(30))
    assert {one.finish for one in replies} == {"stop", "length"}
    for one in replies:
        assert all(token >= 10 for token in one.token_ids[:-1])
        assert (one.token_ids[-1] < 10) == (one.finish == "stop")
        assert one.finish == "stop" or len(one.token_ids) == 8
    long, full = generator(ends=()).generate([[7] * (CONTEXT - 3), [7] * CONTEXT], Sampling(20), [0, 0])
    assert (len(long.token_ids), long.finish) == (3, "length")
    assert full == ([], [], [], "length")


def test_new_weights_in_mid_generation_write_as_if_they_had_read_it_all():
    asked, other = prompts(4), small_model(seed=1)
    given = iter([None, None, None, (other.state_dict(), 7)])
    replies = generator(ends=()).generate(asked, Sampling(8), range(4), poll=lambda: next(given, None))
    for prompt, reply in zip(asked, replies, strict=True):
        assert reply.versions == [0] * 3 + [7] * 5
        expected = torch.cat(
            [
                whole_pass(small_model(), prompt, reply.token_ids, Sampling(8))[:3],
                whole_pass(other, prompt, reply.token_ids, Sampling(8))[3:],
            ]
        )
        torch.testing.assert_close(torch.tensor(reply.log_probs), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_weights_that_are_loaded_write_like_the_model_they_come_from(family):
    engine, asked = generator(family), prompts(3)
    before = engine.generate(asked, Sampling(9), range(3))
    engine.load_weights(small_model(family, seed=1).state_dict(), 1)
    after = engine.generate(asked, Sampling(9), range(3))
    expected = generator(family, seed=1).generate(asked, Sampling(9), range(3))
    assert [one.token_ids for one in after] == [one.token_ids for one in expected]
    assert [one.token_ids for one in after] != [one.token_ids for one in before]
    assert engine.version == 1 and set(after[0].versions) == {1}


def test_tied_weights_may_be_named_once():
    engine, weights = generator("qwen3"), small_model("qwen3", seed=1).state_dict()
    del weights["lm_head.weight"]
    engine.load_weights(weights, 1)
    found = engine.generate([[5, 6]], Sampling(9), [0])
    assert found[0].token_ids == generator("qwen3", seed=1).generate([[5, 6]], Sampling(9), [0])[0].token_ids


def test_weights_of_another_vocabulary_or_model_are_refused_and_change_nothing():
    engine = generator()
    weights = small_model(seed=1).state_dict()
    wider = {**weights, "model.embed_tokens.weight": torch.zeros(VOCABULARY + 2, 32)}
    with pytest.raises(ValueError, match=f"knows 52 tokens; expected {VOCABULARY}"):
        engine.load_weights(wider, 1)
    with pytest.raises(ValueError, match=r"without \['model.norm.weight'\] and with \['norm'\]"):
        engine.load_weights({("norm" if "model.norm" in k else k): v for k, v in weights.items()}, 1)
    with pytest.raises(ValueError, match=r"of shape \[3\]; expected \[32\]"):
        engine.load_weights({**weights, "model.norm.weight": torch.zeros(3)}, 1)
    reply = engine.generate([[5, 6]], Sampling(9), [0])[0]
    assert engine.version == 0 and reply == generator().generate([[5, 6]], Sampling(9), [0])[0]


def test_what_is_given_up_leaves_the_others_as_they_are():
    engine, asked = generator(ends=(), max_rows=3), prompts(5)
    tickets = [engine.submit(prompt, Sampling(6), seed) for seed, prompt in enumerate(asked)]
    for _ in range(2):
        assert engine.step() == []
    gone = dict(engine.abort([tickets[0], tickets[4]]))
    assert {ticket: (len(one.token_ids), one.finish) for ticket, one in gone.items()} == {
        tickets[0]: (2, "aborted"),
        tickets[4]: (0, "aborted"),
    }
    done = {}
    while len(done) < 3:
        done.update(engine.step())
    expected = generator(ends=()).generate(asked, Sampling(6), range(5))
    assert [done[ticket].token_ids for ticket in tickets[1:4]] == [one.token_ids for one in expected[1:4]]
    assert engine.step() == []


def test_requests_join_those_that_are_under_way():
    engine, asked = generator(ends=()), prompts(3)
    first = engine.submit(asked[0], Sampling(20), 0)
    for _ in range(5):
        engine.step()
    second = engine.submit(asked[1], Sampling(4), 1)
    order = []
    while len(order) < 2:
        order += engine.step()
    assert [ticket for ticket, _ in order] == [second, first]
    expected = generator(ends=()).generate(asked[:2], Sampling(20), [0, 1])
    assert order[1][1].token_ids == expected[0].token_ids and order[0][1].token_ids == expected[1].token_ids[:4]


def test_a_prompt_from_another_tokenizer_is_refused():
    for prompt in ([], [VOCABULARY], [-1]):
        with pytest.raises(ValueError, match="use the tokenizer of the engine's model"):
            generator().submit(prompt, Sampling(3), 0)


def test_one_batch_has_one_temperature():
    engine = generator()
    engine.submit([5], Sampling(3), 0)
    engine.submit([5], Sampling(9, stop=()), 0)
    with pytest.raises(ValueError, match="let them finish first"):
        engine.submit([5], Sampling(3, temperature=0.5), 0)


def test_a_model_that_remembers_in_another_way_is_refused():
    model = small_model()
    model.config.layer_types = ["full_attention", "sliding_attention"]
    with pytest.raises(ValueError, match="use the vllm engine"):
        TextGenerator(model, None, [END], CONTEXT)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_conversation_that_goes_on_reads_only_what_is_new_and_writes_the_same(family):
    engine, plain = generator(family, ends=range(6)), generator(family, ends=range(6))
    read = []
    extend = engine._decoder.extend
    engine._decoder.extend = lambda ids, *more, **k: (read.append(tuple(ids.shape)), extend(ids, *more, **k))[1]
    chats, names = prompts(5), "abcde"
    for turn in range(3):
        asked = [list(chat) for chat in chats]
        read.clear()
        tickets = [engine.submit(one, Sampling(6), 10 * turn + i, names[i]) for i, one in enumerate(asked)]
        done = {}
        while len(done) < 5:
            done.update(engine.step())
        expected = plain.generate(asked, Sampling(6), [10 * turn + i for i in range(5)])
        found = [done[ticket] for ticket in tickets]
        assert [one.token_ids for one in found] == [one.token_ids for one in expected]
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(torch.tensor(one.log_probs), torch.tensor(other.log_probs), atol=1e-5, rtol=1e-5)
        if turn == 1:
            assert read[0] == (5, 4)  # the last token of a reply, and of what was heard all but the last
            engine.load_weights(small_model(family, seed=1).state_dict(), 1)
            plain.load_weights(small_model(family, seed=1).state_dict(), 1)
        chats = [[*one, *reply.token_ids, 7, 8, 9, 10] for one, reply in zip(asked, found, strict=True)]


def test_a_conversation_that_was_not_gone_on_with_makes_room_and_another_beginning_is_read_anew():
    engine = generator(ends=(), max_rows=2)
    for i in range(4):
        engine.submit([5 + i], Sampling(3), i, conversation=i)
    while engine._rows or engine._waiting:
        engine.step()
    assert sorted(engine._shelf._held) == [2, 3]
    ticket = engine.submit([9, 9, 9, 9, 9, 9], Sampling(3), 0, conversation=3)  # not what conversation 3 said
    done = {}
    while ticket not in done:
        done.update(engine.step())
    assert done[ticket].token_ids == generator(ends=()).generate([[9] * 6], Sampling(3), [0])[0].token_ids


def test_weights_that_are_not_numbers_are_named_and_the_next_ones_write_again():
    engine, weights = generator(), small_model().state_dict()
    engine.load_weights({**weights, "model.norm.weight": torch.full((32,), torch.nan)}, 4)
    with pytest.raises(FloatingPointError, match="weights of version 4"):
        engine.generate(prompts(3), Sampling(5), range(3))
    engine.load_weights(weights, 5)
    assert engine.generate([[5, 6]], Sampling(9), [0])[0].token_ids
