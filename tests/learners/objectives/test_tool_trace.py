from __future__ import annotations

import math

import pytest
import torch

from learners.language.reward_losses import bradley_terry
from learners.objectives.tool_trace import Segment, tool_trace_losses

LOGS = torch.log(torch.tensor([[[0.5, 0.25], [0.1, 0.1]], [[0.5, 0.9], [0.1, 0.1]]]))
NONE, ACTION, OBSERVATION, RATIONALE = Segment
SEGMENTS = torch.tensor([[[ACTION, OBSERVATION], [NONE, NONE]], [[RATIONALE, ACTION], [NONE, NONE]]])
CHOSEN, REJECTED = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 2.0])


def test_without_tools_and_weights_it_is_bradley_terry():
    plain = bradley_terry(CHOSEN, REJECTED)
    assert torch.equal(tool_trace_losses(LOGS, torch.zeros_like(SEGMENTS), CHOSEN, REJECTED), plain)
    assert torch.equal(tool_trace_losses(LOGS, SEGMENTS, CHOSEN, REJECTED, 0, 0, 0), plain)


def test_each_part_of_a_trace_has_its_mean_and_its_weight():
    found = tool_trace_losses(LOGS, SEGMENTS, CHOSEN, REJECTED, action=2.0, observation=0.5, rationale=1.0)
    written = -(math.log(0.5) + math.log(0.9)) + 0.5 * math.log(4) + math.log(2)
    assert found.tolist() == pytest.approx([math.log(1 + math.exp(-1)) + written, math.log(2)])


def test_what_a_tool_says_is_not_learnt_unless_it_is_asked_for_and_may_be_anything():
    logs = torch.where(SEGMENTS >= OBSERVATION, -torch.inf, LOGS)
    logs = torch.where(SEGMENTS == RATIONALE, LOGS, logs).requires_grad_()
    tool_trace_losses(logs, SEGMENTS, CHOSEN, REJECTED).sum().backward()
    learnt = (SEGMENTS == ACTION) | (SEGMENTS == RATIONALE)
    assert torch.isfinite(logs.grad).all() and (logs.grad[~learnt] == 0).all() and (logs.grad[learnt] < 0).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"expected \[2, P, T\]"):
        tool_trace_losses(LOGS[0], SEGMENTS[0], CHOSEN, REJECTED)
    with pytest.raises(ValueError, match="at least 0"):
        tool_trace_losses(LOGS, SEGMENTS, CHOSEN, REJECTED, rationale=-1)
    with pytest.raises(ValueError, match="those of Segment"):
        tool_trace_losses(LOGS, SEGMENTS + 1, CHOSEN, REJECTED)
