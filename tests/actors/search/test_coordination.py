from __future__ import annotations

import pytest
import torch

from actors.search.coordination import Coordinator


def test_it_acts_where_success_is_more_likely_than_not():
    torch.manual_seed(0)
    made = Coordinator(torch.tensor([[0.0, 1.0], [2.0, 3.0]]))
    features = torch.tensor([[0.5, 2.0], [9.0, -3.0]])
    for bias, expected in ((50.0, True), (-50.0, False)):
        with torch.no_grad():
            made.layers[-1].bias.fill_(bias)
        assert made.acts(features).tolist() == [expected, expected]


def test_the_scale_of_a_feature_does_not_matter_and_one_that_never_varies_does_no_harm():
    seen = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
    torch.manual_seed(0)
    one = Coordinator(seen)
    torch.manual_seed(0)
    other = Coordinator(seen * torch.tensor([1000.0, 1.0]))
    torch.testing.assert_close(one(seen), other(seen * torch.tensor([1000.0, 1.0])))
    assert one(seen).isfinite().all() and one.state_dict().keys() >= {"mean", "deviation"}
    with pytest.raises(ValueError, match="two at least"):
        Coordinator(seen[:1])
