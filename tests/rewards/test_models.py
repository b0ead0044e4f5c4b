from __future__ import annotations

import copy
import json
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from envs.captions import caption_id
from rewards.aggregation.weighted_sum import WeightedSum
from rewards.columns import Column
from rewards.models import caption_scorer, classification, encoder, ranking, retrieval
from rewards.models.classification import ClassificationModel
from rewards.models.labels import Labels
from rewards.models.model import RewardModel
from rewards.models.ranking import RankingModel, bradley_terry_loss
from rewards.models.retrieval import RetrievalModel
from rewards.questions import caption_question, pair_question
from rewards.verdicts import Status, Verdict
from rewards.views.view import Config, RewardView

torch.set_num_threads(1)
NOUNS = [a + b for a in ("red", "oak", "tin", "old", "wet", "big") for b in ("box", "bag", "hat", "cup", "rug", "map")]
GOOD = [f"You find a {noun} of gold." for noun in NOUNS]
BAD = [f"You stumble over the {noun}." for noun in NOUNS]
TEXTS = GOOD + BAD
IDS = np.array([caption_id(text) for text in TEXTS])
TRUTH = np.array([1.0] * len(GOOD) + [0.0] * len(BAD))
CAPTIONS = dict(zip(IDS.tolist(), TEXTS, strict=True))
SMALL = caption_scorer.Config(
    encoder=encoder.Config(buckets=2048, embedding=16, hidden=32), batch_size=64, learning_rate=3e-3
)
HALF = np.arange(len(TEXTS)) % 2 == 0


def on_caption(text: str, value: float | None, status: Status = Status.OK) -> Verdict:
    question = caption_question(text)
    return Verdict(question.subject, "caption", "helpful", "v1", value, status, "judge", text=text)


def on_pair(first: str, second: str, value: float | None, status: Status = Status.OK) -> Verdict:
    question = pair_question(first, second)
    return Verdict(question.subject, "pair", "rank", "v1", value, status, "judge", text=f"{first}\n{second}")


def caption_verdicts(chosen: np.ndarray = HALF) -> list[Verdict]:
    return [on_caption(text, value) for text, value, take in zip(TEXTS, TRUTH, chosen, strict=True) if take]


def pair_verdicts(texts: list[str], worth: Mapping[str, float], count: int, seed: int = 0) -> list[Verdict]:
    rng = np.random.default_rng(seed)
    verdicts = []
    for _ in range(count):
        a, b = (texts[k] for k in rng.choice(len(texts), 2, replace=False))
        verdicts.append(on_pair(a, b, 0.5 + 0.5 * float(np.sign(worth[a] - worth[b]))))
    return verdicts


WORTH = dict(zip(TEXTS, TRUTH.tolist(), strict=True))


def trained(name: str) -> tuple[RewardModel, Callable[[], RewardModel]]:
    """A model that has learnt, and a maker of fresh ones of the same config."""
    makers: dict[str, Callable[[], RewardModel]] = {
        "retrieval": RetrievalModel,
        "classification": lambda: ClassificationModel(classification.Config(scorer=SMALL)),
        "ranking": lambda: RankingModel(ranking.Config(scorer=SMALL)),
    }
    model = makers[name]()
    model.add(pair_verdicts(TEXTS, WORTH, 200) if name == "ranking" else caption_verdicts())
    model.observe(CAPTIONS)
    model.train(30)
    return model, makers[name]


ALL = ["retrieval", "classification", "ranking"]


