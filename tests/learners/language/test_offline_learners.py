"""Supervised fine-tuning, preferences and reward models: the learners around the losses."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from learners.language import preference_learner, reward_model_learner, sft_learner
from learners.language.aggregation import Aggregation
from learners.language.learner import LanguageLearner
from learners.language.preference_learner import PreferenceLearner, mismatched
from learners.language.reward_model_learner import RewardModelLearner
from learners.language.sft_learner import SftLearner
from learners.language.token_batch import build_token_batch


def grads(model):
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_fine_tuning_is_the_mean_negative_log_probability_however_it_is_dealt(make_model, make_batch):
    batch = make_batch()
    own = LanguageLearner(make_model()).log_probs(batch)[batch.loss_mask]
    found = []
    for tokens in (1000, 14):
        model = make_model()
        metrics = SftLearner(model, sft_learner.Config(micro_batch_tokens=tokens)).update(batch)
        assert metrics["loss"] == pytest.approx(-own.mean().item(), rel=1e-5)
        assert metrics["perplexity"] == pytest.approx(math.exp(-own.mean().item()), rel=1e-4)
        found.append(grads(model))
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)


@pytest.mark.slow
def test_fine_tuning_learns_only_its_own_tokens_and_weighs_them(make_model, make_batch):
    batch = make_batch(weights=[1.0, 0.0, 2.0, 1.0])
    learner = SftLearner(make_model(), sft_learner.Config(learning_rate=3e-3, aggregation=Aggregation(by="sequence")))
    losses = [learner.update(batch)["loss"] for _ in range(30)]
    assert losses[-1] < losses[0] - 1
    before = LanguageLearner(make_model()).log_probs(batch)
    change = LanguageLearner(learner.model).log_probs(batch) - before
    of_row = change.split([5, 9, 7, 12])
    assert of_row[2].sum() > 1 > of_row[1].sum()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["dpo", "hinge", "ipo", "simpo", "cpo", "orpo"])
def test_each_loss_makes_chosen_answers_win_however_pairs_are_dealt(make_model, make_batch, loss):
    batch = make_batch()
    settings = {"loss": loss, "learning_rate": 3e-3, "beta": 0.5}
    found = []
    for tokens in (1000, 14):
        model = make_model()
        config = preference_learner.Config(**settings, micro_batch_tokens=tokens)
        learner = PreferenceLearner(model, config, reference=make_model())
        first = learner.update(batch)
        found.append((first["loss"], grads(model)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-6, rtol=1e-4)
    last = [learner.update(batch) for _ in range(15)][-1]
    assert last["loss"] < first["loss"] and last["margin"] > first["margin"] and last["accuracy"] == 1
    assert last["pairs"] == 2


def test_dpo_starts_at_log_two_and_asks_for_a_reference(make_model, make_batch):
    learner = PreferenceLearner(make_model(), reference=make_model())
    assert learner.update(make_batch())["loss"] == pytest.approx(math.log(2), abs=1e-5)
    with pytest.raises(ValueError, match="and no reference"):
        PreferenceLearner(make_model()).update(make_batch())
    with pytest.raises(ValueError, match="expected pairs"):
        learner.update(make_batch((5, 9, 7)))


def test_a_pair_of_weight_zero_is_as_if_it_had_never_been(make_model, make_batch):
    found = []
    for batch in (
        make_batch(facts={"weights": [1, 1, 0, 0]}),
        make_batch().select(torch.tensor([0, 1])),
    ):
        model = make_model()
        PreferenceLearner(model, preference_learner.Config(loss="simpo")).update(batch)
        found.append(grads(model))
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)


@pytest.mark.slow
def test_liked_answers_become_likelier_and_others_less_so(make_model, make_batch):
    labels = np.array([1.0, 0, 1, 0])
    batch = make_batch(facts={"labels": labels})
    config = preference_learner.Config(loss="kto", learning_rate=3e-3, beta=0.5, micro_batch_tokens=14)
    learner = PreferenceLearner(make_model(), config, reference=make_model())
    metrics = [learner.update(batch) for _ in range(15)]
    assert metrics[0]["loss"] == pytest.approx(0.5, abs=1e-5) and metrics[-1]["loss"] < 0.45
    assert metrics[-1]["accuracy"] == 1 and metrics[0]["baseline"] == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match="without labels"):
        learner.update(make_batch())


@pytest.mark.slow
def test_the_baseline_of_liked_answers_is_of_those_that_count_behind_prompts_of_others(make_model, make_batch):
    batch = make_batch(facts={"labels": [1.0, 0, 1, 0], "weights": [1.0, 1, 0, 1]})
    ids = batch.token_ids.clone()
    ids[14:21] = 1 + ids[14:21] % 23  # all of the third, which counts nothing
    other = dataclasses.replace(batch, token_ids=ids)

    def baselines(*batches):
        """Of a policy and its reference, and the other way round: below 0 they would all be 0."""
        config = preference_learner.Config(loss="kto")
        return [
            [PreferenceLearner(make_model(a), config, make_model(b)).update(one)["baseline"] for one in batches]
            for a, b in ((0, 1), (1, 0))
        ]

    found = baselines(batch, other)
    assert all(one == pytest.approx(another, rel=1e-4) for one, another in found) and max(map(max, found)) > 0
    assert baselines(batch.select(torch.tensor([0]))) == [[0], [0]]


def test_mismatched_answers_stand_behind_other_prompts():
    batch = build_token_batch(
        [[1, 2, 3], [4, 5, 6, 7], [8, 9]], [[False, False, True], [False, True, True, True], [False, True]]
    )
    found = mismatched(batch)
    assert [ids.tolist() for ids in found.token_ids.split(found.lengths.tolist())] == [[1, 2, 5, 6, 7], [4, 9], [8, 3]]
    assert found.loss_mask.tolist() == [False, False, True, True, True, False, True, False, True]


def test_a_reward_model_scores_the_last_token_as_its_own_forward_does(make_classifier, make_batch):
    model, batch = make_classifier(), make_batch()
    for style in ("padded", "packed"):
        config = reward_model_learner.Config(style=style, micro_batch_tokens=30)
        found = RewardModelLearner(model, config).rewards(batch)
        with torch.no_grad():
            expected = [model(input_ids=ids[None]).logits.item() for ids in batch.token_ids.split([5, 9, 7, 12])]
        assert found.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("padding", [0, 7, None])
def test_a_reward_model_that_ends_texts_with_its_padding_is_read_where_its_own_forward_reads_it(
    make_classifier, padding
):
    model = make_classifier()
    model.config.pad_token_id = padding
    texts = [[3, 7, 5], [4, 7, 9, 7], [2, 7, 7], [7, 7], [0, 0, 8], [5, 0]]
    batch = build_token_batch(texts, [[False] * len(text) for text in texts])
    with torch.no_grad():
        expected = [model(input_ids=torch.tensor([text])).logits.item() for text in texts]
    for style in ("padded", "packed"):
        learner = RewardModelLearner(model, reward_model_learner.Config(style=style))
        assert learner.rewards(batch).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_a_reward_model_learns_who_was_preferred_however_pairs_are_dealt(make_classifier, make_batch, tmp_path):
    from transformers import AutoModelForSequenceClassification

    batch = make_batch(facts={"margins": [0.5, 0, 0, 0]})
    found = []
    for tokens in (1000, 14):
        model = make_classifier()
        config = reward_model_learner.Config(learning_rate=3e-3, micro_batch_tokens=tokens, centring=0.01)
        learner = RewardModelLearner(model, config)
        first = learner.update(batch)
        found.append(grads(model))
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-4)
    last = [learner.update(batch) for _ in range(20)][-1]
    assert last["loss"] < first["loss"] / 2 and last["accuracy"] == 1 and last["margin"] > 0.5
    learner.save(tmp_path / "model")
    read = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    torch.testing.assert_close(RewardModelLearner(read).rewards(batch), learner.rewards(batch))
    again = RewardModelLearner(make_classifier(1), config)
    again.load_state_dict(learner.state_dict())
    torch.testing.assert_close(again.rewards(batch), learner.rewards(batch))


@pytest.mark.slow
def test_strengths_as_weights_are_pairs_that_stand_there_more_often(make_classifier, make_batch):
    batch, found = make_batch(), []
    for learnt in (
        batch.with_facts(weights=torch.tensor([2.0, 2, 1, 1])),
        batch.select(torch.tensor([0, 1, 0, 1, 2, 3])),
    ):
        model = make_classifier()
        RewardModelLearner(model).update(learnt)
        found.append(grads(model))
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_a_pair_of_label_0_is_the_pair_turned_round_and_what_does_not_count_needs_no_label(make_classifier, make_batch):
    batch, found = make_batch(facts={"margins": [0.5, 0.5, math.nan, math.nan]}), []
    weights = torch.tensor([1.0, 1, 0, 0])
    turned = batch.select(torch.tensor([1, 0, 3, 2]))
    labels = torch.tensor([0.0, 0, math.nan, math.nan])
    for learnt in (batch.with_facts(soft_labels=labels), turned.with_facts(margins=-turned.fact("margins"))):
        model = make_classifier()
        RewardModelLearner(model).update(learnt.with_facts(weights=weights))
        found.append(grads(model))
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_a_reward_model_learns_scores(make_classifier, make_batch):
    scores = [1.0, -1.0, 0.5, 0.0]
    batch = make_batch(facts={"scores": scores})
    learner = RewardModelLearner(make_classifier(), reward_model_learner.Config(loss="regression", learning_rate=1e-2))
    for _ in range(60):
        learner.update(batch)
    assert learner.rewards(batch).tolist() == pytest.approx(scores, abs=0.2)


def test_a_classifier_with_several_outputs_is_refused(make_classifier):
    with pytest.raises(ValueError, match="with 3 outputs; expected a sequence classifier with one output"):
        RewardModelLearner(make_classifier(num_labels=3))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sft", "dpo", "reward model"])
def test_a_batch_of_which_nothing_counts_moves_nothing(make_model, make_classifier, make_batch, kind):
    batch = make_batch()
    nothing = batch.with_facts(weights=torch.zeros(len(batch.lengths)))
    if kind == "sft":
        learner = SftLearner(make_model())
        nothing = batch.with_streams(weights=torch.zeros(len(batch.token_ids)))
    elif kind == "dpo":
        learner = PreferenceLearner(make_model(), reference=make_model())
    else:
        learner = RewardModelLearner(make_classifier())
    learner.update(batch)  # Adam has momentum from here on
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    metrics = learner.update(nothing)
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items() if name != "counters")
    assert metrics["version"] == 2 and math.isnan(metrics["loss"])
