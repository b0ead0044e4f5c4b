import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.judges.kinds.arithmetic import ArithmeticRefused, evaluate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("-2 ** 2", -4), ("2 ^ 10", 1024), ("7 // 2", 3), ("7 % 4", 3),
        ("1 / 4", 0.25), ("sqrt(16) + abs(-1)", 5), ("max(1, 2, 3)", 3), ("round(2.6)", 3), (" 1e3 ", 1000),
        ("2 * pi", 2 * math.pi),
    ],
)  # fmt: skip
def test_arithmetic_by_hand(expression, value):
    assert evaluate(expression) == pytest.approx(value)


@given(st.integers(-99, 99), st.integers(-99, 99), st.sampled_from("+-*"))
def test_it_agrees_with_python(a, b, sign):
    assert evaluate(f"({a}) {sign} ({b})") == {"+": a + b, "-": a - b, "*": a * b}[sign]


@pytest.mark.slow
@pytest.mark.parametrize(
    "expression",
    [
        "", " ", "one", "__import__('os')", "().__class__", "[1, 2]", "'a' * 9", "1 if 1 else 2", "True", "1j",
        "lambda: 1", "9 ** 9 ** 9", "10 ** 400", "2 ** 1001", "1e308 * 10", "1 / 0", "sqrt(-1)", "(-8) ** 0.5", "1, 2",
        "x = 1", "abs(number=1)", "open('x')", "max([1])", "1 < 2", "1" * 400, "(" * 90 + "1" + ")" * 90 + "+(" * 60,
        "-" * 200 + "1", "1e999", "nan", "inf", "\0",
    ],
)  # fmt: skip
def test_everything_else_is_refused(expression):
    with pytest.raises(ArithmeticRefused):
        evaluate(expression)


@pytest.mark.parametrize(
    "expression", ["round(1, -9999999999)", "round(7, -10 ** 290)", "round(7, 1e9)", "round(7, -2000)"]
)
def test_rounding_makes_no_power_of_ten_that_nobody_can_hold(expression):
    with pytest.raises(ArithmeticRefused, match="digits"):
        evaluate(expression)
    assert evaluate("round(1234, -2)") == 1200 and evaluate("round(2.345, 2)") == round(2.345, 2)
