"""mytensor.exercise: solutions are right, planted mistakes are wrong, stubs are not done, and nothing raises."""

import importlib.util
import json
import os
import pathlib
import sys
import threading

import numpy as np
import pytest

import mytensor as mt
from mytensor import exercise
from mytensor.check import mutants
from mytensor.check.operation import reject_mutants
from mytensor.exercise import EXERCISES, Exercise, Progress, Question, judge

ROOT = pathlib.Path(__file__).resolve().parent.parent


def load_notebook_tool():
    pytest.importorskip("jupytext")
    spec = importlib.util.spec_from_file_location("notebook_tool", ROOT / "scripts" / "notebooks.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = load_notebook_tool()
CELLS = {found.number: found for name in TOOL.all_names() for found in TOOL.exercises_of(TOOL.read_source(name))[0]}
MISTAKES = [
    (number, name)
    for number, declared in sorted(EXERCISES.items())
    if isinstance(declared, Exercise)
    for name in declared.mistakes
]


@pytest.fixture(autouse=True)
def no_progress(monkeypatch):
    monkeypatch.setenv("MYTENSOR_PROGRESS", os.devnull)


def defined(number, code):
    """What `code` makes of the exercise's name, after what the notebook defines before it."""
    cells = CELLS[number]
    space = {}
    exec(compile(cells.before, f"<before {number}>", "exec"), space)
    exec(compile(code, f"<{number}>", "exec"), space)
    return space[cells.name] if cells.name in space and "_solution" not in code else space[f"{cells.name}_solution"]


def test_every_exercise_stands_in_its_notebook():
    assert sorted(CELLS) == sorted(EXERCISES)


@pytest.mark.parametrize("number", sorted(EXERCISES))
def test_solution_is_right(number):
    verdict = exercise.answer(number, defined(number, CELLS[number].solution))
    assert verdict.state == "right", verdict


@pytest.mark.parametrize("number", sorted(EXERCISES))
def test_stub_is_not_done(number):
    verdict = exercise.answer(number, defined(number, CELLS[number].stub))
    assert str(verdict) == f"○ {number} {EXERCISES[number].title}: not done yet"


@pytest.mark.parametrize(("number", "mistake"), MISTAKES)
def test_planted_mistake_is_wrong(number, mistake):
    right, wrong = EXERCISES[number].mistakes[mistake]
    solution = CELLS[number].solution
    assert solution.count(right) == 1, f"{right!r} must stand once in the solution"
    given = defined(number, solution.replace(right, wrong))
    verdict = exercise.answer(number, given)
    assert verdict.state == "wrong", verdict
    assert "\n" not in str(verdict)
    assert str(exercise.answer(number, given)) == str(verdict), "the line differs from run to run"


@pytest.mark.parametrize("number", sorted(number for number, it in EXERCISES.items() if isinstance(it, Exercise)))
def test_bugs_in_the_results_are_rejected(number):
    """The common bugs of mytensor.check and those that the exercise names, planted in the solution's results."""
    declared = EXERCISES[number]
    assert declared.mistakes
    solution = judge.judged(declared, defined(number, CELLS[number].solution))
    attempts = judge.attempts_of(declared, solution, judge.seed_of(number))
    for attempt in attempts:
        attempt.got = attempt.call()
    rejected = reject_mutants(declared.family, attempts)
    assert {mutant.name for mutant in declared.family.mutants} <= set(rejected)
    assert mutants.COMMON[0].name in rejected


@pytest.mark.parametrize("number", sorted(number for number, it in EXERCISES.items() if isinstance(it, Question)))
def test_wrong_values_are_wrong(number):
    declared = EXERCISES[number]
    assert declared.mistakes
    for value, remark in declared.mistakes:
        verdict = exercise.answer(number, value)
        assert verdict.state == "wrong" and remark in verdict.words
    for odd in ("", "odd", -1.5, float("nan"), True, [1, [2]], object(), {}, np.zeros((2, 2)), range(3), 10**400):
        assert exercise.answer(number, odd).state == "wrong"


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")

    def __array__(self, *_):
        raise RuntimeError("no")


NUMBER = "02.2"  # an exercise to try odd functions on


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda *a, **o: 1 / 0, "your code raised ZeroDivisionError: division by zero"),
        (lambda: 1, "your code raised TypeError"),
        (lambda *a, **o: "text", "wrong"),
        (lambda *a, **o: (1, 2), "a tuple of 2, wanted one array"),
        (lambda *a, **o: [[1.0], [2.0, 3.0]], "cannot be used"),
        (lambda *a, **o: np.zeros((2, 3)), "the shape is (2, 3), wanted (6, 12)"),
        (lambda *a, **o: np.zeros((6, 12), np.float32), "the dtype is float32, wanted float64"),
        (lambda *a, **o: np.full((6, 12), np.nan), "output[0, 0] is nan"),
        (lambda *a, **o: Unprintable(), "cannot be used"),
        (Unprintable(), "wanted is a function"),
        (lambda *a, **o: (_ for _ in ()).throw(SyntaxError()), "your code raised SyntaxError"),
        (5, "wanted is a function, this is 5"),
    ],
)
def test_odd_answers_are_told_in_words(given, words):
    verdict = exercise.answer(NUMBER, given)
    assert verdict.state == "wrong"
    if words != "wrong":
        assert words in verdict.words
    assert "\n" not in str(verdict)


