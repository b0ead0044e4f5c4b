from __future__ import annotations

import math

import numpy as np
import pytest
import safetensors.torch
import torch

from learners.descent import LearningDiverged
from learners.language.clipping import Clip
from learners.language.corrections import Correction
from learners.language.kl import Kl
from learners.language.learner import Config, LanguageLearner
from learners.language.lora import Config as LoraConfig
from learners.language.lora import adapters_off, add_adapters, merged_weights
from learners.language.policy_loss import PolicyLoss
from learners.language.presets import NAMES, preset
from learners.language.scorer import ValueHead
from learners.language.token_returns import Returns

ADVANTAGES = [1.0, -1.0, None, 0.5]


def distance(first, second) -> float:
    """Largest difference of two sets of weights."""
    return max((first[name] - second[name]).abs().max().item() for name in first)


def gradient(model, batch, **settings):
    """Gradient of one update, and its metrics."""
    learner = LanguageLearner(model, Config(learning_rate=1e-3, **settings))
    metrics = learner.update(batch)
    return torch.cat([p.grad.flatten() for p in model.parameters()]), metrics


def test_log_probs_are_those_of_the_model(make_model, make_batch):
    model, batch = make_model(), make_batch()
    found = LanguageLearner(model).log_probs(batch)
    for ids, mask, mine in zip(
        batch.token_ids.split([5, 9, 7, 12]),
        batch.loss_mask.split([5, 9, 7, 12]),
        found.split([5, 9, 7, 12]),
        strict=True,
    ):
        with torch.no_grad():
            log_p = model(input_ids=ids[None]).logits[0].log_softmax(-1)
        expected = log_p[:-1].gather(-1, ids[1:, None])[:, 0]
        assert mine[1:][mask[1:]].tolist() == pytest.approx(expected[mask[1:]].tolist(), abs=1e-5)
        assert (mine[~mask] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_neither_packing_nor_micro_batches_nor_chunks_change_a_gradient(make_model, make_batch, name):
    batch = make_batch(advantages=ADVANTAGES, alike=(0, 1, 3))
    # Far from the policy that sampled, so that ratios and clips are felt.
    settings = {"loss": preset(name, 12).loss, "anchor": "behaviour"}
    whole, told = gradient(make_model(), batch, **settings, style="padded")
    for style, tokens in (("padded", 14), ("packed", 14), ("packed", 1000), ("shared", 14), ("shared", 1000)):
        found, metrics = gradient(make_model(), batch, **settings, style=style, micro_batch_tokens=tokens)
        torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-4)
        assert metrics["loss"] == pytest.approx(told["loss"], abs=1e-5)
        assert metrics["ess"] == pytest.approx(told["ess"], abs=1e-5)


def test_logits_made_in_chunks_have_the_same_gradient(make_model, make_batch):
    batch = make_batch(advantages=ADVANTAGES)
    found = []
    for chunk in (1000, 3):
        model = make_model()
        learner = LanguageLearner(model, Config(entropy_coefficient=0.1))
        learner.scorer._chunk = chunk
        learner.update(batch)
        found.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)


def test_gradient_checkpointing_changes_nothing(make_model, make_batch):
    batch = make_batch(advantages=ADVANTAGES)
    plain, _ = gradient(make_model(attention_dropout=0.5), batch)
    model, calls = make_model(attention_dropout=0.5), []
    model.model.layers[0].mlp.register_forward_pre_hook(lambda *args: calls.append(1))
    learner = LanguageLearner(model, Config(learning_rate=1e-3, gradient_checkpointing=True))
    calls.clear()
    learner.update(batch)
    assert len(calls) == 2, "once forward, and once more on the way back"
    torch.testing.assert_close(torch.cat([p.grad.flatten() for p in model.parameters()]), plain)


def test_a_sequence_without_advantage_is_as_if_it_had_never_been(make_model, make_batch):
    batch = make_batch(advantages=ADVANTAGES)
    whole, metrics = gradient(make_model(), batch)
    without, _ = gradient(make_model(), batch.select(torch.tensor([0, 1, 3])))
    torch.testing.assert_close(whole, without, atol=1e-6, rtol=1e-5)
    assert metrics["null_tokens"] == 4 and metrics["own_tokens"] == 22


def test_where_nothing_is_known_nothing_moves(make_model, make_batch):
    learner = LanguageLearner(make_model(), Config(learning_rate=1e-2))
    learner.update(make_batch(advantages=ADVANTAGES))
    before = {name: value.clone() for name, value in learner.weights().items()}
    metrics = learner.update(make_batch(advantages=[None] * 4))
    assert math.isnan(metrics["loss"]) and metrics["null_tokens"] == metrics["own_tokens"]
    assert metrics["skipped_updates"] == 0 and metrics["version"] == 2
    assert distance(before, learner.weights()) == 0


