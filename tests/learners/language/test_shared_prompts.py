import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.language import reward_model_learner
from learners.language.kl import Kl
from learners.language.learner import Config, LanguageLearner
from learners.language.preference_learner import Config as PreferenceConfig
from learners.language.preference_learner import PreferenceLearner
from learners.language.shared_attention import share_prompts
from learners.language.shared_prompts import lay_out_shared
from learners.language.token_batch import build_token_batch


def sequences(*rows):
    """Ids, lengths and mask of (prompt, answer) pairs."""
    ids = torch.tensor([token for prompt, answer in rows for token in (*prompt, *answer)])
    own = torch.tensor([mine for prompt, answer in rows for mine in [False] * len(prompt) + [True] * len(answer)])
    return ids, torch.tensor([len(prompt) + len(answer) for prompt, answer in rows]), own


def test_a_prompt_that_several_have_stands_once_and_each_answer_behind_it():
    ids, lengths, own = sequences(([7, 8], [1, 2, 3]), ([9], [4]), ([7, 8], [5]), ([7, 8], []))
    row, positions, place, segments = lay_out_shared(ids, lengths, own)
    assert row[0].tolist() == [7, 8, 9, 4, 1, 2, 3, 5] and positions[0].tolist() == [0, 1, 0, 1, 2, 3, 4, 2]
    assert place.tolist() == [0, 1, 4, 5, 6, 2, 3, 0, 1, 7, 0, 1]
    assert segments.roots.full and segments.roots.at.tolist() == [[0, 1], [2, 3]]
    assert segments.branches.at.tolist() == [[0, 1, 2], [3, 3, 3]] and segments.branches.back.tolist() == [0, 1, 2, 3]
    assert segments.parent.tolist() == [0, 0]
    assert segments.mask[0, 0].int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]


def test_without_a_prompt_that_two_have_there_are_no_branches():
    _, _, place, segments = lay_out_shared(*sequences(([1], [2, 3]), ([2], [3])))
    assert place.tolist() == [0, 1, 2, 3, 4] and segments.branches is None and not len(segments.mask)


@pytest.mark.slow
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([(1,), (1, 2), (3, 1)]), st.lists(st.integers(1, 9), max_size=5)), min_size=1
    )
)
def test_every_token_is_found_with_its_position_and_no_prompt_is_there_twice(rows):
    ids, lengths, own = sequences(*rows)
    row, positions, place, segments = lay_out_shared(ids, lengths, own)
    assert row[0][place].tolist() == ids.tolist()
    assert positions[0][place].tolist() == np.concatenate([np.arange(n) for n in lengths.tolist()]).tolist()
    prompts = {tuple(prompt) for prompt, _ in rows}
    assert row.numel() == sum(map(len, prompts)) + sum(len(answer) for _, answer in rows)
    assert len(segments.roots.back) + (0 if segments.branches is None else len(segments.branches.back)) == row.numel()


def test_pairs_of_answers_to_one_prompt_have_the_same_loss_whichever_way_they_lie(make_model, make_batch):
    batch = make_batch(alike=(0, 1))
    told = []
    for style in ("padded", "shared"):
        learner = PreferenceLearner(make_model(), PreferenceConfig(style=style), reference=make_model(1))
        told.append(learner.update(batch))
    assert told[0] == pytest.approx(told[1], rel=1e-4, abs=1e-5)


def test_whole_distributions_are_compared_with_a_reference_on_the_same_row(make_model, make_batch):
    batch = make_batch(advantages=[1.0, -1.0, 0.5, 0.5], alike=(0, 1, 2))
    kl = Kl(estimator="forward", to="reference", coefficient=0.1)
    told = [
        LanguageLearner(make_model(), Config(style=style, kl=kl), reference=make_model(1)).update(batch)
        for style in ("padded", "shared")
    ]
    assert told[0]["kl"] == pytest.approx(told[1]["kl"], rel=1e-4) and told[0]["kl"] > 0


def test_a_model_that_was_given_our_attention_still_heeds_a_mask(make_model):
    model, ids = make_model(), torch.tensor([[0, 0, 3, 4], [1, 2, 3, 4]])
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    with torch.no_grad():
        before = model(input_ids=ids, attention_mask=mask).logits
        assert share_prompts(model) and share_prompts(model)
        torch.testing.assert_close(model(input_ids=ids, attention_mask=mask).logits, before)
        assert (model(input_ids=ids).logits - before)[0].abs().max() > 1e-3


def test_a_model_that_sees_a_window_alone_is_padded_and_refused_where_it_is_asked_for(make_model, make_classifier):
    from transformers import MistralConfig, MistralForCausalLM

    settings = make_model().config.to_dict()
    sizes = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
    )
    model = MistralForCausalLM(MistralConfig(**{name: settings[name] for name in sizes}, sliding_window=4))
    assert not share_prompts(model) and model.config._attn_implementation == "sdpa"
    assert LanguageLearner(model).config.style == "padded"
    with pytest.raises(ValueError, match="got style='shared' and MistralForCausalLM"):
        LanguageLearner(model, Config(style="shared"))
    with pytest.raises(ValueError, match="style='shared' for a reward model"):
        reward_model_learner.RewardModelLearner(make_classifier(), reward_model_learner.Config(style="shared"))


def test_answers_to_one_prompt_are_scored_as_each_would_be_alone(make_model):
    model = make_model()
    rows = [([1, 5, 9], [2, 3]), ([1, 5, 9], [2, 4, 6, 8]), ([1, 5, 9], []), ([4], [4])]
    ids, lengths, own = sequences(*rows)
    batch = build_token_batch(
        [one.tolist() for one in ids.split(lengths.tolist())], [one.numpy() for one in own.split(lengths.tolist())]
    )
    learner = LanguageLearner(model)
    assert learner.config.style == "shared"
    found = learner.log_probs(batch).split(lengths.tolist())
    for (prompt, answer), mine in zip(rows, found, strict=True):
        with torch.no_grad():
            log_p = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0].log_softmax(-1)
        expected = [float(log_p[len(prompt) + k - 1, token]) for k, token in enumerate(answer)]
        assert mine[len(prompt) :].tolist() == pytest.approx(expected, abs=1e-5)
