"""scripts/notebooks.py sees what a reader would stumble over; handouts have no solutions; the book folds them."""

import ast
import importlib.util
import pathlib
import sys

import pytest

pytest.importorskip("jupytext")
pytest.importorskip("anywidget")

import nbformat

ROOT = pathlib.Path(__file__).resolve().parent.parent


def load(name):
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = load("notebooks")
NAME = "02_im2col"


@pytest.fixture
def notebook():
    return nbformat.read(TOOL.path_of(NAME), as_version=4)


def cell(notebook, tag, number=0):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])][number]


def test_the_committed_notebook_is_fine(notebook):
    assert TOOL.complaints(NAME) == []
    assert [found.number for found in TOOL.exercises_of(notebook)[0]] == ["02.1", "02.2", "02.3"]


def no_solution(notebook):
    notebook.cells.remove(cell(notebook, "solution"))


def no_hints(notebook):
    place = notebook.cells.index(cell(notebook, "solution"))
    notebook.cells[place - 1].source = "Think."


def not_asked(notebook):
    place = notebook.cells.index(cell(notebook, "exercise"))
    notebook.cells[place + 1].source = "print(1)"


def clobbers(notebook):
    found = cell(notebook, "solution", 1)
    found.source = found.source.replace("strided_im2col_solution", "strided_im2col")


def unnamed_solution(notebook):
    cell(notebook, "solution").source = "answer = 3"


def answered(notebook):
    place = notebook.cells.index(cell(notebook, "exercise"))
    notebook.cells[place + 1].outputs[0].text = "✓ 02.1 the stride of no overlap: right\n"


def asks_for_another(notebook):
    place = notebook.cells.index(cell(notebook, "exercise"))
    notebook.cells[place + 1].source = 'exercise("03.1", stride_of_no_overlap)'


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (no_solution, "no cell tagged solution"),
        (no_hints, "no hints in <details>"),
        (not_asked, "does not ask"),
        (clobbers, "does not define strided_im2col_solution"),
        (unnamed_solution, "does not begin with the comment # Solution"),
        (answered, "not 'not done yet'"),
        (asks_for_another, "mytensor/workbook/exercise/book declares"),
    ],
)
def test_spoiled_exercises_are_seen(notebook, spoil, complaint):
    spoil(notebook)
    assert complaint in "\n".join(TOOL.wrong_exercises(NAME, notebook))


def two_titles(notebook):
    notebook.cells[1].source = "# Another title"


def no_time(notebook):
    notebook.cells[0].source = notebook.cells[0].source.replace("minutes", "pages")


def no_links(notebook):
    notebook.cells[-1].source = "The end."


def figure_without_text(notebook):
    pictured = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    pictured[0].data["text/plain"] = "<Figure size 640x480 with 1 Axes>"


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (two_titles, "2 titles"),
        (no_time, "does not say: *NN minutes"),
        (no_links, "do not link"),
        (figure_without_text, "a figure without a sentence"),
    ],
)
def test_unreadable_notebooks_are_seen(notebook, spoil, complaint):
    assert TOOL.unreadable(notebook) == []
    spoil(notebook)
    assert complaint in "\n".join(TOOL.unreadable(notebook))


def test_handout_has_no_solutions(tmp_path, monkeypatch):
    monkeypatch.setattr(TOOL, "HANDOUT", tmp_path / "handout")
    TOOL.hand_out(NAME)
    text = (tmp_path / "handout" / f"{NAME}.ipynb").read_text(encoding="utf-8")
    assert "_solution" not in text and "# Solution" not in text
    assert text.count("<details>") >= 3
    handed_out = nbformat.reads(text, as_version=4)
    nbformat.validate(handed_out)
    assert len([cell for cell in handed_out.cells if "exercise" in cell.metadata.get("tags", [])]) == 3


