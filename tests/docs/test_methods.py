"""The index of methods is true: parts import, presets build, tests and evidence are there; the page is made from it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.methods.__main__ import check_of
from pipelines.cli import app
from pipelines.errors import UserError
from pipelines.methods import DOCS, PAGE, Method, card, page, part_of, read_index, search

HOUSE = DOCS.parent
INDEX = read_index()
BUILT = [method for method in INDEX if method.part]


def named(method):
    return f"{method.n}-{method.name}"


def test_every_paper_is_in_the_index_once():
    assert [method.n for method in INDEX] == list(range(1, 229))


@pytest.mark.slow
@pytest.mark.parametrize("method", BUILT, ids=named)
def test_the_part_imports_and_has_the_preset(method):
    part = part_of(method)
    if method.preset:
        assert method.preset in part.presets


@pytest.mark.slow
@pytest.mark.parametrize("method", [method for method in BUILT if method.identity], ids=named)
def test_the_identity_test_is_there_and_is_not_skipped(method):
    file, _, name = method.identity.partition("::")
    functions = [node for node in ast.parse((HOUSE / file).read_text()).body if isinstance(node, ast.FunctionDef)]
    found = [function for function in functions if function.name == name.partition("[")[0]]
    assert len(found) == 1, f"{method.identity} is not there"
    assert not any("skip" in ast.unparse(mark) for mark in found[0].decorator_list)


@pytest.mark.slow
@pytest.mark.parametrize("method", [method for method in BUILT if method.evidence], ids=named)
def test_the_evidence_is_of_its_check_and_names_the_command(method):
    check, result = check_of(method.check), method.result
    assert check.row == method.n and method.evidence == f"methods/{check.file}.json"
    assert (result.command, result.claim) == (check.command, check.claim)
    assert min(found.n for found in result.figures.values()) >= 3, "three seeds at least"


def test_the_page_is_made_from_the_index():
    assert PAGE.read_text(encoding="utf-8") == page(INDEX), "run `python -m pipelines.methods`"


def test_a_method_that_works_without_its_evidence_is_refused(tmp_path):
    with pytest.raises(ValueError, match="row 3 is 'works' without part, maps, config, identity, check, evidence"):
        Method(n=3, paper="p", kind="source", name="x", status="works")
    (tmp_path / "index.yaml").write_text("- {n: 2, paper: p, kind: source, name: x, status: works}")
    with pytest.raises(UserError, match="row 2 is 'works' without"):
        read_index(Path(tmp_path / "index.yaml"))


@pytest.mark.slow
def test_methods_are_found_by_words_and_shown_with_what_is_known():
    assert [method.n for method in search(INDEX, "starc distance")] == [2]
    found = CliRunner().invoke(app, ["methods", "starc"])
    assert found.exit_code == 0 and "STARC" in found.output
    assert "STARC" in CliRunner().invoke(app, ["methods", "show", "2"]).output
    assert isinstance(CliRunner().invoke(app, ["methods", "show", "999"]).exception, UserError)
    assert all(str(method.n) in card(method) for method in INDEX)
