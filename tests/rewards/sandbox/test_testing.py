"""Tests and code in two sandboxes: right code passes, and code that only says so does not."""

from __future__ import annotations

import ast

import pytest

from rewards.sandbox.inside.tester import unbound
from rewards.sandbox.session import sandbox_works
from rewards.sandbox.testing import TestsBroken, run_tests
from rewards.sandbox.tiers import Config, Limits

needs_sandbox = pytest.mark.skipif(not sandbox_works(Config()), reason="no sandbox of tier process on this machine")
FORGED = """
import os
for fd in range(3, 9):
    try:
        os.write(fd, bytes([0, 0, 0, 16]) + bytes(16))
    except OSError:
        pass
"""
CONFIG = Config(limits=Limits(wall_s=60.0, memory_mb=128, processes=4, disk_mb=2, output_kb=256))


def test_names_that_neither_test_nor_python_binds_belong_to_the_code():
    test = "import math\ndef check(f):\n    assert f(len([1])) == math.pi\nfor k in range(3):\n    check(area)\nx = k"
    assert unbound(ast.parse(test)) == {"area"}
    assert unbound(ast.parse("assert abs(f(1)) == __name__")) == {"f"}


@pytest.mark.slow
@needs_sandbox
def test_functions_classes_iterators_exceptions_and_arguments_work_across_the_wall():
    code = """
class Stack:
    def __init__(self): self.items = []
    def push(self, x): self.items.append(x); return self
def count(n):
    yield from range(n)
def sort(items): items.sort()
def fail(): raise ValueError('no')
def same(**named): return named
limit = 10 ** 30
"""
    tests = [
        "s = Stack(); s.push(1).push((2, 3)); assert s.items == [1, (2, 3)]",
        "assert list(count(3)) == [0, 1, 2]",
        "x = [3, 1, 2]; sort(x); assert x == [1, 2, 3]",
        "try:\n    fail()\n    assert False\nexcept ValueError as e:\n    assert str(e) == 'no'",
        "assert same(a={1, 2}, b=None) == {'a': {1, 2}, 'b': None}",
        "from solution import limit\nimport solution\nassert limit == solution.limit == 10 ** 30",
        "def check(candidate):\n    assert candidate(a=1) == {'a': 1}\ncheck(same)",
        "assert same() is None",
        "assert missing() == 1",
    ]
    report = run_tests(CONFIG, code, tests)
    assert report.fault == ""
    assert report.passed == (True,) * 7 + (False,) * 2
    assert report.causes[7].startswith("AssertionError")
    assert report.causes[8].startswith("AttributeError")
    assert report.share == pytest.approx(7 / 9)
    assert report.tier == "process"


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("def f(:", "does not load: SyntaxError"),
        ("1 / 0", "does not load: ZeroDivisionError"),
        ("import sys\nsys.exit(0)", "exit 0"),
        ("import os\ndef f(x): os._exit(0)", "exit 0"),
        ("def f(x): raise KeyboardInterrupt", "exit 1"),
        (FORGED, "protocol"),
    ],
)
def test_code_that_ends_its_process_or_speaks_out_of_turn_is_at_fault(code, fault):
    report = run_tests(CONFIG, code, ["assert f(1) == 1", "assert f(2) == 2"])
    assert fault in report.fault
    assert report.passed == (False, False)
    assert all(report.causes)


@pytest.mark.slow
@needs_sandbox
def test_an_object_that_equals_everything_equals_nothing_here():
    code = "class Yes:\n    def __eq__(self, other): return True\ndef f(x): return Yes()"
    assert run_tests(CONFIG, code, ["assert f(1) == 1", "assert f(1) == f(1)"]).passed == (False, False)


@pytest.mark.slow
@needs_sandbox
def test_code_cannot_shadow_what_tests_take_from_python():
    code = "def abs(x): return 0\ndef f(x): return 99"
    assert run_tests(CONFIG, code, ["assert abs(f(1) - 1) < 0.1"]).passed == (False,)


@pytest.mark.slow
@needs_sandbox
def test_an_answer_that_ends_the_tests_is_the_codes_fault():
    # The tests are known to run with a right solution; a huge answer is what ended them.
    report = run_tests(CONFIG, "def f(x): return 10 ** 9", ["assert len(b'x' * f(1)) == 1", "assert f(1) == 10 ** 9"])
    assert report.passed[0] is False


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize("tests", [[], ["assert f("], ["x = 1", "def"]])
def test_broken_tests_are_not_the_codes_fault(tests):
    with pytest.raises(TestsBroken):
        run_tests(CONFIG, "def f(x): return x", tests)
