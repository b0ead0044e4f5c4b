"""The pictures of reports in the documents, taken of real runs.

python -m benchmarks.report_pictures RUN LANGUAGE_RUN
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.browser import Browser
from pipelines.reports.page import write_report
from pipelines.run_directory import RunDirectory

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
COLOURS = 64  # of a picture: pages are drawn in few


def main(words: list[str]) -> None:
    """Take them."""
    run, language = (RunDirectory.existing(word, Path("runs")) for word in words)
    with Browser(width=1160, height=900) as browser, tempfile.TemporaryDirectory() as work:
        pages = {}
        for name, directory in (("run", run), ("language", language)):
            pages[name] = Path(work) / f"{name}.html"
            write_report([directory], pages[name])
        browser.prefer("light")
        browser.open(pages["run"].as_uri())
        take(browser, "report-run", "body", 1330)
        browser.prefer("dark")
        press = "document.querySelectorAll('figure.film [data-go=event]').forEach((b) => b.click())"
        browser.ask(press)
        take(browser, "report-episode", "figure.film")
        browser.open(pages["language"].as_uri())
        browser.ask("document.querySelectorAll('.answer').forEach((one, i) => { one.open = i % 4 === 0; })")
        browser.prefer("light")
        take(browser, "report-answers", "section[aria-label^=Answers]")
        if browser.problems:
            raise SystemExit("\n".join(browser.problems))


def take(browser: Browser, name: str, selector: str, most_height: int = 1400) -> None:
    """One picture of an element, in few colours."""
    path = PICTURES / f"{name}.png"
    browser.picture(path, selector, most_height=most_height)
    image = Image.open(io.BytesIO(path.read_bytes())).convert("RGB")
    image.quantize(COLOURS).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} kB, {image.width} x {image.height}")


if __name__ == "__main__":
    main(sys.argv[1:])
