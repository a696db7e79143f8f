"""The static site of `make book` in a real browser that has no network: formulas, diagrams and pictures are drawn."""

import pathlib
import re
import subprocess
import sys

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
from lab import find_chromium  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
SCREENSHOTS = ROOT / "build" / "screenshots"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def book():
    subprocess.run([sys.executable, ROOT / "scripts" / "book.py"], check=True)
    return ROOT / "book"


@pytest.fixture(scope="module")
def page():
    with playwright.sync_playwright() as tools:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = tools.chromium.launch(executable_path=find_chromium(), args=options)
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        yield page
        browser.close()


@pytest.mark.parametrize("name", ["index", "glossary", *NAMES])
def test_page(name, book, page):
    asked = []
    page.unroute_all()
    page.route(re.compile("^(?!file:|data:)"), lambda route: (asked.append(route.request.url), route.abort()))
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.goto((book / f"{name}.html").as_uri())
    page.screenshot(path=str(SCREENSHOTS / f"book_{name}.png"), full_page=True)
    assert asked == [], "the page asks for something from elsewhere"

    assert page.locator("h1").count() == 1
    formulas = page.eval_on_selector_all(
        "math",
        "all => all.map(e => [e.getBoundingClientRect().width, e.querySelector('merror') !== null, e.textContent])",
    )
    assert all(width > 3 and not error for width, error, _ in formulas), formulas
    assert not [text for _, _, text in formulas if "\\" in text], "a command that the converter does not know"
    pictures = page.eval_on_selector_all("img", "all => all.map(e => [e.naturalWidth, e.alt])")
    assert all(width > 20 and len(alt) > 20 for width, alt in pictures), pictures
    prose = page.eval_on_selector_all("p, li, td", "all => all.map(e => e.innerText).join('\\n')")
    assert not re.search(r"\$[^$\n]+\$|\\frac|\\sum|```", prose), "a formula or diagram left as it was typed"
    source = (ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8") if name in NAMES else ""
    if "$$" in source:
        assert page.locator('math[display="block"]').count()
    assert page.locator("figure.diagram img").count() == source.count("```mermaid")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "wider than the window"

    for link in page.eval_on_selector_all("a[href]", "all => all.map(e => e.getAttribute('href'))"):
        target, _, anchor = link.partition("#")
        if not target.startswith("http"):
            there = book / (target or f"{name}.html")
            assert there.is_file(), link
            assert not anchor or f'id="{anchor}"' in there.read_text(encoding="utf-8"), link