def test_what_a_gpu_measured_stays(notebook, monkeypatch, tmp_path):
    def measured(words):
        made = nbformat.v4.new_code_cell("measure()", metadata={"tags": ["gpu-measurement"]})
        made.outputs = [nbformat.v4.new_output("stream", text=words)]
        return nbformat.v4.new_notebook(cells=[made])

    monkeypatch.setattr(TOOL, "path_of", lambda name: tmp_path / f"{name}.ipynb")
    (tmp_path / "x.ipynb").write_text(nbformat.writes(measured("on a GPU: 7 µs")), encoding="utf-8")
    for words, wanted in (("not measured yet", "on a GPU: 7 µs"), ("on a GPU: 8 µs", "on a GPU: 8 µs")):
        built = measured(words)
        TOOL.keep_gpu_measurements(built, "x")
        assert built.cells[0].outputs[0].text == wanted
    changed = measured("not measured yet")
    changed.cells[0].source = "measure_otherwise()"
    TOOL.keep_gpu_measurements(changed, "x")
    assert changed.cells[0].outputs[0].text == "not measured yet"


def test_the_book_folds_solutions_and_asks_for_nothing():
    pytest.importorskip("latex2mathml")
    page = load("book").notebook_page(NAME)
    assert page.count("<summary>Solution</summary>") == 3
    assert "<script" not in page and "$$" not in page and "<math" in page


# ---------------------------------------------------------------------------------------------------------------------
# Every inline check is replayed with planted bugs
# ---------------------------------------------------------------------------------------------------------------------


CHECKS = {
    f"{package}{module}" for package in ("mytensor.check", "mytensor.workbook.check") for module in ("", ".comparison")
}


def unreplayed(source):
    """The checks in a notebook's source of which nothing shows that they can fail, as (line, what it is).

    check(op, function), check.call and check.gradcheck are handed what they check, and replay it with planted bugs.
    Whatever else compares, compares what is finished. And where a failure is caught, to be shown, a check that passes
    must raise.
    """
    found = []
    tree = compile(source, "notebook", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            found.append((node.lineno, "assert"))
        elif isinstance(node, ast.ImportFrom) and node.module in CHECKS:
            found.append((node.lineno, "from mytensor.check import"))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            checks = {"call", "gradcheck", "changed"} if owner == "check" else set()
            compares = owner == "check" or node.func.attr == "gradcheck" or node.func.attr.startswith("assert_")
            if compares and node.func.attr not in checks:
                found.append((node.lineno, ast.unparse(node.func)))
        elif isinstance(node, ast.Try):
            shown = any("check.CheckFailed" in ast.unparse(handler) for handler in node.handlers)
            if shown and not any(isinstance(inner, ast.Raise) for part in node.orelse for inner in ast.walk(part)):
                found.append((node.lineno, "try without else: raise"))
    return sorted(found)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("check.close(a, b, bound=1)", "check.close"),
        ("for a in b:\n    check.equal(a, b)", "check.equal"),
        ("check.examine('relu', mt.relu)", "check.examine"),
        ("assert a == b", "assert"),
        ("from mytensor.check import close", "from mytensor.check import"),
        ("from mytensor.workbook.check.comparison import close", "from mytensor.check import"),
        ("mt.gradcheck(f, [x])", "mt.gradcheck"),
        ("np.testing.assert_allclose(a, b)", "np.testing.assert_allclose"),
        ("try:\n    check('relu', wrong)\nexcept check.CheckFailed:\n    print()", "try without else: raise"),
    ],
)
def test_checks_that_are_not_replayed_are_seen(source, what):
    assert [name for _, name in unreplayed(source)] == [what]


def test_checks_that_are_replayed_are_let_pass():
    assert not unreplayed(
        "check('relu', mt.relu)\ncheck.call(f, x, want=y, mutants={'m': check.changed(f, 'a', 'b')})\n"
        "check.gradcheck(f, x)\n"
        "try:\n    check('relu', f)\nexcept check.CheckFailed:\n    print()\nelse:\n    raise AssertionError"
    )


@pytest.mark.parametrize("name", TOOL.all_names())
def test_every_inline_check_is_replayed(name):
    assert unreplayed((TOOL.SOURCES / f"{name}.py").read_text(encoding="utf-8")) == []