def test_half_the_digits_give_nearly_the_same_gradient(make_model, make_batch):
    batch = make_batch(advantages=ADVANTAGES)
    plain, _ = gradient(make_model(), batch)
    model = make_model()
    learner = LanguageLearner(model, Config(learning_rate=1e-3))
    learner.scorer.autocast = torch.bfloat16  # as on CUDA
    learner.update(batch)
    found = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert found.dtype == torch.float32
    assert (found - plain).norm() < 0.05 * plain.norm()


def test_the_first_step_is_on_policy_and_says_how_far_the_engine_is(make_model, make_batch):
    batch = make_batch(advantages=ADVANTAGES)
    learner = LanguageLearner(make_model(), Config(learning_rate=1e-2))
    gap = (learner.log_probs(batch) - batch.streams["behaviour_log_probs"])[batch.weights > 0].abs()
    metrics = learner.update(batch)
    assert metrics["ratio_max"] == 1 and metrics["clip_fraction"] == 0
    assert metrics["ratio_mean"] == pytest.approx(1)
    assert metrics["engine_gap_mean"] == pytest.approx(gap.mean().item(), rel=1e-4)
    assert metrics["engine_gap_max"] == pytest.approx(gap.max().item(), rel=1e-4)
    assert 0 < metrics["ess"] < 1 and metrics["kl_to_behaviour"] > 0
    assert metrics["version"] == learner.version == 1 and metrics["policy_lag_max"] == 0
    assert learner.update(batch)["policy_lag_mean"] == 1


@pytest.mark.parametrize("given", ["advantages", "rewards"])
def test_a_batch_without_a_token_of_the_policys_own_moves_nothing_and_has_no_lag(make_model, make_batch, given):
    batch = make_batch(lengths=(2, 2), **{given: [1.0, -1.0]})
    learner = LanguageLearner(make_model(), Config())
    before = learner.weights()
    metrics = learner.update(batch)
    assert distance(before, learner.weights()) == 0 and metrics["own_tokens"] == 0
    assert math.isnan(metrics["policy_lag_mean"]) and metrics["policy_lag_max"] == -math.inf


def test_what_was_good_becomes_likelier(make_model, make_batch):
    batch = make_batch(advantages=[1.0, -1.0, 1.0, -1.0])
    learner = LanguageLearner(make_model(), Config(learning_rate=1e-3, loss=PolicyLoss(bound=Clip(high=5))))
    before = learner.log_probs(batch)
    for _ in range(10):
        learner.update(batch)
    change = (learner.log_probs(batch) - before) * batch.streams["advantages"]
    assert change[batch.loss_mask].mean() > 0.05


def test_later_passes_measure_from_where_the_update_began(make_model, make_batch):
    batch = make_batch(advantages=[1.0, -1.0, 1.0, -1.0])
    settings = {"learning_rate": 1e-2, "epochs": 3, "minibatches": 2}
    learner = LanguageLearner(make_model(), Config(**settings))
    metrics = learner.update(batch)
    assert metrics["ratio_max"] > 1 and metrics["clip_fraction"] > 0
    with pytest.raises(ValueError, match="got 1 sequences for 2 minibatches"):
        learner.update(batch.select(torch.tensor([0])))


def test_decoupled_ppo_is_ppo_of_the_whole_ratio_where_nothing_is_clipped(make_model, make_batch):
    batch = make_batch(advantages=ADVANTAGES)
    wide = PolicyLoss(bound=Clip(low=1, high=100))
    coupled, _ = gradient(make_model(), batch, loss=wide, anchor="behaviour")
    decoupled, metrics = gradient(make_model(), batch, loss=wide, corrections=(Correction(high=None),))
    torch.testing.assert_close(coupled, decoupled, atol=1e-6, rtol=1e-4)
    assert metrics["correction_mean"] != 1
    with pytest.raises(ValueError, match="the whole importance weight already"):
        Config(anchor="behaviour", corrections=(Correction(),)) and LanguageLearner(
            make_model(), Config(anchor="behaviour", corrections=(Correction(),))
        )


def test_vtrace_of_an_older_policy_needs_its_policy_gradient_weighted_too(make_model, make_batch):
    returns = Returns(estimator="vtrace", normalise=False)
    for corrections in ((), (Correction(how="reject"),)):
        with pytest.raises(ValueError, match=r"expected corrections=\(Correction\(high=1\),\)"):
            LanguageLearner(make_model(), Config(returns=returns, corrections=corrections))
    batch = make_batch(rewards=[1.0, -1.0, None, 0.5])
    unbounded = Returns(estimator="vtrace", normalise=False, rho_bar=1e9)
    wide = PolicyLoss(bound=Clip(low=1, high=100))
    coupled, _ = gradient(make_model(), batch, loss=wide, returns=unbounded, anchor="behaviour")
    decoupled, _ = gradient(make_model(), batch, loss=wide, returns=unbounded, corrections=(Correction(high=None),))
    torch.testing.assert_close(coupled, decoupled, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["k1", "k2", "k3", "forward", "reverse", "js"])
