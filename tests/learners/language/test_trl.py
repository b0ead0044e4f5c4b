"""Losses and gradients equal to TRL's, by its own loss code on the same tensors.

Trainers are not built: their methods that compute losses run on stand-ins, which say what a model would say.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from learners.language import preferences
from learners.language.aggregation import Aggregation, aggregate, coefficients
from learners.language.clipping import Clip, Soft, Truncate
from learners.language.corrections import Correction, correction_weights
from learners.language.divergences import estimate
from learners.language.policy_loss import PolicyLoss, policy_losses
from learners.language.presets import preset
from learners.language.reward_losses import bradley_terry

trl = pytest.importorskip("trl", reason="TRL is a peer that numbers are compared with: pip install trl")
pytestmark = pytest.mark.slow

LONGEST = 7
LENGTHS = [7, 3, 5, 1]
MASK = torch.arange(LONGEST)[None] < torch.tensor(LENGTHS)[:, None]
SEQUENCE = torch.arange(len(LENGTHS)).repeat_interleave(torch.tensor(LENGTHS))
ALONE = SimpleNamespace(
    num_processes=1,
    device=torch.device("cpu"),
    sync_gradients=True,
    gather=lambda x: x,
    gather_for_metrics=lambda x: x,
    reduce=lambda x, reduction: x,
)


def drawn(seed: int = 0) -> dict[str, torch.Tensor]:
    """Log-probabilities of three policies and advantages of four answers, `[4, 7]`."""
    generator = torch.Generator().manual_seed(seed)

    def numbers(scale: float) -> torch.Tensor:
        return scale * torch.randn(len(LENGTHS), LONGEST, generator=generator, dtype=torch.float64)

    old = -2 + numbers(0.5)
    return {
        "old": old,
        "now": old + numbers(0.3),
        "reference": old + numbers(0.3),
        "sampled": old + numbers(0.2),
        "advantages": torch.tensor([1.3, -0.7, 0.4, -1.0], dtype=torch.float64),
    }


def theirs_grpo(loss_type: str, level: str = "token", **settings):
    """Loss and gradient of TRL's GRPOTrainer."""
    from trl.trainer.grpo_trainer import GRPOTrainer

    given = drawn()
    now = given["now"].clone().requires_grad_()
    args = SimpleNamespace(
        use_bias_correction_kl=False,
        delta=settings.get("delta"),
        sapo_temperature_pos=1.0,
        sapo_temperature_neg=1.05,
        steps_per_generation=1,
    )
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *a, **k: (now, torch.zeros_like(now), None),
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level=level,
        beta=settings.get("beta", 0.0),
        args=args,
        loss_type=loss_type,
        epsilon_low=settings.get("low", 0.2),
        epsilon_high=settings.get("high", 0.2),
        use_vllm="ratio" in settings,
        vllm_importance_sampling_correction=True,
        model=SimpleNamespace(training=True),
        current_gradient_accumulation_steps=1,
        max_completion_length=LONGEST,
        accelerator=ALONE,
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )
    inputs = {
        "prompt_ids": torch.zeros(4, 1, dtype=torch.int64),
        "prompt_mask": torch.ones(4, 1, dtype=torch.int64),
        "completion_ids": torch.zeros(4, LONGEST, dtype=torch.int64),
        "completion_mask": MASK.to(torch.int64),
        "advantages": given["advantages"],
        "old_per_token_logps": given["old"],
        "ref_per_token_logps": given["reference"],
        "num_items_in_batch": MASK.sum(),
        "importance_sampling_ratio": settings.get("ratio"),
    }
    loss = GRPOTrainer._compute_loss(trainer, None, inputs)
    loss.backward()
    return loss.item(), now.grad[MASK]


def ours(config: PolicyLoss, beta: float = 0.0, correction: torch.Tensor | None = None):
    """Our loss and gradient on the same numbers."""
    given = drawn()
    now = given["now"][MASK].requires_grad_()
    weights = torch.ones_like(now)
    advantages = given["advantages"][SEQUENCE]
    share = coefficients(weights, SEQUENCE, config.aggregation)
    losses = policy_losses(now, given["old"][MASK], advantages, weights, SEQUENCE, config).loss
    if correction is not None:
        losses = losses * correction
    if beta:
        losses = losses + beta * estimate(now, given["reference"][MASK], "k3")
    loss = aggregate(losses, share)
    loss.backward()
    return loss.item(), now.grad


def equal(found, expected) -> None:
    assert found[0] == pytest.approx(expected[0], abs=1e-6)
    torch.testing.assert_close(found[1], expected[1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("beta", [0.0, 0.05])
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("grpo", {"loss_type": "grpo"}),
        ("dr_grpo", {"loss_type": "dr_grpo"}),
        ("dapo", {"loss_type": "dapo", "high": 0.28}),
        ("gspo", {"loss_type": "grpo", "level": "sequence", "low": 3e-4, "high": 4e-4}),
        ("cispo", {"loss_type": "cispo", "high": 5.0}),
        ("sapo", {"loss_type": "sapo"}),
    ],
)
def test_the_group_family_equals_trl(method: str, settings: dict, beta: float) -> None:
    equal(ours(preset(method, LONGEST).loss, beta), theirs_grpo(**settings, beta=beta))


