"""Shows one function or class of the framework, C++ as it was built or Python as it runs."""

from __future__ import annotations

import importlib
import inspect
import re

from mytensor._build_check import csrc_path

_HEADER = re.compile(r"(csrc|mytensor)/(\S+): (\w+)$", re.MULTILINE)


class Listing:
    """A piece of source code and where it stands. In a notebook: highlighted; as text: the same lines."""

    def __init__(self, path: str, name: str, code: str):
        self.path, self.name, self.code = path, name, code  # path: from the top folder, e.g. "csrc/cpu/im2col.cpp"

    def __repr__(self) -> str:
        return f"{self.path}: {self.name}\n\n{self.code}"

    def _repr_mimebundle_(self, include=None, exclude=None):
        language = "python" if self.path.endswith(".py") else "c++"
        return {"text/markdown": f"`{self.path}`\n```{language}\n{self.code}\n```", "text/plain": repr(self)}


def source(what, name: str | None = None) -> Listing:
    """The source of one function: `source("cpu/im2col.cpp", "im2col")` from csrc/, or `source(F.conv2d)` for Python.

    The C++ file is the one that was built, and the first definition by that name is shown with the comment above it.
    Raises FileNotFoundError or LookupError that say what there is.
    """
    if name is None:
        path = "/".join(what.__module__.split("."))
        return Listing(f"{path}.py", what.__name__, inspect.getsource(what).rstrip())
    file = csrc_path() / what
    if not file.is_file():
        names = sorted(other.name for other in file.parent.glob("*")) if file.parent.is_dir() else "no such folder"
        raise FileNotFoundError(f"there is no csrc/{what}; beside it: {names}")
    return Listing(f"csrc/{what}", name, function_in(file.read_text(encoding="utf-8"), name))


def listing_again(shown: str) -> Listing | None:
    """If `shown` (an output's text) is a listing: the same listing as the sources are now; else None."""
    found = _HEADER.match(shown)
    if found is None:
        return None
    top, path, name = found.groups()
    if top == "csrc":
        return source(path, name)
    module = importlib.import_module(f"mytensor/{path}".removesuffix(".py").replace("/", "."))
    return source(getattr(module, name))


def function_in(text: str, name: str) -> str:
    """The definition of `name` in the C++ source `text`, with its template line and the comment above it."""
    bare = _without_comments_and_strings(text)
    for call in re.finditer(rf"\b{re.escape(name)}\s*\(", bare):
        opening = _body_after(bare, call.end() - 1)
        if opening is not None:
            end = _closing(bare, opening, "{}")
            return _outdented(text[_start_of(text, bare, call.start()) : end + 1])
    defined = sorted(set(re.findall(r"^\w[\w:<>,&* ]*?\b(\w+)\(", bare, re.MULTILINE)))
    raise LookupError(f"there is no function {name!r} defined there; there are: {', '.join(defined)}")


def _without_comments_and_strings(text: str) -> str:
    """The text with every comment and literal blanked out, position for position, so that braces can be counted."""
    pattern = r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'"
    return re.sub(pattern, lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.DOTALL)


def _closing(bare: str, opening: int, pair: str) -> int:
    """The position of the bracket that closes the one at `opening`."""
    depth = 0
    for position in range(opening, len(bare)):
        if bare[position] == pair[0]:
            depth += 1
        elif bare[position] == pair[1]:
            depth -= 1
            if depth == 0:
                return position
    raise LookupError("the brackets of this source do not match")


def _body_after(bare: str, parenthesis: int) -> int | None:
    """The position of the body's brace if the parameter list at `parenthesis` belongs to a definition, else None."""
    after = _closing(bare, parenthesis, "()") + 1
    qualifiers = re.compile(r"\s*(?:(?:const|noexcept|override|final)\b\s*)*(?:->\s*[\w:<>,&* ]+?\s*)?\{").match(
        bare, after
    )
    if qualifiers is None:
        return None
    # `if (f(x)) {` looks alike: a definition stands after a type, at a line's start, not inside an expression.
    line = bare[bare.rfind("\n", 0, parenthesis) + 1 : parenthesis]
    return (
        qualifiers.end() - 1
        if re.match(r"\s*(?!if|for|while|switch|return)[\w:<>,&* ]+\s+[&*]*\w+\s*$", line)
        else None
    )


def _start_of(text: str, bare: str, position: int) -> int:
    """Where the definition around `position` starts: after the code before it, but with the comment lines above it."""
    before = max(bare.rfind(character, 0, position) for character in ";}{#")
    start = text.find("\n", before) + 1 if before >= 0 else 0
    lines = text[start:position]
    gap = list(re.finditer(r"\n[ \t]*\n", lines))  # an empty line parts the comment from what stands before it
    return start + gap[-1].end() if gap else start


def _outdented(code: str) -> str:
    lines = code.rstrip().lstrip("\n").splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[indent:] for line in lines)
