"""Under `python -O` and `-OO` everything that finds a fault still finds it, and no missing docstring is in the way."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

from mytensor.__main__ import _parser

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = [*sorted((ROOT / "mytensor").rglob("*.py")), *sorted((ROOT / "scripts").glob("*.py")), ROOT / "setup.py"]
FLAGS = ["-O", "-OO"]


def vanishing(tree: ast.AST) -> list[int]:
    """The lines of what -O leaves out."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) or (isinstance(node, ast.Name) and node.id == "__debug__")
    ]


def test_what_vanishes_is_seen():
    planted = "def f(x):\n    if x:\n        assert x > 0, x\n    return __debug__\n"
    assert sorted(vanishing(ast.parse(planted))) == [3, 4]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_source_asserts_by_a_statement(path):
    assert vanishing(ast.parse(path.read_text(encoding="utf-8"))) == [], "raise AssertionError instead"


def python(*arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MYTENSOR_PROGRESS": os.devnull}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


# Each line of it finds a fault, or is a flow that must work. Without torch, whose own sources -O would compile anew.
PROGRAM = """
import sys
import numpy as np
import mytensor as mt
import mytensor.nn.functional as F
from mytensor import check
from mytensor import exercise
from mytensor.inspect.source import source
from mytensor.training import Recipe, Trainer, audit
from mytensor.data import synthetic

def finds(error, function, *arguments, **options):
    try:
        function(*arguments, **options)
    except error as found:
        print("found:", type(found).__name__, str(found)[:60].replace(chr(10), " "))
    else:
        print("OVERLOOKED by", function)

class Wrong(mt.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, upstream):
        return upstream.clone() if False else (mt.Tensor(upstream) * 2).array

net = mt.nn.Sequential(mt.nn.Linear(2, 1), mt.nn.Linear(1, 1))
finds(AssertionError, audit, net, lambda: None)
x = mt.tensor(np.ones((2, 3)), dtype=mt.float64, requires_grad=True)
finds(AssertionError, mt.gradcheck, lambda x: Wrong.apply(x), [x])
check.gradcheck(F.relu, x)
finds(RuntimeError, lambda: [y := (x * x).sum(), y.backward(), y.backward()])
print("listing:", source(F.relu).code.splitlines()[0])
print("listing:", source("cpu/im2col.cpp", "im2col_rows").name)
trainer = Trainer(mt.models.LeNet(), synthetic(64, seed=0), synthetic(64, seed=1), Recipe(epochs=1))
trainer.fit(progress=False)
print("trained:", len(trainer.history))
exercise("02.1", -1)
sys.exit("torch" in sys.modules)
"""


def test_faults_are_found_as_without_the_flag():
    plain, *optimized = [python(*flags, "-c", PROGRAM) for flags in ([], *([flag] for flag in FLAGS))]
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.count("found:") == 3 and "OVERLOOKED" not in plain.stdout and "✗ 02.1" in plain.stdout
    for run in optimized:
        assert run.returncode == 0, run.stderr
        assert run.stdout == plain.stdout


def subcommands() -> list[str]:
    (action,) = [action for action in _parser()._actions if action.choices]
    return list(action.choices)


def test_every_command_explains_itself_without_docstrings():
    program = (
        "import sys\nfrom mytensor.__main__ import _parser\n"
        "for command in sys.argv[1:]:\n    try:\n        _parser().parse_args([command, '--help'])\n"
        "    except SystemExit as end:\n"
        "        print('status', end.code)\n"
    )
    commands = subcommands()
    assert {"train", "compare", "ablate", "bench", "doctor"} <= set(commands)
    run = python("-OO", "-c", program, *commands)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("status 0") == len(commands)
    assert all(f"python -m mytensor {command}" in run.stdout for command in commands)


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").glob("*.py")), ids=lambda path: path.name)
def test_no_script_ends_well_for_want_of_a_docstring(path):
    """`raise SystemExit(__doc__)` is status 1 with docstrings, and 0 under -OO, where there are none."""
    assert "SystemExit(__doc__)" not in path.read_text(encoding="utf-8"), "write __doc__ or 2"
