"""The report in a real browser: it loads without a complaint, its controls work, and no text is ever executed."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from benchmarks.apparatus.browser import Browser
from pipelines import checkpoint
from pipelines.reports.page import write_report
from pipelines.run_directory import RunDirectory

pytestmark = pytest.mark.slow


def show(browser: Browser, *directories: RunDirectory) -> None:
    """Write the report, and open it as a person does: as a file."""
    browser.problems.clear()
    browser.requests.clear()
    target = directories[0].report
    write_report(directories, target)
    browser.open(target.resolve().as_uri())


def test_a_report_loads_without_complaint_and_asks_nobody(browser: Browser, finished: RunDirectory) -> None:
    show(browser, finished)
    assert browser.problems == [] and browser.requests == []
    assert browser.ask("document.querySelectorAll('figure.chart svg').length") >= 8
    assert browser.ask("document.querySelectorAll('main, header, footer').length") == 3


def test_no_thread_of_the_browser_draws_from_the_generator_of_tests(browser: Browser) -> None:
    # Its pings would: a property test that draws at that moment fails, for its examples would not repeat.
    assert "keepalive" not in "".join(thread.name for thread in threading.enumerate())


def test_a_film_is_stepped_through_with_keys_buttons_and_slider(browser: Browser, finished: RunDirectory) -> None:
    show(browser, finished)
    place = "Number(document.querySelector('figure.film').dataset.place)"
    screen = "document.querySelector('figure.film .screen').textContent"
    browser.ask("document.querySelector('figure.film').focus()")
    before = browser.ask(screen)
    browser.press("ArrowRight")
    assert browser.ask(place) == 1 and browser.ask(screen) != before
    browser.press("ArrowLeft")
    assert browser.ask(place) == 0 and browser.ask(screen) == before
    browser.press("End")
    last = browser.ask("Number(document.querySelector('figure.film input').max)")
    assert browser.ask(place) == last > 0
    assert "end" in browser.ask("document.querySelector('figure.film .paid').textContent")
    browser.ask("document.querySelector('figure.film [data-go=first]').click()")
    assert browser.ask(place) == 0
    browser.ask(
        "(() => { const s = document.querySelector('figure.film input'); s.value = '2';"
        " s.dispatchEvent(new Event('input')); })()"
    )
    assert browser.ask(place) == 2
    browser.press("n")
    assert "reward" in browser.ask("document.querySelector('figure.film .paid').textContent")
    browser.ask("document.querySelector('figure.film [data-go=first]').click()")
    browser.ask("document.querySelector('figure.film [data-go=play]').click()")
    browser.wait_for(f"{place} >= 2", 20)
    assert browser.problems == []


def test_where_the_reward_of_a_step_came_from_is_said(browser: Browser, finished: RunDirectory) -> None:
    show(browser, finished)
    browser.ask("document.querySelector('figure.film [data-go=last]').click()")
    said = browser.ask("document.querySelector('figure.film .paid').textContent")
    assert "What paid" in said and "intrinsic" in said and "umpire-1" in said


def test_a_chart_is_read_with_the_keyboard_and_its_table_is_behind_it(browser: Browser, finished: RunDirectory) -> None:
    show(browser, finished)
    browser.ask("document.querySelector('figure.chart svg').focus()")
    browser.press("End")
    assert browser.ask("document.querySelector('figure.chart .readout').textContent").startswith("at ")
    assert browser.ask("document.querySelectorAll('figure.chart details table tbody tr').length") > 3


def test_the_theme_follows_the_reader_and_the_button(browser: Browser, finished: RunDirectory) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    browser.prefer("dark")
    show(browser, finished)
    browser.ask("localStorage.clear()")
    browser.ask("delete document.documentElement.dataset.theme")
    dark = browser.ask(colour)
    browser.prefer("light")
    light = browser.ask(colour)
    assert dark != light == "rgb(255, 255, 255)"
    browser.ask("document.querySelector('.theme').click()")
    assert browser.ask(colour) == dark
    browser.ask("localStorage.clear()")


def test_lines_of_two_recipes_are_switched_by_the_legend(
    browser: Browser, finished: RunDirectory, tmp_path: Path
) -> None:
    other = RunDirectory(Path(shutil.copytree(finished.root, tmp_path / "other")))
    show(browser, finished, other)
    button = "document.querySelector('figure.chart .legend button')"
    assert browser.ask(f"{button}.getAttribute('aria-pressed')") == "true"
    browser.ask(f"{button}.click()")
    assert browser.ask(f"{button}.getAttribute('aria-pressed')") == "false"
    assert browser.ask(f"{button}.closest('figure').querySelectorAll('.line.off').length") == 1


def test_the_report_of_a_language_run_loads_and_its_answers_are_opened(
    browser: Browser, answered: RunDirectory
) -> None:
    show(browser, answered)
    assert browser.problems == [] and browser.requests == []
    assert browser.ask("document.querySelectorAll('figure.chart svg').length") >= 5
    first = "document.querySelector('details.answer')"
    assert browser.ask(f"{first}.open") is False
    browser.ask(f"{first}.querySelector('summary').click()")
    assert browser.ask(f"{first}.open") is True
    assert browser.ask(f"{first}.querySelectorAll('.tok.own').length") > 0
    assert "probability" in browser.ask(f"{first}.querySelector('.tok.own').title")
    assert browser.ask("document.querySelectorAll('.tok.up1, .tok.up2, .tok.up3').length") > 0
    shaded = "getComputedStyle(document.querySelector('.tok.up1, .tok.up2, .tok.up3')).backgroundColor"
    assert browser.ask(shaded) != "rgba(0, 0, 0, 0)"
    assert "right" in browser.ask(f"{first}.querySelector('table').textContent")
    assert browser.problems == []


def test_what_a_reward_of_a_language_run_says_is_shown_and_never_executed(
    browser: Browser, answered: RunDirectory
) -> None:
    show(browser, answered)
    said = browser.ask("document.querySelector('section[aria-label^=Answers]').textContent")
    assert "<img src=x onerror=alert(1)>" in said and "NULL" in said
    assert browser.ask("document.querySelectorAll('img, main script:not([type])').length") == 0
    browser.ask("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        worst = browser.ask(CONTRAST)
        assert worst[0] >= 4.5, (scheme, worst)
    assert browser.problems == [] and browser.requests == []


HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>\u2028\x1b[2J\x00"\'><svg onload=alert(2)>'


def test_hostile_text_is_shown_and_never_executed(browser: Browser, finished: RunDirectory) -> None:
    _rename_captions(finished)
    finished.append_line(finished.events, {"time_s": 1.0, "role": HOSTILE, "what": HOSTILE, "cause": HOSTILE})
    finished.append_line(
        finished.root / "alarms.jsonl",
        {"time": 1.0, "monitor": HOSTILE, "kind": HOSTILE, "value": HOSTILE, "action": HOSTILE, "message": HOSTILE},
    )
    show(browser, finished)
    assert browser.problems == [] and browser.requests == []
    assert browser.ask("document.querySelectorAll('img, main svg[onload], main script:not([type])').length") == 0
    assert "<img src=x" in browser.ask("document.querySelector('section[aria-label=Alarms]').textContent")
    browser.ask("document.querySelectorAll('figure.film [data-go=last]').forEach((b) => b.click())")
    assert "<img src=x" in browser.ask("document.querySelector('figure.film .paid').textContent")
    assert browser.problems == []


def _rename_captions(directory: RunDirectory) -> None:
    """Let every caption of the newest checkpoint be hostile."""
    number, tree, _ = checkpoint.load(directory.checkpoints)
    tree["captions"] = [[ident, HOSTILE] for ident, _ in tree["captions"]]
    checkpoint.save(directory.checkpoints, number, tree)


def test_every_control_has_a_name_and_texts_have_contrast(browser: Browser, finished: RunDirectory) -> None:
    show(browser, finished)
    nameless = browser.ask(
        "[...document.querySelectorAll('button, input, svg[role=img], section, figure.film')].filter((one) =>"
        " !(one.getAttribute('aria-label') || one.textContent.trim() || one.closest('label'))).length"
    )
    assert nameless == 0
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        worst = browser.ask(CONTRAST)
        assert worst[0] >= 4.5, (scheme, worst)


CONTRAST = """(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (text) => { const c = parse(text).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; };
  const behind = (one) => { for (let at = one; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor, parts = parse(colour);
    if (parts.length < 4 || parts[3] > 0) return colour; } return 'rgb(255, 255, 255)'; };
  let worst = [99, ''];
  const texts = 'h1, h2, h3, p, td, th, dt, dd, summary, figcaption, button, span, b, pre';
  for (const one of document.querySelectorAll(texts)) {
    if (!one.textContent.trim() || !one.getClientRects().length) continue;
    const a = light(getComputedStyle(one).color), b = light(behind(one));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst[0]) worst = [ratio, one.tagName + ' ' + one.className + ': ' + one.textContent.slice(0, 40)];
  }
  return worst;
})()"""