# What all three have in common


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_before_any_verdict_every_caption_is_null_and_no_caption_is_zero(name: str) -> None:
    model = trained(name)[1]()
    model.observe(CAPTIONS)
    assert model.version == 0
    assert model.train(5) == {"labels": 0.0}
    values, valid = model.score(np.array([0, *IDS]))
    assert valid.tolist() == [True] + [False] * len(IDS)
    assert values[0] == 0.0 and np.isnan(values[1:]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_a_caption_of_unknown_text_is_null(name: str) -> None:
    model, _ = trained(name)
    values, valid = model.score(np.array([12345, IDS[0]]))
    assert valid.tolist() == [False, True] and math.isnan(values[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_oni_failures_teach_nothing(name: str) -> None:
    fresh = trained(name)[1]()
    failures = [s for s in Status if s is not Status.OK]
    if name == "ranking":
        fresh.add([on_pair("It is dark.", "It is light.", None, status) for status in failures])
    else:
        fresh.add([on_caption("It is dark.", None, status) for status in failures])
    assert fresh.version == 0 and fresh.train(5) == {"labels": 0.0}
    assert not fresh.score(np.array([caption_id("It is dark.")]))[1].any()


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_verdicts_of_the_other_kind_are_refused(name: str) -> None:
    model = trained(name)[1]()
    wrong = on_caption("a", 1.0) if name == "ranking" else on_pair("a", "b", 1.0)
    with pytest.raises(ValueError, match="ask the judge that kind of question"):
        model.add([wrong])


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_repeats_and_order_do_not_change_scores(name: str) -> None:
    model, _ = trained(name)
    values, valid = model.score(IDS)
    shuffled = np.random.default_rng(0).integers(0, len(IDS), 500)
    again, again_valid = model.score(IDS[shuffled])
    np.testing.assert_array_equal(again, values[shuffled])
    np.testing.assert_array_equal(again_valid, valid[shuffled])
    assert (values.dtype, valid.dtype, model.score(IDS[:0])[0].shape) == (np.float32, np.bool_, (0,))


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_a_snapshot_scores_as_the_model_that_took_it(name: str) -> None:
    model, make = trained(name)
    scorer = make()
    scorer.observe(CAPTIONS)
    blob = model.snapshot()
    scorer.load_snapshot(blob)
    assert scorer.version == model.version == 1
    np.testing.assert_array_equal(scorer.score(IDS)[0], model.score(IDS)[0])
    assert isinstance(blob, bytes) and len(blob) < 2**21
    assert make().snapshot() == make().snapshot()


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_a_newer_snapshot_replaces_what_was_remembered(name: str) -> None:
    model, make = trained(name)
    scorer = make()
    scorer.observe(CAPTIONS)
    scorer.load_snapshot(model.snapshot())
    scorer.score(IDS)
    if name == "ranking":
        model.add(pair_verdicts(TEXTS, {text: -worth for text, worth in WORTH.items()}, 2000, seed=1))
    else:
        model.add([on_caption(text, 1.0 - value) for text, value in zip(TEXTS, TRUTH, strict=True)])
    model.train(100)
    before = scorer.score(IDS)[0]
    scorer.load_snapshot(model.snapshot())
    assert scorer.version == model.version > 1
    np.testing.assert_array_equal(scorer.score(IDS)[0], model.score(IDS)[0])
    assert not np.array_equal(before, scorer.score(IDS)[0], equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_oni_a_restored_model_goes_on_as_if_nothing_had_happened(name: str) -> None:
    """Pairs, labels, running statistics, optimiser and generator are all in the checkpoint."""
    model, make = trained(name)
    again = make()
    again.load_state_dict(through_a_file(model.state_dict()))
    assert again.version == model.version
    np.testing.assert_array_equal(again.score(IDS)[0], model.score(IDS)[0])
    assert again.train(5) == model.train(5)
    np.testing.assert_array_equal(again.score(IDS)[0], model.score(IDS)[0])


def through_a_file(state: Any) -> Any:
    """Plain data as JSON would give it back, tensors and arrays as they are; fails on anything else."""
    if isinstance(state, dict):
        assert all(isinstance(key, str) for key in state)
        return {key: through_a_file(value) for key, value in state.items()}
    if isinstance(state, (torch.Tensor, np.ndarray)):
        return copy.deepcopy(state)
    return json.loads(json.dumps(state))


def as_before_arrays(state: Any) -> Any:
    """Labels and captions as lists, as checkpoints had them."""
    if isinstance(state, dict):
        return {key: as_before_arrays(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


@pytest.mark.slow
@pytest.mark.parametrize("name", ["classification", "ranking"])
def test_checkpoints_whose_labels_are_lists_are_read(name: str) -> None:
    model, make = trained(name)
    again = make()
    again.load_state_dict(as_before_arrays(model.state_dict()))
    assert again.train(5) == model.train(5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_the_state_or_snapshot_of_another_model_is_refused(name: str) -> None:
    other = {"retrieval": "ranking", "classification": "retrieval", "ranking": "classification"}[name]
    with pytest.raises(ValueError, match="expected"):
        trained(name)[1]().load_state_dict(trained(other)[1]().state_dict())
    if name != "retrieval":
        with pytest.raises(ValueError, match="expected"):
            trained(name)[1]().load_snapshot(trained(other)[1]().snapshot())


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_training_is_a_function_of_the_seed_and_leaves_torchs_generator_alone(name: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, _ = trained(name)
    assert torch.equal(torch.get_rng_state(), before)
    other, _ = trained(name)
    assert one.snapshot() == other.snapshot()


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_oni_autograd_anomaly_detection_is_off(name: str) -> None:
    trained(name)
    assert not torch.is_anomaly_enabled()


# Retrieval


def test_retrieval_gives_the_verdict_and_nothing_else() -> None:
    model = RetrievalModel()
    model.add([on_caption("You win.", 1.0), on_caption("You wait.", 0.0), on_caption("You err.", None, Status.TIMEOUT)])
    ids = np.array([caption_id(t) for t in ("You win.", "You wait.", "You err.", "You sing.")])
    values, valid = model.score(ids)
    assert valid.tolist() == [True, True, False, False]
    assert values[:2].tolist() == [1.0, 0.0] and np.isnan(values[2:]).all()


def test_a_later_verdict_replaces_the_earlier_and_a_failure_does_not() -> None:
    model = RetrievalModel()
    ids = np.array([caption_id("You win.")])
    for verdict, expected, version in (
        (on_caption("You win.", 0.25), 0.25, 1),
        (on_caption("You win.", None, Status.JUDGE_FAULT), 0.25, 1),
        (on_caption("You win.", 0.25), 0.25, 1),
        (on_caption("You win.", 0.75), 0.75, 2),
    ):
        model.add([verdict])
        assert (model.score(ids)[0].tolist(), model.version) == ([expected], version)


@given(st.lists(st.lists(st.tuples(st.integers(1, 20), st.sampled_from([0.0, 0.5, 1.0])), max_size=6), max_size=8))
def test_retrieval_is_a_dictionary(told: list[list[tuple[int, float]]]) -> None:
    model, expected, version, ids = RetrievalModel(), {}, 0, np.arange(1, 22)
    for batch in told:
        model.add([Verdict(str(i), "caption", "helpful", "v1", value, Status.OK, "judge") for i, value in batch])
        version += any(expected.get(i) != value for i, value in dict(batch).items())
        expected |= dict(batch)
        scorer = RetrievalModel()
        scorer.load_snapshot(model.snapshot())
        for one in (model, scorer):
            values, valid = one.score(ids)
            assert dict(zip(ids[valid].tolist(), values[valid].tolist(), strict=True)) == expected
            assert one.version == version
        assert model.train(1) == {"labels": float(len(expected))}


def test_retrieval_goes_on_with_a_table_in_any_order() -> None:
    """Older versions saved it in the order in which verdicts came."""
    model = RetrievalModel()
    ids, values = torch.tensor([7, 3, 5]), torch.tensor([0.7, 0.3, 0.5], dtype=torch.float64)
    model.load_state_dict({"kind": "retrieval", "version": torch.tensor(4), "caption_ids": ids, "values": values})
    model.add([Verdict("4", "caption", "helpful", "v1", 0.4, Status.OK, "judge")])
    np.testing.assert_allclose(model.score(np.array([3, 4, 5, 6, 7]))[0], [0.3, 0.4, 0.5, np.nan, 0.7])


# Labels


def test_labels_keep_their_place_and_their_latest_value() -> None:
    labels = Labels(["a", "b"], [0.0, 1.0])
    labels.put("c", 0.25)
    labels.put("a", 0.75)
    assert (len(labels), labels.keys, labels.values) == (3, ["a", "b", "c"], [0.75, 1.0, 0.25])
    keys, values = labels.take(np.array([2, 0, 2]))
    assert keys == ["c", "a", "c"] and values.dtype == torch.float32 and values.tolist() == [0.25, 0.75, 0.25]
    assert labels.share(lambda values: values > 0.5) == pytest.approx(2 / 3)
    labels.put("d", 0.0)  # nothing that was looked at holds on to it
    with pytest.raises(ValueError, match="shorter"):
        Labels(["a", "b"], [0.0])


# Classification


@pytest.mark.slow
def test_classification_learns_separable_captions_and_generalises() -> None:
    model = ClassificationModel()
    model.add(caption_verdicts())
    model.observe(CAPTIONS)
    for _ in range(3):
        metrics = model.train(30)
    assert metrics["accuracy"] >= 0.95 and metrics["positive_share"] == 0.5
    values, valid = model.score(IDS)
    assert valid.all()
    assert (values == TRUTH)[~HALF].mean() >= 0.95  # captions without a verdict


def test_classification_rewards_are_cut_at_the_threshold_or_soft() -> None:
    hard, _ = trained("classification")
    soft = ClassificationModel(classification.Config(soft=True, scorer=SMALL))
    soft.load_state_dict(hard.state_dict())
    probability = soft.probability(IDS.tolist())
    np.testing.assert_allclose(soft.score(IDS)[0], probability, rtol=1e-4)
    np.testing.assert_array_equal(hard.score(IDS)[0], probability > 0.5)
    strict = ClassificationModel(classification.Config(threshold=1.0, scorer=SMALL))
    strict.load_state_dict(hard.state_dict())
    assert not strict.score(IDS)[0].any()


def test_one_logit_with_logistic_loss_is_the_two_way_softmax() -> None:
    logits, targets = torch.randn(9, dtype=torch.float64), torch.rand(9, dtype=torch.float64)
    two = torch.stack([torch.zeros(9), logits], 1)
    expected = cross_entropy(two, torch.stack([1 - targets, targets], 1))
    torch.testing.assert_close(binary_cross_entropy_with_logits(logits, targets), expected)


def test_nothing_is_learnt_below_min_labels() -> None:
    model = ClassificationModel(classification.Config(min_labels=3))
    model.add([on_caption("You win.", 1.0), on_caption("You lose.", 0.0)])
    assert model.train(10) == {"labels": 2.0} and model.version == 0
    model.add([on_caption("You wait.", 0.0)])
    assert model.train(10)["version"] == 1.0
    assert model.train(0) == {"labels": 3.0} and model.version == 1


# Ranking


def test_bradley_terry_by_hand() -> None:
    first, second = torch.tensor([math.log(3.0), 0.0]), torch.tensor([0.0, 0.0])
    # P(first better) is 3/4 and 1/2: a win of the first costs log 4/3, a tie at equal scores log 2
    expected = (math.log(4 / 3) + math.log(2)) / 2
    assert bradley_terry_loss(first, second, torch.tensor([1.0, 0.5])).item() == pytest.approx(expected)
    lost = -math.log(1 / 4)
    assert bradley_terry_loss(first[:1], second[:1], torch.tensor([0.0])).item() == pytest.approx(lost)


def test_bradley_terry_is_the_binary_cross_entropy_of_the_difference() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second, preference = (torch.rand(50, generator=generator, dtype=torch.float64) for _ in range(3))
    first, second = 40 * first - 20, 40 * second - 20
    expected = binary_cross_entropy_with_logits(first - second, preference)
    torch.testing.assert_close(bradley_terry_loss(first, second, preference), expected)


def test_a_tie_draws_scores_together() -> None:
    first, second = torch.tensor([2.0], requires_grad=True), torch.tensor([0.0], requires_grad=True)
    bradley_terry_loss(first, second, torch.tensor([0.5])).backward()
    assert first.grad is not None and second.grad is not None
    assert first.grad.item() > 0 > second.grad.item()


@pytest.mark.slow
def test_ranking_recovers_an_order() -> None:
    colours = ["black", "white", "green", "blue", "pink", "grey", "brown", "cyan"]
    texts = [f"You open the {colour} door." for colour in colours]
    worth = {text: float(k) for k, text in enumerate(texts)}
    model = RankingModel()
    model.add(pair_verdicts(texts, worth, 300))
    for _ in range(4):
        metrics = model.train(30)
    raw = model.raw([caption_id(text) for text in texts])
    assert kendalltau(raw, list(worth.values())).statistic >= 0.9
    assert metrics["accuracy"] >= 0.95


def test_ranking_rewards_the_better_half_and_never_punishes() -> None:
    model, _ = trained("ranking")
    values, valid = model.score(IDS)
    assert valid.all() and values.min() == 0.0
    assert (values > 0).mean() == 0.5  # the median cuts
    assert values[TRUTH == 1].mean() > 10 * values[TRUTH == 0].mean()


def test_ranking_by_hand_once_scores_are_known() -> None:
    raw = np.array([0.0, 1.0, 2.0, 3.0])
    z = (raw - 1.5) / math.sqrt(1.25)
    for config, expected in (
        (ranking.Config(), np.maximum(z - 0.0, 0.0)),  # the median of z is 0
        (ranking.Config(cutoff_quantile=1.0), np.zeros(4)),
        (ranking.Config(cutoff="value", subtract_cutoff=False), np.where(z > -0.5, z, 0.0)),
        (ranking.Config(cutoff="value", cutoff_value=-0.5), np.where(z > -0.5, z + 0.5, 0.0)),
    ):
        model = RankingModel(config)
        model.observe(dict(zip(range(1, 5), "abcd", strict=True)))
        model._scorer.raw = lambda ids: raw[np.array(ids) - 1]  # type: ignore[method-assign]
        model._scorer.version = 1
        model._normalise()
        np.testing.assert_allclose(model.score(np.arange(1, 5))[0], expected, atol=1e-6)


def test_oni_rankings_normalised_and_cut_reward_is_what_the_policy_is_trained_on() -> None:
    model, _ = trained("ranking")
    values, valid = model.score(IDS)
    raw = model.raw(IDS.tolist())
    z = (raw - raw.mean()) / raw.std()
    expected = np.where(z > np.median(z), z - np.median(z), 0.0)
    view = RewardView(Config(name="ranking", parts=(WeightedSum(coefficients={"llm": 0.5}),)))
    reward = view.apply({"llm": Column(values, valid)}).reward
    np.testing.assert_allclose(reward, 0.5 * expected, atol=1e-4)
    assert np.abs(reward - 0.5 * raw).max() > 0.1


def test_raw_scores_that_are_shifted_and_scaled_earn_the_same() -> None:
    model, _ = trained("ranking")
    before = model.score(IDS)[0]
    with torch.no_grad():
        model._scorer.head.weight *= 3.0
        model._scorer.head.bias += 7.0
    model._scorer.version += 1
    model._normalise()
    np.testing.assert_allclose(model.score(IDS)[0], before, atol=1e-3)


# Encoders


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ngrams", "charcnn"])
def test_each_encoder_learns(kind: str) -> None:
    small = encoder.Config(kind=kind, channels=16, layers=2, length=32)
    scorer = caption_scorer.Config(encoder=small, learning_rate=3e-3, batch_size=32)
    model = ClassificationModel(classification.Config(scorer=scorer))
    model.add(caption_verdicts())
    model.observe(CAPTIONS)
    model.train(60)
    assert (model.score(IDS)[0] == TRUTH).mean() >= 0.95


def test_tokens_depend_on_nothing_but_text_and_config() -> None:
    made = encoder.make_encoder(encoder.Config(buckets=1000))
    one, other = made.tokens(["A Key", "a  key"])
    assert one.tolist() == other.tolist() == made.tokens(["a key"])[0].tolist()
    assert made.tokens(["123456789"])[0][0] == 0xCBF43926 % 1000  # the check value of CRC-32
    assert made.tokens([]) == []


@pytest.mark.parametrize(("buckets", "bytes_of_each"), [(256, 1), (8192, 2), (65_537, 4)])
def test_tokens_take_no_more_bytes_than_buckets_need(buckets: int, bytes_of_each: int) -> None:
    (tokens,) = encoder.make_encoder(encoder.Config(buckets=buckets)).tokens(["A key lies on the altar."])
    assert tokens.itemsize == bytes_of_each and tokens.max() < buckets


@given(
    texts=st.lists(st.text(alphabet="ab é漢😀\u00a0", max_size=12), max_size=4),
    size=st.integers(0, 4),
    buckets=st.sampled_from([1, 7, 2**32]),
)
def test_tokens_are_checksums_of_words_pairs_and_character_ngrams(texts: list[str], size: int, buckets: int) -> None:
    made = encoder.make_encoder(encoder.Config(buckets=2, embedding=1, hidden=1, char_ngram=size))
    made.config = made.config.model_copy(update={"buckets": buckets})
    for text, found in zip(texts, made.tokens(texts), strict=True):
        words = text.split()
        grams = words + [" ".join(words[k : k + 2]) for k in range(len(words) - 1)]
        padded = "^" + " ".join(words) + "$"
        if size:
            places = range(len(padded) - size + 1)
            grams += ["#" + padded[k : k + size] for k in places] or ["#" + padded]
        assert found.tolist() == [zlib.crc32(gram.encode()) % buckets for gram in grams]


@pytest.mark.parametrize("kind", ["ngrams", "charcnn"])
@pytest.mark.parametrize("text", ["x", "ü", "a " * 300])
def test_any_text_is_encoded(kind: str, text: str) -> None:
    made = encoder.make_encoder(encoder.Config(kind=kind))
    assert made(made.tokens([text, "key"])).shape == (2, 64)


def test_configs_refuse_unknown_keys() -> None:
    for config in (retrieval.Config, classification.Config, ranking.Config, encoder.Config, caption_scorer.Config):
        with pytest.raises(ValueError, match="Extra inputs"):
            config(colour="red")
