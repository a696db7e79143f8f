"""Renders the workbook as a static site that needs nothing from elsewhere: no script, no font, no network.

    python scripts/book.py             write book/: a page a notebook, the glossary, and an index with the contents
    python scripts/book.py diagrams    draw the diagrams that are new into docs/diagrams/ (needs Chromium)
    python scripts/book.py check       say whether docs/diagrams/ has just the notebooks' diagrams (part of `make lint`)

Formulas become MathML (latex2mathml), which browsers draw by themselves. Diagrams are drawn once by JupyterLab's own
mermaid in a headless browser, kept as SVG files named by their text's hash, and put into the page. Widgets show their
still pictures. Solutions are folded.
"""

from __future__ import annotations

import hashlib
import html
import pathlib
import re
import shutil
import sys
import tempfile
import urllib.parse

import latex2mathml.converter
import nbformat
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import notebooks as workbook  # noqa: E402

BOOK = ROOT / "book"
DIAGRAMS = ROOT / "docs" / "diagrams"
GLOSSARY = ROOT / "docs" / "GLOSSARY.md"

STYLE = """
:root { color-scheme: light; --ink: #1a1a1a; --pale: #5a5a5a; --line: #d8d8d8; --code: #f6f6f6; --link: #0057a8; }
body { color: var(--ink); background: #fff; font: 17px/1.6 system-ui, sans-serif; margin: 0 auto; max-width: 62rem;
       padding: 1.5rem 1.2rem 5rem; }
h1, h2, h3 { line-height: 1.25; font-weight: 500; }
h2 { margin-top: 2.2em; }
a { color: var(--link); }
a.anchor-link { visibility: hidden; text-decoration: none; margin-left: .4em; }
:is(h1, h2, h3):hover a.anchor-link { visibility: visible; }
pre, code { font: 13px/1.5 ui-monospace, monospace; }
:not(pre) > code { background: var(--code); padding: .1em .3em; border-radius: 3px; overflow-wrap: anywhere; }
.highlight { overflow-x: auto; }
.highlight { background: var(--code); border: 1px solid var(--line); border-radius: 4px; padding: .5em .8em;
             margin: .8em 0; }
.highlight pre, div.output_subarea pre { margin: 0; }
div.output_area { margin: .3em 0 .8em .9em; }
div.output_stderr pre { color: #8a3a00; }
div.output_subarea pre { white-space: pre-wrap; overflow-wrap: anywhere; } /* as in JupyterLab: nothing is cut off */
div.prompt { display: none; }
img { max-width: 100%; height: auto; }
figure { margin: 1em 0; }
figcaption { color: var(--pale); font-size: .85em; }
table { border-collapse: collapse; margin: 1em 0; font-size: .94em; }
th, td { border-bottom: 1px solid var(--line); padding: .3em .7em; text-align: left; vertical-align: top; }
math[display="block"] { margin: 1em 0; overflow-x: auto; max-width: 100%; }
summary { cursor: pointer; color: var(--link); }
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="book.css">
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


# ---------------------------------------------------------------------------------------------------------------------
# Diagrams
# ---------------------------------------------------------------------------------------------------------------------


def diagram_path(code: str) -> pathlib.Path:
    return DIAGRAMS / f"{hashlib.sha256(code.strip().encode()).hexdigest()[:16]}.svg"


def all_diagrams() -> list[str]:
    """The mermaid text of every diagram of the workbook."""
    return [
        code.strip()
        for name in workbook.all_names()
        for cell in workbook.read_source(name).cells
        if cell.cell_type == "markdown"
        for code in re.findall(r"^```mermaid\n(.*?)^```", cell.source, re.MULTILINE | re.DOTALL)
    ]


def draw_diagrams() -> None:
    """Draws those that are not there yet, and removes files that no notebook has a diagram for."""
    wanted = all_diagrams()
    missing = [code for code in wanted if not diagram_path(code).exists()]
    if missing:
        DIAGRAMS.mkdir(parents=True, exist_ok=True)
        for code, svg in zip(missing, drawn_by_jupyterlab(missing), strict=True):
            diagram_path(code).write_text(svg + "\n", encoding="utf-8")
    stale = set(DIAGRAMS.glob("*.svg")) - {diagram_path(code) for code in wanted}
    for path in stale:
        path.unlink()
    print(f"{len(wanted)} diagrams, {len(missing)} of them drawn, {len(stale)} old ones removed")


def check_diagrams() -> int:
    wanted, there = {diagram_path(code) for code in all_diagrams()}, set(DIAGRAMS.glob("*.svg"))
    if wanted != there:
        print(f"diagrams: {len(wanted - there)} are not drawn, {len(there - wanted)} are not used: make diagrams")
    return int(wanted != there)


def drawn_by_jupyterlab(codes: list[str]) -> list[str]:
    """SVG texts, by a JupyterLab of its own in a headless Chromium."""
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(ROOT / "tests" / "browser"))
    from lab import PANEL, Lab, OpenNotebook, find_chromium

    with tempfile.TemporaryDirectory() as folder:
        cells = [nbformat.v4.new_markdown_cell(f"```mermaid\n{code}\n```") for code in codes]
        path = pathlib.Path(folder) / "diagrams.ipynb"
        path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=workbook.METADATA)))
        lab = Lab(pathlib.Path(folder))
        try:
            with sync_playwright() as tools:
                browser = tools.chromium.launch(
                    executable_path=find_chromium(), args=["--headless", "--no-sandbox", "--disable-gpu"]
                )
                page = browser.new_page(viewport={"width": 1300, "height": 1000})
                OpenNotebook(page, lab, path.name)
                drawn = page.locator(f"{PANEL} .jp-RenderedMermaid img")
                drawn.nth(len(codes) - 1).wait_for(timeout=60_000)
                sources = [drawn.nth(number).get_attribute("src") for number in range(len(codes))]
                browser.close()
        finally:
            lab.close()
    prefix = "data:image/svg+xml,"
    return [urllib.parse.unquote((source or "").removeprefix(prefix)) for source in sources]


# ---------------------------------------------------------------------------------------------------------------------
# Pages
# ---------------------------------------------------------------------------------------------------------------------


class Renderer(IPythonRenderer):
    """Markdown to HTML as nbconvert does it, but formulas and diagrams are drawn here and now."""

    def inline_math(self, body: str) -> str:
        return latex2mathml.converter.convert(body)

    def block_math(self, body: str) -> str:
        return latex2mathml.converter.convert(body.strip(), display="block")

    def latex_environment(self, name: str, body: str) -> str:
        return latex2mathml.converter.convert(rf"\begin{{{name}}}{body}\end{{{name}}}", display="block")

    def block_mermaidjs(self, code: str) -> str:
        path = diagram_path(code)
        if not path.exists():
            raise SystemExit("a diagram is not drawn yet: python scripts/book.py diagrams (needs Chromium)")
        source = "data:image/svg+xml," + urllib.parse.quote(path.read_text(encoding="utf-8").strip())
        return f'<figure class="diagram"><img src="{source}" alt="{html.escape(spoken(code), quote=True)}"></figure>\n'


def spoken(code: str) -> str:
    """A mermaid flowchart in words: its labels, in the order in which they stand."""
    labels = re.findall(r'"([^"]+)"', code)
    return "Diagram: " + "; ".join(re.sub(r"<br/?>", ", ", label) for label in labels)


def markdown(text: str) -> str:
    return MarkdownWithMath(renderer=Renderer(escape=False)).render(text)


def prepare(notebook: NotebookNode) -> NotebookNode:
    """Folds the solutions, and gives every picture its sentence."""
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", []):
            code = cell.source.removeprefix("# Solution").strip()
            cell.cell_type = "markdown"
            cell.source = f"<details>\n<summary>Solution</summary>\n\n```python\n{code}\n```\n\n</details>"
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.metadata["image/png"] = {"alt": output.data.get("text/plain", "")}
    return notebook


def page(title: str, body: str) -> str:
    body = re.sub(r'href="(\w+)\.ipynb(#[\w-]*)?"', lambda m: f'href="{m[1]}.html{m[2] or ""}"', body)
    return PAGE.format(title=html.escape(title), body=body)


def notebook_page(name: str) -> str:
    exporter = HTMLExporter(template_name="basic")
    exporter.register_filter("markdown2html", markdown)
    notebook = prepare(nbformat.read(workbook.path_of(name), as_version=4))
    body, _ = exporter.from_notebook_node(notebook)
    return page(f"{workbook.heading(name)['title']} · mytensor", body)


def index_page() -> str:
    text = (
        "# mytensor: the workbook\n\n"
        "A deep-learning framework small enough to read, taken apart notebook by notebook. These are the pages to "
        "read; run them in JupyterLab (`make lab`) to work on the exercises and to use the live pictures.\n\n"
        f"## Contents\n\n{workbook.contents()}\n\n[Glossary](glossary.html)\n"
    )
    return page("mytensor: the workbook", markdown(text))


def build(folder: pathlib.Path = BOOK) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "book.css").write_text(STYLE + HtmlFormatter().get_style_defs(".highlight"), encoding="utf-8")
    names = workbook.all_names()
    for name in names:
        (folder / f"{name}.html").write_text(notebook_page(name), encoding="utf-8")
    glossary = markdown(GLOSSARY.read_text(encoding="utf-8") + "\n\n[Contents](index.html)\n")
    (folder / "glossary.html").write_text(page("Glossary · mytensor", glossary), encoding="utf-8")
    (folder / "index.html").write_text(index_page(), encoding="utf-8")
    print(f"{len(names)} notebooks, glossary and index: open {folder.name}/index.html")


if __name__ == "__main__":
    if sys.argv[1:] == ["diagrams"]:
        draw_diagrams()
    elif sys.argv[1:] == ["check"]:
        sys.exit(check_diagrams())
    elif not sys.argv[1:]:
        build()
    else:
        raise SystemExit(__doc__ or 2)  # python -OO has no docstrings
