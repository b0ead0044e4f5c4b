"""`guerdon explain`: the terms of a stored row are those of the view, and they sum to its reward."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import UserError

PLAIN = ["runner=local", "tracking.enabled=false", "report_every_s=1000"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    where = tmp_path_factory.mktemp("runs")
    words = ["train", "catch", "reward=retrieval", "judge=rules", "frames=400", f"runs={where}", *PLAIN]
    assert CliRunner().invoke(app, words).exit_code == 0
    return f"runs={where}"


def explained(*words):
    found = CliRunner().invoke(app, ["explain", *words])
    assert found.exit_code == 0, found.output
    return found.output.splitlines()


@pytest.mark.slow
def test_each_step_of_a_row_sums_to_its_reward(runs):
    lines = explained("last", "0", runs)
    assert lines[0].startswith("row 0/0/0/0 ") and lines[1].startswith("reward = extrinsic + 0.1·[intrinsic/caption")
    start = next(k for k, line in enumerate(lines) if line.split()[:1] == ["step"])
    names = lines[start].split()[1:]
    terms = names[: names.index("reward")]
    for line in lines[start + 1 :]:
        cells = line.split()[1 : 2 + len(terms)]
        assert float(cells[-1]) == pytest.approx(sum(map(float, cells[:-1])), abs=1e-4)


@pytest.mark.slow
def test_a_row_is_found_by_its_id_even_where_others_begin_so(runs):
    assert explained("last", "0/0/0/1", runs)[0].startswith("row 0/0/0/1 ")
    last = explained("last", "last", runs)[0].split()[1]
    assert explained("last", last, runs)[0].split()[1] == last


@pytest.mark.slow
def test_a_row_that_is_not_there_is_named_with_some_that_are(runs):
    with pytest.raises(UserError, match=r"got row 'nobody', which 0 rows of .* match; expected the id of one of its"):
        raise CliRunner().invoke(app, ["explain", "last", "nobody", runs]).exception
