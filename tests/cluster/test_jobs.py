"""A jobs server that does not answer is said to be one, in one line and in time."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cluster import jobs
from cluster.jobs import Jobs
from cluster.session import ClusterUnavailable


@pytest.fixture(params=[False])
def silent(request):
    """A server that accepts connections, and says nothing; or hangs up, as one of another kind does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held, stop = [], threading.Event()
        server.settimeout(0.1)

        def accept():
            while not stop.is_set():
                try:
                    held.append(server.accept()[0])
                    if request.param:
                        held[-1].close()
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
@pytest.mark.parametrize("silent", [True], indirect=True)
def test_what_is_no_jobs_server_is_said_to_be_none(silent):
    with pytest.raises(ClusterUnavailable, match=f"what listens at {silent} is no jobs server of Ray"):
        Jobs(silent)


@pytest.mark.slow
def test_what_answers_everything_with_not_found_is_no_jobs_server_either():
    class Nothing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, format, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(ClusterUnavailable, match="is no jobs server of Ray"):
            Jobs(f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()


@pytest.mark.slow
def test_a_server_that_never_answers_is_not_waited_for_for_ever(silent, monkeypatch):
    monkeypatch.setattr(jobs, "CALL_S", 0.5)
    with pytest.raises(ClusterUnavailable, match="has not answered within"):
        Jobs(silent)
