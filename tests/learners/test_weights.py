from __future__ import annotations

import torch
from torch import nn

from learners.weights import follow


def module(value):
    made = nn.Linear(1, 1)
    for parameter in made.parameters():
        nn.init.constant_(parameter, value)
    return made


def test_a_share_of_the_way_averages_and_more_than_all_of_it_extrapolates():
    for rate, expected in ((0.25, 1.5), (1.0, 3.0), (1.5, 4.0)):
        weak = module(1.0)
        follow(weak, module(3.0), rate)
        assert [parameter.item() for parameter in weak.parameters()] == [expected, expected]
        assert torch.equal(weak(torch.ones(1, 1)), torch.full((1, 1), 2 * expected))
