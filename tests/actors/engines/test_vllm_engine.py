"""Real vLLM, in this process. `make vllm` runs these in an environment that has it (docs/judges.md)."""

import importlib.util
import json

import numpy as np
import pytest

from actors.engines.transformers_engine import Config as TransformersConfig
from actors.engines.transformers_engine import TransformersEngine
from actors.engines.vllm_engine import Config, VllmEngine, VllmRewardModel

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


@needs_vllm
def test_reward_models_give_the_logits_that_transformers_gives(save_reward_model):
    from actors.engines.reward_model_engine import Config as RewardModelConfig
    from actors.engines.reward_model_engine import RewardModelEngine

    directory = str(save_reward_model(outputs=1))
    asked = chats("a key.", "It's a wall.")
    expected = RewardModelEngine(RewardModelConfig(model=directory, device="cpu")).score_texts(asked)
    found = VllmRewardModel(Config(model=directory, dtype="float32", compiled=False, max_model_len=512, cache_mb=64))
    np.testing.assert_allclose(found.score_texts(asked).logits, expected.logits, atol=2e-3)
