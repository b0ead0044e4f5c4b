"""`guerdon report --live`: the page of a run that goes on, served to this machine and renewed when the run writes.

A small server on the loopback address. Its path begins with a random token, so that other users of the machine, and
pages of other sites, cannot read what the run says. The page hears by server-sent events that there is news, and
fetches its new self. The server ends when all the runs have ended, or with Ctrl-C.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pipelines.errors import UserError
from pipelines.reports.page import render_page
from pipelines.run_directory import RunDirectory

EVERY_S = 2.0  # how often it is looked whether there is news
LAST_LOOK_S = 4.0  # how long the last state can be fetched after the end
KEEP_ALIVE_S = 15.0


class LivePage:
    """The page of some runs, rendered anew when their files have changed.

    Attributes:
        ended: set when no run goes on any more.
    """

    def __init__(self, directories: Sequence[RunDirectory]) -> None:
        """Nothing rendered yet."""
        self._directories = list(directories)
        self._lock = threading.Lock()
        self._rendered: tuple[tuple[tuple[int, int], ...], bytes] | None = None
        self.ended = threading.Event()

    def mark(self) -> tuple[tuple[int, int], ...]:
        """Changes when a run has written something: size and time of its small files."""
        found = []
        for directory in self._directories:
            for path in (directory.metrics, directory.events, directory.ledger, directory.alarms):
                try:
                    status = path.stat()
                    found.append((status.st_size, status.st_mtime_ns))
                except OSError:
                    found.append((0, 0))
        return tuple(found)

    def content(self) -> bytes:
        """The page as it is now; one thread renders, the others wait for it."""
        with self._lock:
            mark = self.mark()
            if self._rendered is None or self._rendered[0] != mark:
                page = render_page(self._directories, live=True)
                self._rendered = (mark, page.encode("utf-8", "replace"))
            return self._rendered[1]

    def watch(self) -> None:
        """Look once whether a run goes on."""
        if not any(goes_on(directory) for directory in self._directories):
            self.ended.set()


def goes_on(directory: RunDirectory) -> bool:
    """Whether a process holds the run's lock."""
    try:
        descriptor = os.open(directory.root / ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def make_server(page: LivePage, token: str, port: int) -> ThreadingHTTPServer:
    """The server, bound to the loopback address and not yet serving.

    Raises:
        UserError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        """Answers `/TOKEN/`, `/TOKEN/page` and `/TOKEN/events`, and nothing else."""

        server_version, sys_version, protocol_version = "guerdon", "", "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            """One request."""
            host = (self.headers.get("Host") or "").rpartition(":")[0]
            given, _, rest = self.path.partition("?")[0].lstrip("/").partition("/")
            if host not in ("127.0.0.1", "localhost") or not secrets.compare_digest(given.encode(), token.encode()):
                self.send_error(404)
            elif rest in ("", "page"):
                self._answer(page.content(), "text/html; charset=utf-8")
            elif rest == "events":
                self._events()
            else:
                self.send_error(404)

        def _answer(self, content: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            for name, value in (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")):
                self.send_header(name, value)
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(content)

        def _events(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            seen, said = page.mark(), time.monotonic()
            try:
                while not page.ended.wait(EVERY_S):
                    mark, now = page.mark(), time.monotonic()
                    if mark != seen:
                        seen, said = mark, now
                        self._tell("event: changed\ndata: -\n\n")
                    elif now - said > KEEP_ALIVE_S:
                        said = now
                        self._tell(": still here\n\n")
                self._tell("event: ended\ndata: -\n\n")
            except OSError:
                return  # whoever looked has gone

        def _tell(self, text: str) -> None:
            self.wfile.write(text.encode())
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the terminal is for people."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        raise UserError(f"port={port} cannot be used: {error}; choose another, or leave it out") from None
    server.daemon_threads = True
    return server


def serve_live(
    directories: Sequence[RunDirectory], port: int = 0, say: Callable[[str], None] = print, every_s: float = EVERY_S
) -> None:
    """Serve the page until the runs end, or until Ctrl-C.

    Args:
        directories: the runs.
        port: to listen on; 0: any that is free.
        say: is told the address, and the end.
        every_s: how often it is looked whether a run goes on.

    Raises:
        UserError: none of the runs goes on, or the port is taken.
    """
    names = ", ".join(str(directory.root) for directory in directories)
    if not any(goes_on(directory) for directory in directories):
        raise UserError(f"got --live for {names}, which nobody is writing to; leave --live out to get the report")
    page, token = LivePage(directories), secrets.token_urlsafe(16)
    server = make_server(page, token, port)
    thread = threading.Thread(target=server.serve_forever, name="report", daemon=True)
    thread.start()
    say(f"live report: http://127.0.0.1:{server.server_address[1]}/{token}/   (until the run ends; Ctrl-C ends it now)")
    try:
        while not page.ended.wait(every_s):
            page.watch()
        time.sleep(LAST_LOOK_S)
        say(f"the run has ended; `guerdon report {Path(directories[0].root)}` keeps its report")
    except KeyboardInterrupt:
        page.ended.set()
        say("stopped; the run goes on")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
