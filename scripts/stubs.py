"""Writes mytensor_backend.pyi: what the compiled module offers, for editors and mypy, from the module's own signatures.

python scripts/stubs.py write   write the file, by pybind11-stubgen and with what it cannot know
python scripts/stubs.py check   say whether it is what the built module gives (part of `make lint`)

pybind11-stubgen writes down what the module says of itself. Put right here, so that the same text comes of every build:

  types       "SupportsInt | SupportsIndex" is int: it is what a reader passes
  overloads   the last one of each function, (*args, **kwargs), only explains what did not fit
  Tensors     an op that records the graph takes Tensors as well as NDArrays, and returns what it was given
  lines       none is longer than 120
"""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import mytensor_backend  # noqa: E402

import mytensor as mt  # noqa: E402

MODULE = "mytensor_backend"
STUB = ROOT / f"{MODULE}.pyi"
WIDTH = 120
TYPES = {
    "typing.SupportsInt | typing.SupportsIndex": "int",
    "typing.SupportsFloat | typing.SupportsIndex": "float",
    "typing.SupportsInt": "int",
    "typing.SupportsFloat": "float",
    "typing_extensions.CapsuleType": "object",
    "types.CapsuleType": "object",
    "numpy.ndarray": "np.ndarray",  # within NDArray, numpy is its method
}
HEAD = """\
import collections.abc
import typing

import numpy as np

from mytensor import Tensor

_Array = typing.TypeVar("_Array", NDArray, Tensor)  # what an op that records the graph takes and returns
"""


def as_stubgen_writes_it() -> str:
    """The module's signatures and docstrings, as pybind11-stubgen finds them."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", MODULE, "--output-dir", folder]
        command += ["--enum-class-locations", f"DType:{MODULE}", "--exit-code"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"pybind11-stubgen:\n{done.stdout}{done.stderr}")
        return pathlib.Path(folder, STUB.name).read_text(encoding="utf-8")


def takes_tensors(op: str) -> bool:
    """Whether mytensor records the graph when `op` is handed a Tensor: it refuses the ops without a derivative."""
    try:
        getattr(mytensor_backend, op)(mt.zeros(1))
    except TypeError as error:
        return "no derivative of its own" not in str(error)
    except Exception:  # the argument is no good to this op, but it was let in
        return True
    return True


def explains_only(function: ast.FunctionDef) -> bool:
    arguments = function.args
    return bool(arguments.vararg and arguments.kwarg) and not arguments.args


def with_tensors(function: ast.FunctionDef) -> None:
    """NDArray, where it is an argument or the result, becomes a Tensor if the arguments are."""
    for annotation in (*(argument.annotation for argument in function.args.args), function.returns):
        for node in ast.walk(annotation) if annotation else ():
            if isinstance(node, ast.Name) and node.id == "NDArray":
                node.id = "_Array"


def tidy_overloads(functions: list[ast.FunctionDef]) -> list[ast.FunctionDef]:
    """All overloads of one function of the module."""
    last = functions[-1]
    is_op = explains_only(last) and ast.unparse(last.returns) == "typing.Any" and takes_tensors(last.name)
    kept = [function for function in functions if not explains_only(function)]
    if is_op and all(ast.unparse(function.returns) == "NDArray" for function in kept):
        for function in kept:
            with_tensors(function)
    elif is_op:  # several results: of Tensors, mytensor returns fewer
        kept.append(last)
    if len(kept) == 1:
        kept[0].decorator_list = []
    return kept


def groups(body: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """The statements but for imports and what is the tests' own, overloads of one function together."""
    group: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom) or getattr(statement, "name", "").startswith("_"):
            continue
        if group and getattr(statement, "name", None) != getattr(group[-1], "name", ""):
            yield group
            group = []
        group.append(statement)
    yield group


def wrap_docstrings(node: ast.AST, indent: int = 0) -> None:
    for child in getattr(node, "body", ()):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            wrap_docstrings(child, indent + 4)
    if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)):
        quotes = 3 if "\n\n" in text else 6
        paragraphs = [
            textwrap.fill(paragraph, WIDTH - quotes, initial_indent=" " * indent, subsequent_indent=" " * indent)
            for paragraph in text.split("\n\n")
        ]
        node.body[0] = ast.Expr(ast.Constant("\n\n".join(paragraphs).strip()))


def stub() -> str:
    text = as_stubgen_writes_it()
    for found, wanted in TYPES.items():
        text = text.replace(found, wanted)
    tree = ast.parse(text)
    docstring, *rest = tree.body
    tree.body = [docstring, *ast.parse(HEAD).body]
    for group in groups(rest):
        if isinstance(group[0], ast.FunctionDef):
            tree.body += tidy_overloads(group)
        elif isinstance(group[0], ast.ClassDef) or group[0].target.id != "__all__":
            tree.body += group
    wrap_docstrings(tree)
    written = ast.unparse(ast.fix_missing_locations(tree))
    written = written.replace("\nimport", "\n# Written by scripts/stubs.py.\nimport", 1)
    for words in (["check", "--quiet", "--select", "I", "--fix"], ["format"]):
        command = [sys.executable, "-m", "ruff", *words, "--stdin-filename", STUB.name, "-"]
        written = subprocess.run(command, cwd=ROOT, input=written, capture_output=True, text=True, check=True).stdout
    return written


def main(words: list[str]) -> int:
    if words == ["write"]:
        STUB.write_text(stub(), encoding="utf-8")
        return 0
    if words == ["check"]:
        if STUB.read_text(encoding="utf-8") == stub():
            return 0
        print(f"{STUB.name} is not what the compiled module gives: python scripts/stubs.py write", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