def test_recursion_without_end_is_told():
    def forever(*arguments, **options):
        return forever(*arguments, **options)

    assert "RecursionError" in exercise.answer(NUMBER, forever).words


@pytest.mark.parametrize("nothing", [None, ..., lambda *a, **o: None, lambda *a, **o: ...])
def test_nothing_is_not_done(nothing):
    assert exercise.answer(NUMBER, nothing).state == "not done"


def test_a_wrong_array_gets_a_picture_with_a_sentence():
    verdict = exercise.answer(NUMBER, lambda *a, **o: np.zeros((6, 12)))
    assert verdict.words.startswith("output[0, 0] is 0, wanted ")
    assert "of 72 elements are wrong (with image (1, 4, 6), kernel_size=(2, 3), padding=0, stride=1)" in verdict.words
    assert verdict.picture.png.startswith(b"\x89PNG")
    assert "crosses mark wrong elements: 72 of 72" in verdict.picture.sentence


def test_unknown_numbers_are_answered():
    assert "there are" in exercise.answer("99.1", 1).words


def test_stop_button_gets_through():
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exercise.answer(NUMBER, stopped)


def test_memory_mode_is_put_back():
    before = mt.memory_mode()
    exercise.answer(NUMBER, lambda *a, **o: 1 / 0)
    assert mt.memory_mode() == before


# ---------------------------------------------------------------------------------------------------------------------
# Progress
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / ".progress.json"
    monkeypatch.setenv("MYTENSOR_PROGRESS", str(path))
    return path


def test_progress_is_remembered_and_right_stays_right(file, capsys):
    exercise("02.1", ...)
    assert not file.exists()
    exercise("02.1", 1)
    assert json.loads(file.read_text()) == {"02.1": "wrong"}
    exercise("02.1", 3)
    exercise("02.1", 1)
    assert json.loads(file.read_text()) == {"02.1": "right"}
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines] == ["○", "✗", "✓", "✗"]
    assert "●" in repr(exercise.progress())
    assert "● 02.1" in exercise.progress()._repr_html_()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"[]", b'{"02.1": ', b"[" * 100_000, b'{"02.1": ["right"], "99.9": "right", "x": {}}'],
)
def test_odd_files_are_survived(file, content):
    file.write_bytes(content)
    assert "02.1" not in Progress(file).outcomes()
    repr(Progress(file))
    assert Progress(file).remember("02.1", "right") is None
    assert Progress(file).outcomes()["02.1"] == "right"
    if content and not content.endswith(b"}"):
        assert file.with_name(".progress.json.odd").read_bytes() == content


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    assert Progress(tmp_path / "nowhere" / "p.json").remember("02.1", "right") == "No such file or directory"
    (tmp_path / "folder").mkdir()
    assert Progress(tmp_path / "folder").remember("02.1", "right") is not None


def test_two_notebooks_at_once_lose_nothing(file):
    numbers = sorted(EXERCISES)
    threads = [threading.Thread(target=Progress(file).remember, args=(number, "right")) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(Progress(file).outcomes()) == numbers


def test_a_file_cut_short_is_never_seen(file, monkeypatch):
    Progress(file).remember("02.1", "right")

    def cut(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", cut)
    assert Progress(file).remember("02.2", "right") == "No space left on device"
    assert Progress(file).outcomes() == {"02.1": "right"}
    assert list(file.parent.iterdir()) == [file]