def test_a_tight_cispo_and_another_soft_gate_equal_trl() -> None:
    equal(ours(PolicyLoss(bound=Truncate(high=1.05))), theirs_grpo("cispo", high=1.05))
    equal(ours(PolicyLoss(bound=Soft(), aggregation=Aggregation(by="sequence"))), theirs_grpo("sapo"))


def test_dual_clip_equals_trls_two_sided_clip() -> None:
    equal(ours(PolicyLoss(bound=Clip(dual=1.3))), theirs_grpo("bnpo", delta=1.3))


@pytest.mark.parametrize(
    "correction",
    [
        Correction(high=1.1),
        Correction(level="sequence", high=1.1),
        Correction(how="mask", low=0.8, high=1.1),
    ],
)
def test_a_correction_multiplies_as_trls_does(correction: Correction) -> None:
    given = drawn()
    old, sampled = given["old"], given["sampled"]
    apart = (old - sampled) * MASK
    ratio = (apart.sum(-1, keepdim=True) if correction.level == "sequence" else apart).exp().expand(-1, LONGEST)
    if correction.how == "truncate":
        ratio = ratio.clamp(max=correction.high)
    else:
        ratio = torch.where((ratio >= correction.low) & (ratio <= correction.high), ratio, 0.0)
    mine = correction_weights(old[MASK], sampled[MASK], torch.ones(sum(LENGTHS)), SEQUENCE, [correction])
    torch.testing.assert_close(mine, ratio[MASK])
    equal(ours(PolicyLoss(), correction=mine), theirs_grpo("dapo", ratio=ratio))


def test_rloo_equals_trl() -> None:
    from trl.trainer.rloo_trainer import RLOOTrainer

    given = drawn()
    now = given["now"].clone().requires_grad_()
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *a, **k: (now, torch.zeros_like(now), None),
        aux_loss_enabled=False,
        epsilon_low=0.2,
        epsilon_high=0.2,
        model=SimpleNamespace(training=True),
        accelerator=ALONE,
        _metrics={"train": defaultdict(list)},
    )
    inputs = {
        "prompt_ids": torch.zeros(4, 1, dtype=torch.int64),
        "prompt_mask": torch.ones(4, 1, dtype=torch.int64),
        "completion_ids": torch.zeros(4, LONGEST, dtype=torch.int64),
        "completion_mask": MASK.to(torch.int64),
        "old_logps": (given["old"] * MASK).sum(1),
        "advantages": given["advantages"],
    }
    loss = RLOOTrainer._compute_loss(trainer, None, inputs)
    loss.backward()
    equal(ours(preset("rloo", LONGEST).loss), (loss.item(), now.grad[MASK]))


