"""Real vLLM, in this process. `make vllm` runs these in an environment that has it (docs/judges.md)."""

import importlib.util
import json

import numpy as np
import pytest
import torch

from actors.engines.transformers_engine import Config as TransformersConfig
from actors.engines.transformers_engine import TransformersEngine
from actors.engines.vllm_engine import Config, VllmEngine, VllmRewardModel, until_read
from actors.language.generation import Sampling
from actors.language.sampling import filtered_log_probs

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # vLLM's own warnings are not ours to mend
]
needs_vllm = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None,
    reason="vLLM is not installed here: `make vllm` runs this in an environment of its own",
)

SCHEMA = {
    "type": "object",
    "properties": {"done": {"type": "boolean"}, "note": {"type": "string", "maxLength": 12}},
    "required": ["done", "note"],
    "additionalProperties": False,
}


def chats(*texts):
    return [[{"role": "system", "content": "You judge."}, {"role": "user", "content": text}] for text in texts]


@pytest.fixture(scope="module")
def engine(chat_model):
    return VllmEngine(Config(model=str(chat_model), dtype="float32", compiled=False, max_model_len=512, cache_mb=64))


@pytest.mark.parametrize(
    ("ids", "padding", "expected"),
    [
        ([5, 6, 2], 2, [5, 6]),  # as Qwen2 ends a text and pads
        ([5, 2, 6, 2, 2], 2, [5, 2, 6]),
        ([5, 6, 2], None, [5, 6, 2]),
        ([2, 2], 2, [2]),
        ([], 2, []),
    ],
)
def test_a_reward_model_is_read_where_transformers_reads_it(ids, padding, expected):
    assert until_read(ids, padding) == expected


@needs_vllm
def test_choices_are_scored_as_transformers_scores_them(engine, chat_model):
    asked = chats("a key.", "It's a wall.", "You die...", "a long way down the stairs")
    found = engine.score_choices(asked, ("yes", "no"))
    expected = TransformersEngine(TransformersConfig(model=str(chat_model), device="cpu")).score_choices(
        asked, ("yes", "no")
    )
    np.testing.assert_allclose(np.exp(found.log_probs).sum(-1), 1.0, atol=1e-5)
    np.testing.assert_allclose(found.log_probs, expected.log_probs, atol=2e-3)
    assert found.tokens.tolist() == expected.tokens.tolist() and not found.too_long.any()


@needs_vllm
def test_a_schema_binds_what_is_written(engine):
    found = engine.write(chats("one", "two"), max_tokens=60, schema=SCHEMA)
    for text in found.texts:
        assert set(json.loads(text)) == {"done", "note"}


@needs_vllm
def test_a_prompt_that_is_too_long_is_marked_and_the_others_are_scored(engine):
    found = engine.score_choices(chats("a", "b" * 2000, "c"), ("yes", "no"))
    assert found.too_long.tolist() == [False, True, False]
    assert np.isnan(found.log_probs[1]).all() and np.isfinite(found.log_probs[[0, 2]]).all()


@needs_vllm
def test_a_rubric_is_judged_in_vllm(engine):
    import asyncio

    from rewards.judges.chat_model import LocalModel
    from rewards.judges.judge import question
    from rewards.judges.rubric import Parts, rubric_class

    rubric = rubric_class("graded").model_validate({"id": "g", "version": 1, "kind": "graded", "levels": 5})
    judge = rubric.build(Parts(LocalModel(engine)))
    answers = asyncio.run(judge.judge([question("response", [text]) for text in ("one", "two")]))
    assert all(0 <= answer.value <= 1 for answer in answers)


def whole_pass(model, prompt, reply):
    """Log-probabilities of a reply by one forward pass of transformers."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt + reply])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(reply)[:, None])[:, 0].numpy()


@needs_vllm
def test_replies_carry_their_log_probs_and_new_weights_in_mid_generation_write_as_if_they_had_read_it_all(
    engine, chat_model
):
    from transformers import AutoModelForCausalLM

    old, new = (AutoModelForCausalLM.from_pretrained(chat_model).eval() for _ in range(2))
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in new.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    prompts = engine.chats.ids(chats("a key.", "It's a wall.", "You die...", "a long way down the stairs"))
    given = iter([None] * 6 + [(new.state_dict(), 9)])
    replies = engine.generate(prompts, Sampling(24), range(4), poll=lambda: next(given, None))
    assert {0, 9} == {version for reply in replies for version in reply.versions}
    for prompt, reply in zip(prompts, replies, strict=True):
        before, after = (whole_pass(model, prompt, reply.token_ids) for model in (old, new))
        expected = np.where(np.array(reply.versions) == 9, after, before)
        np.testing.assert_allclose(reply.log_probs, expected, atol=2e-3)
    with pytest.raises(ValueError, match="expected 261, the vocabulary of the engine"):
        engine.load_weights({"model.embed_tokens.weight": torch.zeros(7, 64)}, 10)
    engine.load_weights(old.state_dict(), 0)


@needs_vllm
def test_log_probs_are_those_of_what_was_sampled_from_and_stops_budgets_and_contexts_end_replies(engine, chat_model):
    prompts = engine.chats.ids(chats(*(f"question {i}" for i in range(8))))
    narrow = engine.generate(prompts, Sampling(10, temperature=0.7, top_p=0.9, top_k=5), range(8))
    there = TransformersEngine(TransformersConfig(model=str(chat_model), device="cpu"))
    for prompt, reply in zip(prompts, narrow, strict=True):
        with torch.inference_mode():
            logits = there._model(input_ids=torch.tensor([prompt + reply.token_ids])).logits[0]
        expected = filtered_log_probs(logits, 0.7, 5, 0.9)[len(prompt) - 1 : -1]
        expected = expected.gather(-1, torch.tensor(reply.token_ids)[:, None])[:, 0]
        np.testing.assert_allclose(reply.log_probs, expected, atol=2e-3)
    greedy = engine.generate(prompts[:2], Sampling(5, temperature=0), [0, 0])
    assert greedy[0].log_probs == [0.0] * len(greedy[0].log_probs)
    long = prompts[0] * 40
    full, near = engine.generate([long, long[:510]], Sampling(9), [1, 2])
    assert full == ([], [], [], "length") and len(near.token_ids) <= 2
    text = engine.chats.tokenizer.decode(engine.generate(prompts[:1], Sampling(40), [3])[0].token_ids)
    stopped = engine.generate(prompts[:1], Sampling(40, stop=(text[5:8],)), [3])[0]
    assert stopped.finish == "stop" and text[5:8] in engine.chats.tokenizer.decode(stopped.token_ids)
    ticket = engine.submit(prompts[0], Sampling(40), 0)
    engine.step()
    assert dict(engine.abort([ticket]))[ticket].finish == "aborted" and engine.step() == []


@needs_vllm
def test_reward_models_give_the_logits_that_transformers_gives(save_reward_model):
    from actors.engines.reward_model_engine import Config as RewardModelConfig
    from actors.engines.reward_model_engine import RewardModelEngine

    directory = str(save_reward_model(outputs=1))
    asked = chats("a key.", "It's a wall.")
    expected = RewardModelEngine(RewardModelConfig(model=directory, device="cpu")).score_texts(asked)
    found = VllmRewardModel(Config(model=directory, dtype="float32", compiled=False, max_model_len=512, cache_mb=64))
    np.testing.assert_allclose(found.score_texts(asked).logits, expected.logits, atol=2e-3)