def test_at_the_reference_there_is_no_divergence_and_it_grows_when_the_policy_leaves(make_model, make_batch, estimator):
    batch = make_batch(advantages=[1.0, -1.0, 1.0, -1.0])
    kl = Kl(estimator=estimator, coefficient=0.1, weighted=estimator == "k1")
    learner = LanguageLearner(make_model(), Config(learning_rate=1e-2, kl=kl), reference=make_model())
    first = [learner.update(batch)["kl"] for _ in range(4)]
    assert first[0] == pytest.approx(0, abs=1e-6) and abs(first[-1]) > 1e-5


@pytest.mark.slow
def test_a_high_price_keeps_the_policy_near(make_model, make_batch):
    batch = make_batch(advantages=[1.0, -1.0, 1.0, -1.0])
    far = []
    for coefficient in (1e-6, 1000.0):
        config = Config(learning_rate=1e-3, kl=Kl(coefficient=coefficient, estimator="reverse"))
        learner = LanguageLearner(make_model(), config, reference=make_model())
        far.append([learner.update(batch)["kl"] for _ in range(15)][-1])
    assert far[1] < far[0] / 10


def test_a_price_without_a_reference_is_refused_or_measured_from_the_sampler(make_model, make_batch):
    batch = make_batch(advantages=ADVANTAGES)
    with pytest.raises(ValueError, match="and no reference"):
        LanguageLearner(make_model(), Config(kl=Kl())).update(batch)
    assert LanguageLearner(make_model(), Config(kl=Kl(to="behaviour"))).update(batch)["kl"] > 0
    with pytest.raises(ValueError, match="expected one vocabulary"):
        LanguageLearner(make_model(), Config(), reference=make_model(vocab_size=30))
    with pytest.raises(ValueError, match="a whole distribution needs the model itself"):
        Kl(estimator="js", where="reward")
    with pytest.raises(ValueError, match="expected weighted=True, or estimator='k2' or 'k3'"):
        Kl(estimator="k1")


@pytest.mark.slow
def test_ppo_learns_values_and_pays_for_divergence_in_the_reward(make_model, make_batch):
    batch = make_batch(rewards=[1.0, -1.0, None, 0.5])
    config = Config(
        learning_rate=3e-3,
        returns=Returns(lambda_=0.95),
        kl=Kl(where="reward", estimator="k1", coefficient=0.01),
        epochs=2,
        value_clip=None,
    )
    learner = LanguageLearner(make_model(), config, reference=make_model(), value_head=ValueHead(16))
    metrics = [learner.update(batch) for _ in range(20)]
    assert metrics[-1]["value_loss"] < metrics[0]["value_loss"]
    assert metrics[-1]["explained_variance"] > 0.5
    with pytest.raises(ValueError, match="expected `rewards`"):
        learner.update(make_batch(advantages=ADVANTAGES))


def test_rewards_without_a_critic_are_rewards_to_go(make_model, make_batch):
    rewards = [1.0, -1.0, None, 0.5]
    plain, _ = gradient(make_model(), make_batch(advantages=rewards))
    made, _ = gradient(make_model(), make_batch(rewards=rewards), returns=Returns(normalise=False))
    torch.testing.assert_close(plain, made, atol=1e-6, rtol=1e-4)
    with pytest.raises(ValueError, match="neither advantages nor rewards"):
        LanguageLearner(make_model()).update(make_batch())


def test_equal_rewards_give_no_advantage_and_no_gradient(make_model, make_batch):
    # Ten tokens share 0.1 each, and ten of these are not 1: what is left of the mean is rounding.
    batch = make_batch(lengths=(5, 5, 6), rewards=[1.0] * 3)
    learner = LanguageLearner(make_model(), Config())
    assert learner._prepared(batch).streams["advantages"][batch.loss_mask].tolist() == [0.0] * 10
    found, metrics = gradient(make_model(), batch)
    assert metrics["mean_advantage"] == 0 and not found.any()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_changes_nothing_is_counted_and_named(make_model, make_batch):
    batch = make_batch(advantages=[1.0, math.inf, 1.0, 1.0])
    learner = LanguageLearner(make_model(), Config(max_skipped=3, micro_batch_tokens=14))
    before = {name: value.clone() for name, value in learner.weights().items()}
    metrics = learner.update(batch)
    assert metrics["skipped_updates"] == 1 and math.isnan(metrics["loss"])
    assert "row-1 (advantages not finite)" in learner.fault
    assert distance(before, learner.weights()) == 0
    good = make_batch(advantages=ADVANTAGES)
    assert math.isfinite(learner.update(good)["loss"])
    learner.update(batch), learner.update(batch)
    with pytest.raises(LearningDiverged):
        learner.update(batch)


