from rewards.judges.constancy import Config, ConstancyDetector
from rewards.judges.judge import Answer, question
from rewards.verdicts import Status


def feed(detector, values, kind="response", start=0):
    said = []
    for number, value in enumerate(values, start=start):
        status = Status.OK if value is not None else Status.TIMEOUT
        one = question(kind, [str(number)] if kind == "response" else [str(number), "x"])
        said.append(detector.observe(one, Answer(status, value)))
    return [message for message in said if message]


def test_a_judge_whose_answers_are_always_the_same_is_flagged_once_with_value_and_number():
    detector = ConstancyDetector(Config(answers=5))
    (message,) = feed(detector, [1.0] * 20)
    assert (
        "the value 1 to each of the last 5 different response questions" in message and "look at the rubric" in message
    )
    assert detector.flags == {"response": message}


def test_one_other_answer_takes_the_flag_back_and_it_can_come_again():
    detector = ConstancyDetector(Config(answers=5))
    feed(detector, [1.0] * 6)
    assert feed(detector, [0.0], start=6) == [] and detector.flags == {}
    assert len(feed(detector, [1.0] * 6, start=7)) == 1


def test_answers_that_differ_are_never_flagged():
    assert feed(ConstancyDetector(Config(answers=3)), [0.0, 0.0, 1.0] * 9) == []


def test_nulls_and_repeated_questions_do_not_count():
    detector = ConstancyDetector(Config(answers=3))
    assert feed(detector, [None] * 9 + [1.0, 1.0]) == []
    for _ in range(9):
        assert detector.observe(question("response", ["9"]), Answer(Status.OK, 1.0)) is None


def test_kinds_of_question_are_watched_apart():
    detector = ConstancyDetector(Config(answers=4))
    feed(detector, [1.0] * 3)
    assert feed(detector, [1.0] * 3, kind="pair") == []
    assert len(feed(detector, [0.5, 1.0, 1.0, 1.0, 1.0], kind="pair", start=3)) == 1
