"""Joining a Ray that is not there; what starts and joins one is tested end to end."""

from __future__ import annotations

import socket
import time

import pytest

from cluster.session import ClusterUnavailable, Config, ray_session
from cluster.weights import WeightsBoard


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_listens_is_refused_within_seconds(scheme):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{closed.getsockname()[1]}"
        start = time.monotonic()
        with (
            pytest.raises(ClusterUnavailable, match=r"nobody listens at .* or leave the address out") as caught,
            ray_session(Config(address=address), 1),
        ):
            pass
    assert time.monotonic() - start < 30 and "\n" not in str(caught.value)


def test_the_board_hands_out_what_is_newer_and_only_rises():
    board = WeightsBoard()
    assert board.version == -1 and board.newer_than(-1) is None
    board.publish(0, "zero")
    assert board.newer_than(-1) == "zero" and board.newer_than(0) is None
    board.publish(5, "five")
    assert (board.version, board.newer_than(0), board.newer_than(5)) == (5, "five", None)
    for version in (5, 4):
        with pytest.raises(ValueError, match="expected one after 5"):
            board.publish(version, "again")