@pytest.mark.slow
def test_it_goes_on_from_a_state_on_disk_as_if_nothing_had_happened(make_model, make_batch, tmp_path):
    batch = make_batch(rewards=[1.0, -1.0, 0.0, 0.5])
    config = Config(learning_rate=1e-3, minibatches=2, epochs=2, warmup_steps=3, decay_steps=20, decay="cosine")

    def fresh(seed):
        return LanguageLearner(make_model(seed), config, value_head=ValueHead(16))

    learner = fresh(0)
    learner.update(batch)
    safetensors.torch.save_file(learner.state_dict(), tmp_path / "state.safetensors")
    again = fresh(1)
    again.load_state_dict(safetensors.torch.load_file(tmp_path / "state.safetensors"))
    assert learner.update(batch) == again.update(batch)
    assert distance(learner.weights(), again.weights()) == 0
    with pytest.raises(ValueError, match="resume with the config that wrote it"):
        LanguageLearner(make_model(hidden_size=32), config).load_state_dict(learner.state_dict())


@pytest.mark.slow
def test_it_is_saved_in_hugging_face_format(make_model, make_batch, tmp_path):
    from transformers import AutoModelForCausalLM

    for settings in ({}, {"tie_word_embeddings": True}):
        learner = LanguageLearner(make_model(**settings), Config(learning_rate=1e-2))
        batch = make_batch(advantages=ADVANTAGES)
        learner.update(batch)
        learner.save(tmp_path / "model")
        read = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
        torch.testing.assert_close(LanguageLearner(read).log_probs(batch), learner.log_probs(batch))
        assert set(learner.weights()) == set(dict(read.named_parameters()))


@pytest.mark.slow
def test_adapters_learn_alone_merge_and_are_their_own_reference(make_model, make_batch, tmp_path):
    from transformers import AutoModelForCausalLM

    pytest.importorskip("peft")
    batch = make_batch(advantages=[1.0, -1.0, 1.0, -1.0])
    model = add_adapters(make_model(), LoraConfig(rank=2))
    base = make_model()
    learner = LanguageLearner(model, Config(learning_rate=1e-2, kl=Kl()))
    torch.testing.assert_close(learner.log_probs(batch), LanguageLearner(base).log_probs(batch))
    metrics = [learner.update(batch) for _ in range(3)]
    assert metrics[0]["kl"] == pytest.approx(0, abs=1e-6) and metrics[-1]["kl"] > 1e-4
    with adapters_off(model):
        torch.testing.assert_close(learner.log_probs(batch), LanguageLearner(base).log_probs(batch))
    weights = learner.weights()
    assert set(weights) == set(dict(base.named_parameters())) == set(merged_weights(model))
    assert (weights["model.embed_tokens.weight"] == base.model.embed_tokens.weight).all()
    learner.save(tmp_path / "model")
    read = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    torch.testing.assert_close(LanguageLearner(read).log_probs(batch), learner.log_probs(batch), atol=1e-5, rtol=1e-5)
    again = LanguageLearner(add_adapters(make_model(), LoraConfig(rank=2)), learner.config)
    again.load_state_dict(learner.state_dict())
    torch.testing.assert_close(again.log_probs(batch), learner.log_probs(batch))


def test_what_was_sampled_hot_is_scored_hot(make_model, make_batch):
    batch = make_batch()
    hot = LanguageLearner(make_model(), Config(temperature=2.0)).log_probs(batch)
    model = make_model()
    with torch.no_grad():
        model.lm_head.weight /= 2
    torch.testing.assert_close(hot, LanguageLearner(model).log_probs(batch))


def test_a_model_whose_logits_are_made_otherwise_is_refused(make_model):
    model = make_model()
    model.lm_head.register_forward_hook(lambda module, args, output: output)
    LanguageLearner(model)
    plain = model.forward

    def shouting(*args, **kwargs):
        output = plain(*args, **kwargs)
        output.logits = output.logits * 1.5
        return output

    model.forward = shouting
    with pytest.raises(ValueError, match="whose log-probabilities differ"):
        LanguageLearner(model)


def test_known_scales_and_caps_of_logits_are_applied():
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=24,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=0.05,
    )
    LanguageLearner(Gemma2ForCausalLM(config))


def test_the_learning_rate_rises_and_falls():
    config = Config(warmup_steps=3, decay_steps=7)
    factors = [config.learning_rate_factor(step) for step in range(9)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0, 0])
    assert np.diff([Config(decay_steps=9, decay="cosine").learning_rate_factor(i) for i in range(10)]).max() < 0
    with pytest.raises(ValueError, match="expected the warm-up to end first"):
        Config(warmup_steps=3, decay_steps=3)
