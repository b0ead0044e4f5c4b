"""Small policies and critics, and experience that was written by hand."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from learners.batch import TrainBatch, acting_index


class Read(NamedTuple):
    logprob: Tensor
    entropy: Tensor
    value: Tensor


class Criticised(NamedTuple):
    q: Tensor
    value: Tensor


def seen(batch_x: Tensor, lengths: Tensor) -> Tensor:
    return batch_x[acting_index(lengths)]


class Table(torch.nn.Module):
    """A policy and values by the number that is seen, starting from nothing."""

    def __init__(self, states=3, actions=2):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(states, actions))
        self.values = torch.nn.Parameter(torch.zeros(states))

    def evaluate(self, observation, lengths, initial_state, action):
        logits = self.logits[seen(observation["x"], lengths)].log_softmax(-1)
        entropy = -(logits.exp() * logits).sum(-1)
        return Read(logits.gather(-1, action[:, None])[:, 0], entropy, self.values[observation["x"]])


class CriticTable(torch.nn.Module):
    """Two Q and V by number, starting from nothing."""

    def __init__(self, states=3, actions=2):
        super().__init__()
        self.q = torch.nn.Parameter(torch.zeros(2, states, actions))
        self.values = torch.nn.Parameter(torch.zeros(states))

    def evaluate(self, observation, lengths, initial_state, action):
        x = seen(observation["x"], lengths)
        return Criticised(self.q[:, x, action], self.values[observation["x"]])


@pytest.fixture
def table():
    return Table


@pytest.fixture
def critic_table():
    return CriticTable


@pytest.fixture
def rows():
    """Experience out of rows `(states, actions, rewards, ends)`, states being one more than the others."""

    def make(*rows, weight=None):
        lengths = torch.tensor([len(actions) for _, actions, _, _ in rows])
        discount = torch.ones(int(lengths.sum()))
        for end, (_, _, _, terminates) in zip(lengths.cumsum(0) - 1, rows, strict=True):
            discount[end] = 0.0 if terminates else 1.0
        action = torch.tensor([a for _, actions, _, _ in rows for a in actions])
        return TrainBatch(
            observation={"x": torch.tensor([x for states, _, _, _ in rows for x in states])},
            lengths=lengths,
            initial_state=torch.zeros(len(rows), 1),
            action=action,
            behaviour_logprob=torch.full((len(action),), -0.693147),
            reward=torch.tensor([float(r) for _, _, rewards, _ in rows for r in rewards]),
            discount=discount,
            policy_version_min=torch.zeros(len(rows), dtype=torch.int64),
            policy_version_max=torch.zeros(len(rows), dtype=torch.int64),
            row_ids=[str(k) for k in range(len(rows))],
            weight=None if weight is None else torch.tensor(weight),
        )

    return make
