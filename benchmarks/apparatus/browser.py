"""A headless Chromium, driven by its own protocol over a websocket: pages are opened, asked, pressed and pictured.

The browser is the system's. It runs without network beyond this machine, in a profile that is thrown away.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_S, ANSWER_S = 120.0, 120.0


def find_browser() -> str | None:
    """The path of a Chromium of this machine; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One browser with one page. `with Browser() as page:` ends it."""

    def __init__(self, path: str | None = None, width: int = 1200, height: int = 900) -> None:
        """Start it.

        Raises:
            RuntimeError: there is none, or it did not start in time.
        """
        path = path or find_browser()
        if path is None:
            raise RuntimeError(f"found none of {', '.join(NAMES)}; install one, on Debian: apt install chromium")
        self._profile = tempfile.mkdtemp(prefix="browser-")
        self.problems: list[str] = []
        self.requests: list[str] = []  # addresses that pages have asked for, files apart
        words = [path, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={self._profile}"]
        words += ["--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
        words += [f"--window-size={width},{height}", "--hide-scrollbars", "--no-proxy-server"]
        if os.geteuid() == 0:
            words.append("--no-sandbox")  # Chromium refuses to run as root with one
        self._process = subprocess.Popen([*words, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._page: ClientConnection | None = None
        self._connections = ExitStack()
        self._asked = 0
        try:
            # Without pings: a thread would draw them from `random`, in the midst of what else this process draws there.
            self._page = self._connections.enter_context(
                connect(self._address(), max_size=None, open_timeout=START_S, ping_interval=None, proxy=None)
            )
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Browser:
        """The page itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the browser."""
        self.close()

    def close(self) -> None:
        """End the browser, and forget its profile."""
        self._connections.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _address(self) -> str:
        """Where the page listens: the browser writes its port into its profile when it is up."""
        import httpx

        port_file, until = Path(self._profile) / "DevToolsActivePort", time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            if port_file.is_file() and (lines := port_file.read_text().split()):
                with httpx.Client(trust_env=False, timeout=START_S) as client:
                    targets = client.get(f"http://127.0.0.1:{lines[0]}/json/list").json()
                pages = [one["webSocketDebuggerUrl"] for one in targets if one["type"] == "page"]
                if pages:
                    return str(pages[0])
            time.sleep(0.05)
        raise RuntimeError(f"the browser did not start within {START_S:g} s")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; what the page complains of meanwhile is kept in `problems`.

        Raises:
            RuntimeError: the browser refuses.
            TimeoutError: it does not answer.
        """
        assert self._page is not None
        self._asked += 1
        self._page.send(json.dumps({"id": self._asked, "method": method, "params": parameters}))
        until = time.monotonic() + ANSWER_S
        while True:
            said = json.loads(self._page.recv(timeout=max(0.0, until - time.monotonic())))
            if said.get("id") == self._asked:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                return dict(said["result"])
            self._note(said)

    def _note(self, said: dict[str, Any]) -> None:
        about = said.get("params", {})
        match said.get("method"):
            case "Runtime.exceptionThrown":
                self.problems.append(f"exception: {json.dumps(about['exceptionDetails'])[:500]}")
            case "Runtime.consoleAPICalled" if about["type"] in ("error", "warning", "assert"):
                self.problems.append(f"console: {json.dumps(about['args'])[:500]}")
            case "Log.entryAdded" if about["entry"]["level"] in ("error", "warning"):
                self.problems.append(f"log: {about['entry']['text'][:500]} {about['entry'].get('url', '')}")
            case "Network.requestWillBeSent" if not about["request"]["url"].startswith(("file:", "data:", "about:")):
                self.requests.append(about["request"]["url"])
            case "Page.javascriptDialogOpening":
                self.problems.append(f"dialog: {about['message']}")

    def open(self, address: str) -> None:
        """Go to a page, and wait until it and its scripts are loaded.

        Raises:
            TimeoutError: it was not loaded in time.
        """
        self.call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete'")

    def ask(self, expression: str) -> Any:
        """The value of an expression on the page, as plain data.

        Raises:
            RuntimeError: it threw.
        """
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {json.dumps(found['exceptionDetails'])[:500]}")
        return found["result"].get("value")

    def wait_for(self, expression: str, timeout_s: float = ANSWER_S) -> None:
        """Wait until an expression is true.

        Raises:
            TimeoutError: it did not become true.
        """
        until = time.monotonic() + timeout_s
        while not self.ask(expression):
            if time.monotonic() > until:
                raise TimeoutError(f"{expression} did not become true within {timeout_s:g} s")
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """Press and release a key, as a person does."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def prefer(self, scheme: str) -> None:
        """Let the reader's setting be `light` or `dark`."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, to: Path, selector: str | None = None, margin: int = 8, most_height: int = 4000) -> None:
        """A picture of what is visible, or of an element as a whole, as PNG."""
        clip = {}
        if selector is not None:
            box = self.ask(
                f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                " return [b.left + scrollX, b.top + scrollY, b.width, b.height]; })()"
            )
            left, top, width, height = box
            clip = {
                "clip": {
                    "x": max(0, left - margin),
                    "y": max(0, top - margin),
                    "width": width + 2 * margin,
                    "height": min(height + 2 * margin, most_height),
                    "scale": 1,
                }
            }
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=selector is not None, **clip)
        to.write_bytes(base64.b64decode(shot["data"]))
