"""Builds and checks the workbook: notebooks/src/NAME.py (py:percent, what people edit) -> notebooks/NAME.ipynb.

    python scripts/notebooks.py build [NAME ...]   run from a fresh kernel, clean, write (all notebooks without a NAME)
    python scripts/notebooks.py text [NAME ...]    take over changed text, tags and links; the code must be the same
    python scripts/notebooks.py check [NAME ...]   sources and notebooks agree; notebooks are executed and clean
    python scripts/notebooks.py handout [NAME ...] copies without solutions in handout/, to be given to a class

In a source, two comments are filled in here: <!-- links --> (previous, contents, next) and <!-- contents --> (the table
of all notebooks, from each one's title, minutes and question).

A cell tagged `gpu-measurement` prints "not measured yet" where there is no GPU; building there keeps what a GPU wrote.
An exercise is four cells in this order: tagged `exercise`, the stub; exercise("NN.k", name); Markdown with hints in
<details>; tagged `solution`, what `name` should be, under the name `name_solution`: running it must not overwrite what
the reader wrote.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import pathlib
import re
import sys
import time
from dataclasses import dataclass

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
SOURCES = NOTEBOOKS / "src"
HANDOUT = ROOT / "handout"
FIRST = "00_start_here"

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PROGRESS_BAR = re.compile(r"\s*\d+%\|")  # tqdm's text is how its bar began: without the widget it says nothing
MAY_RAISE = {"raises-exception", "nbval-raises-exception"}
NOT_COMPARED = {"nbval-ignore-output", "nbval-skip"}
# A folder of somebody's machine. (Bare "/tmp" and the like in a sentence are fine.)
MACHINE_PATH = re.compile(r"(?<![\w.~/])/(?:home|root|tmp|work|opt|usr|var|Users|mnt|data)/[\w.-]+|\b[A-Z]:\\\w+")


# ---------------------------------------------------------------------------------------------------------------------
# Sources
# ---------------------------------------------------------------------------------------------------------------------


def all_names() -> list[str]:
    return sorted(path.stem for path in SOURCES.glob("*.py"))


def read_source(name: str) -> NotebookNode:
    """The notebook a source stands for: not executed, links filled in, cell ids that depend on the content alone."""
    path = SOURCES / f"{name}.py"
    if not path.exists():
        raise SystemExit(f"there is no {path.relative_to(ROOT)}; there are: {', '.join(all_names())}")
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        hidden = "solution" in tags  # JupyterLab folds the cell and shows its first line
        if hidden:
            cell.metadata["jupyter"] = {"source_hidden": True}
        content = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[content] = seen.get(content, 0) + 1
        cell.id = content if seen[content] == 1 else f"{content}-{seen[content]}"
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("<!-- links -->", links(name)).replace("<!-- contents -->", contents())
    return notebook


def heading(name: str) -> dict[str, str]:
    """What a source's first cell says of its notebook: title, minutes, question."""
    text = re.sub(r"^# ?", "", (SOURCES / f"{name}.py").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {
        "title": re.search(r"^# (.+)$", text, re.MULTILINE),
        "minutes": re.search(r"\b(\d+) minutes\b", text),
        "question": re.search(r"^\*\*The question\.\*\* (.+?)\n\n", text, re.MULTILINE | re.DOTALL),
    }
    missing = [what for what, match in found.items() if match is None]
    if missing:
        raise SystemExit(f"notebooks/src/{name}.py: its first cell lacks: {', '.join(missing)} (see {FIRST}.py)")
    return {what: " ".join(match[1].split()) for what, match in found.items() if match}


def links(name: str) -> str:
    names = all_names()
    place = names.index(name)
    parts = []
    if place > 0:
        parts.append(f"[← {heading(names[place - 1])['title']}]({names[place - 1]}.ipynb)")
    parts.append("[contents](#Contents)" if name == FIRST else f"[contents]({FIRST}.ipynb#Contents)")
    if place + 1 < len(names):
        parts.append(f"[{heading(names[place + 1])['title']} →]({names[place + 1]}.ipynb)")
    return " · ".join(parts)


def contents() -> str:
    rows = ["| notebook | its question | minutes |", "|:--|:--|--:|"]
    for name in all_names():
        about = heading(name)
        rows.append(f"| [{about['title']}]({name}.ipynb) | {about['question']} | {about['minutes']} |")
    return "\n".join(rows)


# ---------------------------------------------------------------------------------------------------------------------
# Exercises
# ---------------------------------------------------------------------------------------------------------------------

ASKED = re.compile(r"""^exercise\(\s*"(\d\d\.\d+)",\s*(\w+)\s*\)""", re.MULTILINE)


@dataclass
class ExerciseCells:
    """One exercise of a notebook: what its cells hold, and what the notebook defines before it.

    name: what the reader writes; the solution defines name_solution.
    before: imports, functions and classes of the cells before; what a stub or a solution may use.
    """

    number: str
    name: str
    stub: str
    solution: str
    before: str


def exercises_of(notebook: NotebookNode) -> tuple[list[ExerciseCells], list[str]]:
    """The exercises of a notebook, and what is wrong with their cells, in sentences."""
    found: list[ExerciseCells] = []
    wrong: list[str] = []
    before: list[str] = []
    cells = notebook.cells
    for place, cell in enumerate(cells):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and "solution" not in tags:
            before.append(definitions(cell.source))
        if "exercise" not in tags:
            continue
        where = f"the exercise in cell {place}"
        follow = cells[place + 1 : place + 4]
        asked = ASKED.search(follow[0].source) if follow and follow[0].cell_type == "code" else None
        if asked is None:
            wrong.append(f'{where}: the next cell does not ask exercise("NN.k", name)')
        elif len(follow) < 3 or follow[1].cell_type != "markdown" or "<details>" not in follow[1].source:
            wrong.append(f"{where}: behind its question there are no hints in <details>")
        elif "solution" not in follow[2].metadata.get("tags", []):
            wrong.append(f"{where}: behind its hints there is no cell tagged solution")
        elif not follow[2].source.startswith("# Solution"):
            wrong.append(f"{where}: its solution does not begin with the comment # Solution, which JupyterLab shows")
        else:
            known = "\n".join(part for part in before[:-1] if part)
            found.append(ExerciseCells(asked[1], asked[2], cell.source, follow[2].source, known))
    solutions = sum("solution" in cell.metadata.get("tags", []) for cell in cells)
    if not wrong and solutions != len(found):
        wrong.append(f"it has {solutions} solutions and {len(found)} exercises")
    return found, wrong


def definitions(source: str) -> str:
    """The imports, functions and classes of a cell."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic
        return ""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return "\n".join(ast.unparse(statement) for statement in statements if isinstance(statement, kinds))


def wrong_exercises(name: str, notebook: NotebookNode) -> list[str]:
    """What a reader who works on the exercises of this notebook would stumble over."""
    sys.path.insert(0, str(ROOT))
    from mytensor.exercise import EXERCISES

    found, wrong = exercises_of(notebook)
    there = [exercise.number for exercise in found]
    declared = sorted(number for number in EXERCISES if number.partition(".")[0] == name[:2])
    if there != declared:
        wrong.append(f"its exercises are {there}; mytensor/workbook/exercise/book declares {declared}")
    for exercise in found:
        if not re.search(rf"\b{exercise.name}_solution\b", exercise.solution):
            wrong.append(f"exercise {exercise.number}: its solution does not define {exercise.name}_solution")
    for cell in code_cells(notebook):
        for number, _ in ASKED.findall(cell.source):
            said = "".join(output.get("text", "") for output in cell.outputs)
            if not said.startswith(f"○ {number}"):
                wrong.append(f"exercise {number}: its committed answer is {said[:60]!r}, not 'not done yet'")
    return wrong


def hand_out(name: str) -> None:
    """Writes a copy without the solutions."""
    notebook = nbformat.read(path_of(name), as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "solution" not in cell.metadata.get("tags", [])]
    HANDOUT.mkdir(exist_ok=True)
    (HANDOUT / f"{name}.ipynb").write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------------
# Building
# ---------------------------------------------------------------------------------------------------------------------


def execute(notebook: NotebookNode) -> None:
    """Runs all cells in a fresh kernel of this Python, in the notebooks' folder, as JupyterLab does."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel, not one that the user installed
    os.environ["PYTHONHASHSEED"] = "0"
    os.environ["MYTENSOR_PROGRESS"] = os.devnull  # the committed notebooks show the book as nobody has begun it
    client = NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOKS)}}
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise SystemExit(f"a cell failed: {error.ename}: {error.evalue}\n\n{error}") from None


