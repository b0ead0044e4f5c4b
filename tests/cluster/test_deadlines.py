from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from cluster.deadlines import within


def test_what_a_call_gives_or_raises_comes_back_and_it_sees_the_callers_context():
    here = ContextVar("here", default=0)
    here.set(7)
    assert within(60.0, here.get) == 7
    with pytest.raises(KeyError, match="x"):
        within(60.0, lambda: {}["x"])


def test_a_call_that_hangs_is_left_behind():
    let_go = threading.Event()
    with pytest.raises(TimeoutError, match="no answer within"):
        within(0.05, lambda: let_go.wait(60))
    let_go.set()
