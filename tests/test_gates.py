"""What says that all is well must be able to say that it is not: each gate is handed something wrong.

Elsewhere: scripts/gpu.py in test_gpu_script.py, the notebooks' complaints in test_notebook_tool.py, the doctor in
test_doctor.py, checks and exercises in test_check.py, test_exercise.py and test_mutants*.py.
"""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def load(name: str):
    spec = importlib.util.spec_from_file_location(f"gate_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------------------------------------------------------------
# make lint
# ---------------------------------------------------------------------------------------------------------------------


def lint_commands() -> list[str]:
    """As the Makefile has them."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint: setup\n")[2].partition("\n\n")[0]
    return [line.strip().replace("$(PY)", sys.executable) for line in recipe.splitlines()]


# What is wrong, by a word of the command that must say so: where, and the text.
WRONG = {
    "ruff check": ("mytensor/bad.py", "import os\n"),
    "ruff format": ("mytensor/bad.py", "x  =  1\n"),
    "mypy": ("mytensor/bad.py", 'x: int = "text"\n'),
    "clang-format": ("csrc/cpu/bad.cpp", "int  f( ) {return 1 ;}\n"),
}
OF_SCRIPTS = ("stubs.py check", "notebooks.py check", "book.py check", "readme.py check")  # below


def test_every_piece_of_make_lint_is_tried_here():
    for command in lint_commands():
        assert sum(word in command for word in (*WRONG, *OF_SCRIPTS)) == 1, f"nobody sees whether this fails: {command}"


@pytest.mark.parametrize("what", WRONG)
def test_make_lint_fails_where_something_is_wrong(tmp_path, what):
    for name, text in {"mytensor/__init__.py": "", "csrc/cpu/good.cpp": "int f();\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in ("pyproject.toml", ".clang-format"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(pathlib.Path(sys.executable).parent)
    (command,) = [command for command in lint_commands() if what in command]
    tool = what.partition(" ")[0]
    if importlib.util.find_spec(tool.replace("-", "_")) is None:
        pytest.skip(f"there is no {tool} here; the set-up installs it")

    def status() -> int:
        environment = os.environ | {"PYTHONPATH": "", "MYPY_CACHE_DIR": str(tmp_path / "cache")}
        return subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True).returncode

    assert status() == 0
    name, text = WRONG[what]
    (tmp_path / name).write_text(text)
    assert status() != 0
    for ending in (".h", ".cu", ".cuh") if "clang-format" in command else ():
        (tmp_path / name).rename((tmp_path / name).with_suffix(ending))
        name = str(pathlib.PurePath(name).with_suffix(ending))
        assert status() != 0, ending


def test_stubs_check_fails_where_the_stub_is_stale(tmp_path, capsys):
    pytest.importorskip("pybind11_stubgen")
    tool = load("stubs")
    assert tool.main(["check"]) == 0
    text = tool.STUB.read_text(encoding="utf-8")
    tool.STUB = tmp_path / tool.STUB.name
    tool.STUB.write_text(text.replace("def relu(x:", "def relu(y:"), encoding="utf-8")
    assert tool.main(["check"]) == 1
    assert "scripts/stubs.py write" in capsys.readouterr().err


def test_the_stub_is_the_same_on_every_machine():
    text = (ROOT / "mytensor_backend.pyi").read_text(encoding="utf-8")
    assert " at 0x" not in text and str(ROOT) not in text


@pytest.mark.parametrize(
    ("of", "change"),
    [
        ("README.md", lambda text, tool: text.replace(tool.BEGIN, f"{tool.BEGIN}\nnine times as fast", 1)),
        ("README.zh-CN.md", lambda text, tool: text.replace("make test", "make tests", 1)),
    ],
)
def test_readme_check_fails_where_a_readme_is_stale(tmp_path, capsys, of, change):
    tool = load("readme")
    assert tool.main("check") == 0
    for place in ("README", "TRANSLATION"):
        copy = tmp_path / getattr(tool, place).name
        shutil.copy(getattr(tool, place), copy)
        setattr(tool, place, copy)
    text = (tmp_path / of).read_text(encoding="utf-8")
    assert change(text, tool) != text
    (tmp_path / of).write_text(change(text, tool), encoding="utf-8")
    assert tool.main("check") == 1
    assert of in capsys.readouterr().out


def test_notebooks_check_fails_where_there_is_a_complaint_or_a_stray(tmp_path, monkeypatch, capsys):
    pytest.importorskip("jupytext")
    tool = load("notebooks")
    monkeypatch.setattr(sys, "argv", ["notebooks.py", "check"])
    monkeypatch.setattr(tool, "complaints", lambda name: [])
    assert tool.main() == 0
    monkeypatch.setattr(tool, "complaints", lambda name: ["planted"] if name == tool.all_names()[-1] else [])
    assert tool.main() == 1
    assert "planted" in capsys.readouterr().out
    monkeypatch.setattr(tool, "complaints", lambda name: [])
    names = tool.all_names()
    monkeypatch.setattr(tool, "all_names", lambda: names)
    monkeypatch.setattr(tool, "NOTEBOOKS", tmp_path)
    (tmp_path / "99_stray.ipynb").write_text("{}")
    assert tool.main() == 1
    assert "no source" in capsys.readouterr().out


def test_book_check_fails_where_a_diagram_is_missing_or_not_used(tmp_path, monkeypatch, capsys):
    pytest.importorskip("jupytext")
    pytest.importorskip("latex2mathml")
    tool = load("book")
    monkeypatch.setattr(tool, "DIAGRAMS", tmp_path)
    monkeypatch.setattr(tool, "all_diagrams", lambda: ["graph LR; a --> b", "graph LR; b --> c"])
    drawn = [tool.diagram_path(code) for code in tool.all_diagrams()]
    for spoil in (drawn[1].unlink, (tmp_path / "stray.svg").touch):
        for path in drawn:
            path.touch()
        assert tool.check_diagrams() == 0
        spoil()
        assert tool.check_diagrams() == 1
        assert "make diagrams" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------------------------
# scripts/compile_kernels.py
# ---------------------------------------------------------------------------------------------------------------------

FAKE_NVCC = """#!/bin/sh
printf '%s\\n' "$@" >"$(dirname "$0")/asked"
case "$*" in *fill.cu*) eval "$FOR_ONE" ;; esac
"""


@pytest.mark.parametrize(
    ("for_one", "status"),
    [("", 0), ("exit 1", 1), ("echo a warning >&2", 1), ("echo a remark", 1), ("kill -9 $$", 1)],
)
def test_compile_kernels_fails_where_one_file_fails_or_warns(tmp_path, for_one, status):
    assert (ROOT / "csrc" / "cuda" / "fill.cu").exists()
    nvcc = tmp_path / "nvcc"
    nvcc.write_text(FAKE_NVCC)
    nvcc.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "FOR_ONE": for_one}
    environment |= {"CUDA_HOME": "", "CUDA_PATH": "", "CXX": "env A=1 sh -m64 -Wa"}
    command = [sys.executable, "scripts/compile_kernels.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    assert ("fill.cu" in done.stdout and "FAILED" in done.stdout) == bool(status)
    words = (tmp_path / "asked").read_text().splitlines()
    assert words[:4] == ["-ccbin", "sh", "-Xcompiler=-m64", "-Xcompiler=-Wa"]


def test_compile_kernels_fails_without_a_compiler(tmp_path):
    environment = {"PATH": str(tmp_path)}
    command = [sys.executable, "scripts/compile_kernels.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "there is no nvcc" in done.stderr