def clean(notebook: NotebookNode) -> NotebookNode:
    """Takes out what differs between runs and machines: times, widget models, tracebacks' frames. Idempotent."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        for key in ("execution", "collapsed", "scrolled", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            continue
        outputs: list[NotebookNode] = []
        for output in cell.outputs:
            previous = outputs[-1] if outputs else None
            if output.output_type == "stream" and previous and previous.get("name") == output.name:
                previous.text += output.text  # how a stream was cut into messages is chance
                continue
            if "data" in output:
                output.data.pop(WIDGET_VIEW, None)
                if PROGRESS_BAR.match(output.data.get("text/plain", "")):
                    continue
            if output.output_type == "error":
                output.traceback = [f"{output.ename}: {output.evalue}"]  # its frames name the folders of this machine
            outputs.append(output)
        cell.outputs = outputs
    return notebook


def path_of(name: str) -> pathlib.Path:
    return NOTEBOOKS / f"{name}.ipynb"


def write(notebook: NotebookNode, name: str) -> None:
    nbformat.validate(notebook)
    path_of(name).write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def build(name: str) -> None:
    started = time.monotonic()
    notebook = read_source(name)
    execute(notebook)
    keep_gpu_measurements(notebook, name)
    write(clean(notebook), name)
    print(f"{name}: built in {time.monotonic() - started:.1f} s", flush=True)


def keep_gpu_measurements(notebook: NotebookNode, name: str) -> None:
    """Where this machine could not measure, the outputs that a machine with a GPU committed for the same code stay."""
    if not path_of(name).exists():
        return
    committed = {cell.source: cell.outputs for cell in code_cells(nbformat.read(path_of(name), as_version=4))}
    for cell in code_cells(notebook):
        if "gpu-measurement" in cell.metadata.get("tags", []) and is_unmeasured(cell.outputs):
            cell.outputs = committed.get(cell.source, cell.outputs)


def is_unmeasured(outputs: list[NotebookNode]) -> bool:
    return any("not measured yet" in str(output) for output in outputs)


def update_text(name: str) -> None:
    """Takes over text, tags and links of the source, and keeps the outputs of a notebook whose code is the same."""
    notebook = read_source(name)
    committed = code_cells(nbformat.read(path_of(name), as_version=4))
    cells = code_cells(notebook)
    if [cell.source for cell in cells] != [cell.source for cell in committed]:
        raise SystemExit(f"{name}: its code changed, so it has to run: python scripts/notebooks.py build {name}")
    for cell, old in zip(cells, committed, strict=True):
        cell.outputs, cell.execution_count = old.outputs, old.execution_count
    write(clean(notebook), name)


# ---------------------------------------------------------------------------------------------------------------------
# Checking
# ---------------------------------------------------------------------------------------------------------------------


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def complaints(name: str) -> list[str]:
    """Everything that is wrong with a committed notebook, in sentences."""
    if not path_of(name).exists():
        return ["it was never built"]
    text = path_of(name).read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    found = [*disagreements(read_source(name), notebook), *unclean(notebook), *wrong_listings(notebook)]
    found += [*unreadable(notebook), *wrong_exercises(name, notebook), *wrong_progress(notebook)]
    if nbformat.writes(clean(nbformat.reads(text, as_version=4))) + "\n" != text:
        found.append("it was saved by JupyterLab: run times, widget state or another layout of the file")
    return found


def disagreements(source: NotebookNode, notebook: NotebookNode) -> list[str]:
    def essence(cell: NotebookNode) -> tuple:
        return cell.cell_type, cell.id, cell.source, cell.metadata

    for number, (wanted, came) in enumerate(zip(source.cells, notebook.cells, strict=False)):
        if essence(wanted) != essence(came):
            return [f"cell {number} is not what notebooks/src says: {came.source[:60]!r}"]
    if len(source.cells) != len(notebook.cells):
        return [f"it has {len(notebook.cells)} cells, its source {len(source.cells)}"]
    return []


def unclean(notebook: NotebookNode) -> list[str]:
    """What nbval would let pass, or what should not be committed."""
    found = []
    cells = code_cells(notebook)
    if "widgets" in notebook.metadata:
        found.append("it carries widget state (large, new ids each run, breaks GitHub's preview)")
    if [cell.execution_count for cell in cells] != list(range(1, len(cells) + 1)):
        found.append("it was not run top to bottom from a fresh kernel (in cells never run, nbval compares nothing)")
    for cell in notebook.cells:
        where = f"cell {cell.id} ({cell.source[:40]!r})"
        if machine := MACHINE_PATH.search(cell.source):
            found.append(f"{where}: a path of one machine: {machine[0]}")
    for cell in cells:
        where = f"cell {cell.id} ({cell.source[:40]!r})"
        tags = set(cell.metadata.get("tags", []))
        if any(tag != tag.lower() for tag in tags):
            found.append(f"{where}: nbval reads lower-case tags only, not {sorted(tags)}")
        if not tags & NOT_COMPARED and re.search(r"\b(clear_output|interact)\(", cell.source):
            found.append(f"{where}: nbval shows clear_output and interact otherwise than JupyterLab")
        for output in cell.outputs:
            shown = nbformat.from_dict({k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")})
            if machine := MACHINE_PATH.search(f"{output.get('text', '')} {shown}"):
                found.append(f"{where}: its output names a path of one machine: {machine[0]}")
            if output.output_type == "error" and not tags & MAY_RAISE:
                found.append(f"{where}: a traceback that no tag asked for: {output.ename}")
            if output.get("name") == "stderr" and not tags & NOT_COMPARED:
                found.append(f"{where}: a warning or message on stderr: {output.text[:80]!r}")
            if WIDGET_VIEW in output.get("data", {}):
                found.append(f"{where}: a widget view without its model")
    return found


def unreadable(notebook: NotebookNode) -> list[str]:
    """What every notebook tells its reader, and what those need who do not see its figures."""
    found = []
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    titles = [line for text in texts for line in without_code(text).splitlines() if line.startswith("# ")]
    if len(titles) != 1:
        found.append(f"it has {len(titles)} titles of the first level, wanted one: {titles}")
    if not re.search(r"\*\d+ minutes.* · before: .+? · ", texts[0]):
        found.append("its first cell does not say: *NN minutes · before: ... · <!-- links -->*")
    if not re.search(r"\]\(\w+\.ipynb\)", texts[0]) or not re.search(r"\]\(\w+\.ipynb\)", texts[-1]):
        found.append("its first and last cell do not link to the notebooks before and after it")
    for cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            text = data.get("text/plain", "")
            if "image/png" in data and (len(text) < 20 or text.startswith("<")):
                found.append(f"cell {cell.id} ({cell.source[:40]!r}): a figure without a sentence: {text[:60]!r}")
    return found


def without_code(markdown: str) -> str:
    return re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)


def wrong_progress(notebook: NotebookNode) -> list[str]:
    """A progress page that knows other exercises than there are."""
    from mytensor.exercise import Progress

    now = repr(Progress(os.devnull))
    shown = [
        output.data.get("text/plain", "")
        for cell in code_cells(notebook)
        if "exercise.progress()" in cell.source
        for output in cell.outputs
        if "data" in output
    ]
    wrong = "its progress page knows other exercises than mytensor/workbook/exercise/book"
    return [wrong] if any(text != now for text in shown) else []


def wrong_listings(notebook: NotebookNode) -> list[str]:
    """Shown source code that has changed since. (nbval ignores these cells: a student may edit a kernel.)"""
    sys.path.insert(0, str(ROOT))
    from mytensor.inspect.source import listing_again

    found = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            shown = output.get("data", {}).get("text/plain", "")
            if (listing := listing_again(shown)) and str(listing) != shown:
                found.append(f"it shows an older {listing.name} of {listing.path}")
    return found


# ---------------------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["build", "text", "check", "handout"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="e.g. 02_im2col; none: all")
    arguments = parser.parse_args()
    names = [pathlib.Path(name).stem for name in arguments.names] or all_names()
    if arguments.command != "check":
        for name in names:
            {"build": build, "text": update_text, "handout": hand_out}[arguments.command](name)
        return 0
    wrong = {name: found for name in names if (found := complaints(name))}
    if not arguments.names and (strays := {path.stem for path in NOTEBOOKS.glob("*.ipynb")} - set(names)):
        wrong |= {name: ["it has no source in notebooks/src"] for name in sorted(strays)}
    for name, found in wrong.items():
        print(f"notebooks/{name}.ipynb", *found, sep="\n    ")
    print(f"{len(names)} notebooks checked, {len(wrong)} with complaints")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
