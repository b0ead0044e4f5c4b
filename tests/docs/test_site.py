"""The documentation builds as a site, without a network and without a link that leads nowhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

HOUSE = Path(__file__).resolve().parents[2]
LOADED = re.compile(r"<(?:script|img|iframe|source)[^>]+src=[\"']?(?:https?:)?//|<link[^>]+rel=[\"']?stylesheet[^>]+//")


def pages_of(nav: object) -> set[str]:
    """The pages that a navigation names."""
    if isinstance(nav, str):
        return {nav}
    parts = nav.values() if isinstance(nav, dict) else nav
    return {page for part in parts for page in pages_of(part)}  # type: ignore[union-attr]


def test_each_page_has_its_place_in_the_navigation():
    settings = yaml.safe_load((HOUSE / "mkdocs.yml").read_text(encoding="utf-8"))
    docs = HOUSE / "docs"
    pages = {str(path.relative_to(docs)) for path in [*docs.glob("*.md"), *(docs / "how-to").glob("*.md")]}
    assert pages - pages_of(settings["nav"]) == set()


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", tmp_path / "site"],
        cwd=HOUSE,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 60
    assert "vtrace" in (tmp_path / "site/reference/learners.html").read_text(encoding="utf-8")
    for page in pages:
        found = LOADED.search(page.read_text(encoding="utf-8"))
        assert found is None, f"{page.relative_to(tmp_path)} loads {found[0]}"
