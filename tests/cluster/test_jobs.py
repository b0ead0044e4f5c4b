"""A jobs server that does not answer is said to be one, in one line and in time."""

from __future__ import annotations

import socket
import threading

import pytest

from cluster import jobs
from cluster.jobs import Jobs
from cluster.session import ClusterUnavailable


@pytest.fixture
def silent():
    """A server that accepts connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held, stop = [], threading.Event()
        server.settimeout(0.1)

        def accept():
            while not stop.is_set():
                try:
                    held.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        stop.set()
        thread.join()
        for one in held:
            one.close()


@pytest.mark.slow
def test_a_server_that_never_answers_is_not_waited_for_for_ever(silent, monkeypatch):
    monkeypatch.setattr(jobs, "CALL_S", 0.5)
    with pytest.raises(ClusterUnavailable, match="has not answered within"):
        Jobs(silent)