def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of two pairs by policy and reference, chosen first, `[4, 7]`, 0 in the padding."""
    given = drawn()
    return (given["now"] * MASK).requires_grad_(), given["reference"] * MASK


def outputs_of(log_probs: torch.Tensor):
    zeros = torch.zeros_like(log_probs)
    return SimpleNamespace(log_probs=log_probs, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())


@pytest.mark.parametrize(("loss", "label_smoothing"), [("sigmoid", 0.0), ("hinge", 0.0), ("ipo", 0.0)])
def test_preferences_equal_trl(loss: str, label_smoothing: float) -> None:
    from trl.trainer.dpo_trainer import DPOTrainer

    beta = 0.4
    now, reference = pairs()
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=ALONE,
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=[loss],
        loss_weights=[1.0],
        beta=beta,
        label_smoothing=label_smoothing,
        use_weighting=False,
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
    )
    completion_mask = torch.cat([torch.zeros(4, 1, dtype=torch.int64), MASK.to(torch.int64)], 1)
    inputs = {
        "input_ids": torch.zeros(4, LONGEST + 1, dtype=torch.int64),
        "attention_mask": torch.ones(4, LONGEST + 1, dtype=torch.int64),
        "completion_mask": completion_mask,
        "ref_chosen_logps": reference.sum(1)[:2],
        "ref_rejected_logps": reference.sum(1)[2:],
    }
    expected = DPOTrainer._compute_loss(trainer, lambda **k: outputs_of(now), inputs, return_outputs=False)
    expected.backward()
    gradient = now.grad.clone()

    now, reference = pairs()
    apart = (now - reference).sum(1)
    if loss == "ipo":
        apart = apart / torch.tensor(LENGTHS)
    margin = apart[:2] - apart[2:]
    form = {"sigmoid": preferences.dpo, "hinge": preferences.hinge, "ipo": preferences.ipo}[loss]
    mine = form(margin, beta).mean()
    mine.backward()
    equal((mine.item(), now.grad), (expected.item(), gradient))


@pytest.mark.parametrize("loss", ["simpo", "sigmoid"])
def test_losses_without_a_reference_equal_trl(loss: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it is experimental
        from trl.experimental.cpo.cpo_trainer import CPOTrainer

    beta, gamma = 2.0, 1.0
    now, _ = pairs()
    means = now.sum(1) / torch.tensor(LENGTHS) if loss == "simpo" else now.sum(1)
    trainer = SimpleNamespace(
        alpha=0.0, accelerator=ALONE, loss_type=loss, simpo_gamma=gamma, beta=beta, label_smoothing=0.0
    )
    expected = CPOTrainer.cpo_loss(trainer, means[:2], means[2:])[0]
    mine = (
        preferences.simpo(means[:2], means[2:], beta, gamma)
        if loss == "simpo"
        else preferences.dpo(means[:2] - means[2:], beta)
    )
    torch.testing.assert_close(mine, expected, atol=1e-6, rtol=0)


def test_the_odds_ratio_equals_trl() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trl.experimental.orpo.orpo_trainer import ORPOTrainer

    now, _ = pairs()
    means = (now.sum(1) / torch.tensor(LENGTHS)).detach()
    expected = ORPOTrainer.odds_ratio_loss(SimpleNamespace(beta=0.3, accelerator=ALONE), means[:2], means[2:])[0]
    mine = preferences.odds_ratio(means[:2], means[2:])
    torch.testing.assert_close(-0.3 * mine.float(), expected, atol=1e-6, rtol=0)


def test_kto_equals_trl() -> None:
    from trl.trainer.kto_trainer import KTOTrainer

    now, reference = pairs()
    labels = torch.tensor([True, False, False, True])
    swapped, swapped_reference = torch.tensor([-3.0, -2, -4, -5]), torch.tensor([-4.0, -2.5, -3, -5.5])
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=ALONE,
        aux_loss_enabled=False,
        calculate_KL=True,
        precompute_ref_logps=True,
        _compute_kl_logps=lambda model, batch: swapped,
        loss_type="kto",
        beta=0.5,
        desirable_weight=1.0,
        undesirable_weight=1.4,
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
    )
    inputs = {
        "label": labels,
        "input_ids": torch.zeros(4, LONGEST + 1, dtype=torch.int64),
        "attention_mask": torch.ones(4, LONGEST + 1, dtype=torch.int64),
        "completion_mask": torch.cat([torch.zeros(4, 1, dtype=torch.int64), MASK.to(torch.int64)], 1),
        "ref_logps": reference.sum(1),
        "ref_KL_logps": swapped_reference,
    }
    expected = KTOTrainer._compute_loss(trainer, lambda **k: outputs_of(now), inputs, return_outputs=False)
    expected.backward()
    gradient = now.grad.clone()

    now, reference = pairs()
    baseline = (swapped - swapped_reference).mean()
    mine = preferences.kto((now - reference).sum(1), labels, baseline, 0.5, 1.0, 1.4).mean()
    mine.backward()
    equal((mine.item(), now.grad), (expected.item(), gradient))


@pytest.mark.parametrize("margin", [None, [0.5, 1.5]])
@pytest.mark.parametrize("centring", [0.0, 0.1])
def test_reward_model_losses_equal_trl(margin, centring: float) -> None:
    from trl.trainer.reward_trainer import RewardTrainer

    rewards = torch.tensor([1.2, -0.3, 0.4, 0.9], dtype=torch.float64)
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True),
        args=SimpleNamespace(center_rewards_coefficient=centring or None),
        accelerator=ALONE,
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
    )
    inputs = {"attention_mask": torch.ones(4, 3)}
    if margin is not None:
        inputs["margin"] = torch.tensor(margin, dtype=torch.float64)
    expected = RewardTrainer.compute_loss(trainer, lambda **k: SimpleNamespace(logits=rewards[:, None]), inputs)
    mine = bradley_terry(rewards[:2], rewards[2:], inputs.get("margin"), centring).mean()
    assert mine.item() == pytest.approx(expected.item(), abs=1e-6)


def test_group_advantages_equal_trls_with_members_that_have_no_reward() -> None:
    from trl.trainer.utils import nanstd

    from rewards.columns import Column
    from rewards.groups import group_advantages

    rewards = torch.tensor([[1.0, 0.0, float("nan"), 0.5], [2.0, 2.0, -1.0, 0.0]])
    mean = torch.nanmean(rewards, dim=1, keepdim=True)
    expected = ((rewards - mean) / (nanstd(rewards, dim=1)[:, None] + 1e-6)).numpy()
    known = ~np.isnan(rewards.numpy())
    found = group_advantages(Column(rewards.numpy(), known))
    assert found.values[known] == pytest.approx(expected[known], abs=1e-5)
