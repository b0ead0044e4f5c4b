from __future__ import annotations

import pytest
import torch

from rewards.models.multi_aspect import AspectPairs, MultiAspect


def taught():
    """Two aspects, each of which reads two numbers, of which the first one matters."""
    model = MultiAspect({"a": 2, "b": 2}, hidden=8)
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(64, 2, generator=generator)
    for aspect in ("a", "b"):
        better = features + torch.tensor([1.0, 0.0])
        model.teach(aspect, AspectPairs(better, features, torch.arange(64)), steps=15, seed=0, rate=0.03)
    return model


def test_an_aspect_of_its_own_says_what_it_was_taught_and_the_sum_is_of_all():
    model = taught()
    low, high = torch.tensor([[0.2, 0.5]]), torch.tensor([[1.2, 0.5]])
    found = model.aspects({"a": high, "b": low})
    assert 0 < found["b"] < 0.5 < found["a"] < 1
    assert model({"a": high, "b": low}) == pytest.approx(float(found["a"] + found["b"]) / 2)
    assert model({"a": high, "b": high}) > model({"a": high, "b": low}) > model({"a": low, "b": low})


def test_without_weight_an_aspect_is_not_heard():
    model = taught()
    model.weights = {"a": 1.0, "b": 0.0}
    one, other = torch.tensor([[0.2, 0.5]]), torch.tensor([[1.2, 0.5]])
    assert torch.equal(model({"a": one, "b": one}), model({"a": one, "b": other}))
    with pytest.raises(ValueError, match="one for each of"):
        MultiAspect({"a": 2}, {"b": 1.0})


def test_the_scale_goes_with_the_weights_and_what_does_not_fit_is_refused():
    model, other = taught(), MultiAspect({"a": 2, "b": 2}, hidden=8, seed=5)
    other.load_state_dict(model.state_dict())
    features = {"a": torch.rand(4, 2), "b": torch.rand(4, 2)}
    assert torch.equal(other(features), model(features))
    with pytest.raises(ValueError, match="expected those of"):
        model({"a": features["a"]})
    with pytest.raises(ValueError, match="expected one of"):
        model.teach("c", AspectPairs(features["a"], features["b"], [0, 0, 0, 0]), steps=1, seed=0)
