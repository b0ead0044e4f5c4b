"""Joining a Ray that is not there; what starts and joins one is tested end to end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ray.util import get_node_ip_address

from cluster.session import (
    ClusterUnavailable,
    Config,
    _keeps_to_loopback,
    _refuse_an_open_bind,
    is_loopback,
    ray_session,
)
from cluster.weights import WeightsBoard


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_listens_is_refused_within_seconds(scheme):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{closed.getsockname()[1]}"
        with (
            pytest.raises(ClusterUnavailable, match=r"nobody listens at .* or leave the address out") as caught,
            ray_session(Config(address=address), 1),
        ):
            pass
    assert "\n" not in str(caught.value)


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


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.0.3", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("::ffff:192.0.2.2", False),
        ("192.0.2.2", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_what_no_other_machine_reaches(host, loopback):
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(("bound", "alone"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_a_cluster_that_listens_on_loopback_alone_is_looked_for_there(bound, alone):
    if is_loopback(get_node_ip_address()):
        pytest.skip("this machine has no other address than loopback")
    with socket.create_server((bound, 0)) as server:
        port = server.getsockname()[1]
        assert _keeps_to_loopback(f"127.0.0.1:{port}") is alone
        assert not _keeps_to_loopback(f"192.0.2.99:{port}") and not _keeps_to_loopback("auto")


def test_an_open_bind_without_a_token_is_refused(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(ClusterUnavailable, match=r"listens at 192\.0\.2\.2:6379.*unset RAY_AUTH_MODE"):
        _refuse_an_open_bind("192.0.2.2:6379")
    _refuse_an_open_bind("127.0.0.1:6379")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    _refuse_an_open_bind("192.0.2.2:6379")


STARTED = """
import os, psutil, ray
from cluster.session import UNREAD, Config, ray_session
with ray_session(Config(object_store_mb=80), 1):
    @ray.remote
    class Host:
        def pid(self): return os.getpid()
    host = Host.remote()
    ray.get(host.pid.remote(), timeout=300)
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        for connection in process.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN:
                print("LISTENS", connection.laddr.ip)
        if any("log_monitor" in word for word in process.cmdline()):
            print("MONITORS", UNREAD.items() <= process.environ().items())
    @ray.remote(max_retries=1)
    def dies_once():
        if not os.path.exists(os.environ["DIED"]):
            open(os.environ["DIED"], "w").close()
            os._exit(1)
        return "alive"
    print("AGAIN", ray.get(dies_once.remote(), timeout=300))
"""


@pytest.mark.cluster
@pytest.mark.parametrize("mode", ["token", "disabled"])
def test_a_started_ray_listens_on_loopback_alone_and_is_silent_of_what_it_tries_again(mode, tmp_path):
    """In a process of its own: Ray reads the mode once."""
    done = subprocess.run(
        [sys.executable, "-c", STARTED],
        env={
            **os.environ,
            "RAY_AUTH_MODE": mode,
            "RAY_AUTH_TOKEN": "0123456789abcdef" * 2,
            "DIED": str(tmp_path / "died"),
        },
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=900,
    )
    hosts = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("LISTENS")]
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(hosts) > 3 and all(is_loopback(host) for host in hosts), hosts
    assert "MONITORS True" in done.stdout
    assert "AGAIN alive" in done.stdout and "will be retried" not in done.stdout + done.stderr
