"""Every notebook in a real JupyterLab, run to its end, its widget driven by mouse and by keys.

    make browser-test            (or: pytest tests/browser; a plain pytest leaves these out)

Needs playwright and Chromium (its path: MYTENSOR_CHROMIUM, else the one that is installed). Screenshots of every
notebook go to build/screenshots, or where MYTENSOR_SCREENSHOTS says.
"""

import os
import pathlib
import re
import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
from lab import PANEL, Lab, OpenNotebook, find_chromium  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
SCREENSHOTS = pathlib.Path(os.environ.get("MYTENSOR_SCREENSHOTS", ROOT / "build" / "screenshots"))
BROWSER_OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session", params=["light", "dark"])
def lab(request, tmp_path_factory):
    """A server over a copy of the notebooks and of the results they read, in each theme."""
    folder = tmp_path_factory.mktemp("book") / "notebooks"
    folder.mkdir()
    shutil.copytree(ROOT / "results", folder.parent / "results")
    for name in NAMES:
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", folder)
    server = Lab(folder, theme=f"JupyterLab {request.param.capitalize()}")
    server.theme = request.param
    yield server
    server.close()


@pytest.fixture(scope="session")
def browser():
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=find_chromium(), args=BROWSER_OPTIONS)
        yield browser
        browser.close()


@pytest.mark.parametrize("name", NAMES)
def test_notebook(name, lab, browser):
    if lab.theme == "dark" and name not in DRIVES:
        pytest.skip("no widget to see in the dark theme")
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    crashes = []
    # A restart while JupyterLab still greets the kernel leaves a "Canceled future" behind: its own, and harmless.
    page.on("pageerror", lambda error: crashes.append(str(error)) if "Canceled future" not in str(error) else None)
    try:
        notebook = OpenNotebook(page, lab, f"{name}.ipynb")
        notebook.restart_and_run_all()
        assert_no_errors(notebook.cells())
        if name in DRIVES:
            DRIVES[name](notebook)
        notebook.screenshot(SCREENSHOTS / f"{name}_{lab.theme}.png")
        assert notebook.overflowing() == []
        assert crashes == []
    except BaseException:
        page.screenshot(path=str(failed := SCREENSHOTS / f"{name}_{lab.theme}_failed.png"))
        print(f"see {failed}")
        raise
    finally:
        page.evaluate("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.shutdown()")
        page.close()


def assert_no_errors(cells):
    """No traceback but those that a tag asked for, nothing on stderr, and every widget alive."""
    for cell in cells:
        tags = cell["metadata"].get("tags", [])
        for output in cell.get("outputs", []):
            if "raises-exception" not in tags:
                assert output["output_type"] != "error", f"{output.get('ename')}: {output.get('evalue')}"
            assert output.get("name") != "stderr" or "nbval-ignore-output" in tags, output["text"]


# ---------------------------------------------------------------------------------------------------------------------
# What a reader does with each notebook's widget. Each sees the picture and the Python side change.
# ---------------------------------------------------------------------------------------------------------------------


def drive_start_here(notebook):
    views = notebook.page.locator(f"{PANEL} svg.view")
    says = notebook.page.locator(f"{PANEL} .mt-inspector .say")
    views.nth(2).scroll_into_view_if_needed()
    playwright.expect(says).to_have_text("mytensor[0, 0] = 10,  numpy[0, 0] = 10,  torch[0, 0] = 10,  clone[0, 0] = 1")
    views.nth(1).locator("rect[data-row='0'][data-column='1']").click()  # numpy's element [0, 1]
    playwright.expect(says).to_have_text("mytensor[0, 1] = 3,  numpy[0, 1] = 3,  torch[0, 1] = 3,  clone[0, 1] = 2")
    views.nth(3).focus()
    notebook.page.keyboard.press("ArrowDown")
    notebook.page.keyboard.press("+")
    playwright.expect(says).to_have_text("mytensor[1, 1] = 5,  numpy[1, 1] = 5,  torch[1, 1] = 5,  clone[1, 1] = 6")
    left = notebook.page.locator(f"{PANEL} .jp-CodeCell", has_text="print(x)").last
    left.locator(".cm-content").click()
    notebook.page.keyboard.press("Shift+Enter")
    playwright.expect(left.locator(".jp-OutputArea-output")).to_contain_text("10.,  3.,  3.")


def drive_memory(notebook):
    page = notebook.page
    widget = page.locator(f"{PANEL} .mt-inspector", has=page.locator("svg.blocks"))
    says, counts, blocks = widget.locator(".say"), widget.locator(".counts"), widget.locator("svg.blocks")
    blocks.scroll_into_view_if_needed()
    playwright.expect(says).to_have_text("b is freed: block B is kept in the cache.")
    widget.locator("button.allocate", has_text="make 96 KiB").click()
    playwright.expect(says).to_contain_text("e wants 96 KiB: block B (96 KiB) comes from the cache")
    playwright.expect(counts).to_contain_text("5 requests, 2 of them served from the cache")
    blocks.locator("rect[data-row='2']").click()  # block C
    playwright.expect(says).to_have_text("c is freed: block C is kept in the cache.")
    blocks.focus()
    page.keyboard.press("ArrowUp")
    playwright.expect(blocks).to_have_attribute("aria-label", "Chosen: block B, 96 KiB, array e.")
    page.keyboard.press("Delete")
    playwright.expect(says).to_have_text("e is freed: block B is kept in the cache.")
    assert "A (40 KiB, d), B (96 KiB, cached), C (56 KiB, cached)" in notebook.run_cell("print(inspector)")
    widget.locator("select[name='mode']").select_option("plain")
    playwright.expect(says).to_contain_text("what was cached went back to the system")
    playwright.expect(blocks.locator("rect[data-row]")).to_have_count(1)
    widget.locator("button.allocate", has_text="make 50 KiB").press("Enter")
    playwright.expect(says).to_contain_text("f wants 50 KiB: the system gives a new block D of 56 KiB")
    assert "mode plain" in notebook.run_cell("print(inspector)")


def drive_im2col(notebook):
    page = notebook.page
    says = page.locator(f"{PANEL} .mt-inspector", has=page.locator("svg.matrix")).locator(".say")
    matrix, image = page.locator(f"{PANEL} svg.matrix"), page.locator(f"{PANEL} svg.image")
    matrix.scroll_into_view_if_needed()
    matrix.locator("rect[data-row='4'][data-column='7']").hover()
    playwright.expect(says).to_contain_text("matrix[4, 7] is image[0, 1, 2] = 7")
    assert image.locator("rect.chosen").count() == 18  # two channels of 3 x 3
    matrix.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    playwright.expect(says).to_contain_text("matrix[5, 8] is image[0, 1, 4] = 9")
    assert notebook.run_cell("inspector.row, inspector.column").endswith("(5, 8, 1, 1)")

    image.locator("rect[data-row='2'][data-column='3']").first.hover()  # a pixel: all of its copies
    playwright.expect(says).to_contain_text("9 copies")
    assert matrix.locator("rect.exact").count() == 9

    stride = page.locator(f"{PANEL} .mt-inspector input[name='stride']")
    stride.fill("2")
    stride.press("Enter")
    playwright.expect(matrix.locator("rect")).to_have_count(18 * 2 * 3)
    assert notebook.run_cell("inspector.row, inspector.column").endswith(", 2, 1)")

    drive_threads(notebook)


def drive_threads(notebook):
    page = notebook.page
    widget = page.locator(f"{PANEL} .mt-inspector", has=page.locator("svg.written"))
    says, written = widget.locator(".say"), widget.locator("svg.written")
    written.scroll_into_view_if_needed()
    written.locator("rect[data-row='5'][data-column='8']").hover()
    playwright.expect(says).to_contain_text("Thread 149 writes matrix[5, 8], image[0, 1, 4]")
    assert written.locator("rect.chosen").count() == 32
    assert notebook.run_cell("threads.kernel, threads.warp, threads.lane") == "('naive', 4, 21)"

    widget.locator("select[name='kernel']").select_option("coalesced")
    playwright.expect(says).to_contain_text("Kernel coalesced, warp 4: its 32 threads write 32 elements into 4 sectors")
    written.focus()
    page.keyboard.press("ArrowDown")
    playwright.expect(says).to_contain_text("Thread 181 writes")
    assert notebook.run_cell("threads.kernel, threads.warp, threads.lane") == "('coalesced', 5, 21)"


def drive_gemm(notebook):
    page = notebook.page
    widget = page.locator(f"{PANEL} .mt-inspector", has=page.locator("svg.walk"))
    says, picture = widget.locator(".say"), widget.locator("svg.walk")
    picture.scroll_into_view_if_needed()
    playwright.expect(says).to_contain_text(
        "Block 0, step 0 of 0 to 2: its 256 threads copy 256 numbers of a and 256 of b"
    )
    picture.locator("rect[data-of='output'][data-row='20'][data-column='18']").hover()
    playwright.expect(says).to_contain_text("The thread of output[20, 18] copies a[20, 2] and b[4, 18]")
    panel = picture.locator("rect.tile").first  # what the block copies of a
    before = panel.get_attribute("x")
    widget.locator("button.next").click()
    playwright.expect(panel).not_to_have_attribute("x", before)
    playwright.expect(says).to_contain_text("Block 3, step 1 of 0 to 2")
    picture.focus()
    page.keyboard.press("+")
    playwright.expect(says).to_contain_text("copy 64 numbers of a and 32 of b")  # the last, narrow tiles
    playwright.expect(says).to_contain_text("and that is the output")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    playwright.expect(says).to_contain_text("The thread of output[19, 17] copies a[19, 33]")
    page.keyboard.press("-")
    playwright.expect(says).to_contain_text("Its sum so far")
    assert notebook.run_cell("walk.block, walk.thread, walk.step") == "(3, 49, 1)"


def drive_conv_forward(notebook):
    page = notebook.page
    picture = page.locator(f"{PANEL} img.widget-image")
    slider = page.locator(f"{PANEL} .widget-slider", has=page.locator(".widget-label", has_text=re.compile("^filter$")))
    picture.scroll_into_view_if_needed()
    before, printed = picture.get_attribute("src"), notebook.run_cell("feature map {maps.feature_map.shape}")
    handle = slider.locator(".noUi-handle")
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    playwright.expect(page.locator(f"{PANEL} .widget-html", has_text="Filter 3")).to_be_visible()
    playwright.expect(picture).not_to_have_attribute("src", before)
    assert notebook.run_cell("feature map {maps.feature_map.shape}") != printed
    box = slider.locator(".noUi-base").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 1, box["y"] + box["height"] / 2)
    playwright.expect(page.locator(f"{PANEL} .widget-html", has_text="Filter 6")).to_be_visible()


def drive_conv_backward(notebook):
    page = notebook.page
    says = page.locator(f"{PANEL} .mt-inspector .say")
    upstream = page.locator(f"{PANEL} svg.upstream")
    upstream.scroll_into_view_if_needed()
    upstream.locator("rect[data-row='1'][data-column='2']").hover()
    playwright.expect(says).to_contain_text("The upstream gradient is 1 at output pixel (1, 2)")
    assert page.locator(f"{PANEL} svg.input-gradient rect.chosen").count() == 9
    upstream.focus()
    page.keyboard.press("ArrowUp")
    playwright.expect(says).to_contain_text("output pixel (0, 2)")
    assert page.locator(f"{PANEL} svg.input-gradient rect.chosen").count() == 6  # a row of the kernel meets the padding
    assert notebook.run_cell("inspector.pixel, inspector.weight").startswith("(2, [0.0, 0.0, 0.0, 2.0")


def drive_pooling(notebook):
    page = notebook.page
    says = page.locator(f"{PANEL} .mt-inspector .say")
    pooled = page.locator(f"{PANEL} svg.pooled")
    pooled.scroll_into_view_if_needed()
    pooled.locator("rect[data-row='1'][data-column='0']").hover()
    playwright.expect(says).to_contain_text("Window (1, 0): the largest is 7 at row 2, column 0")
    pooled.focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(says).to_contain_text("Window (1, 1): the largest is 9 at row 3, column 2")
    assert notebook.run_cell("inspector.window, inspector.winners") == "(3, 14)"


def drive_cross_entropy(notebook):
    page = notebook.page
    picture = page.locator(f"{PANEL} img.widget-image")
    picture.scroll_into_view_if_needed()
    before = picture.get_attribute("src")
    slider = page.locator(f"{PANEL} .widget-slider").first
    slider.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator(f"{PANEL} .widget-html", has_text="Logits 3, 1, -1")).to_be_visible()
    playwright.expect(picture).not_to_have_attribute("src", before)
    box = slider.locator(".noUi-base").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 1, box["y"] + box["height"] / 2)  # far to the right: 150
    playwright.expect(page.locator(f"{PANEL} .widget-html", has_text="has left the numbers")).to_be_visible()
    assert "'log_sum_exp': 0.0" in notebook.run_cell("for name, result in inspector.results")


def drive_autograd(notebook):
    page = notebook.page
    says = page.locator(f"{PANEL} .mt-inspector .say")
    graph = page.locator(f"{PANEL} svg.graph")
    graph.scroll_into_view_if_needed()
    page.locator(f"{PANEL} .mt-inspector button.next").click()
    playwright.expect(says).to_contain_text("Sum: sends Mul [1, 1, 1, …]")
    graph.focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(says).to_contain_text("Mul: sends Add")
    assert graph.locator("path.arrow.exact").count() == 2
    assert "'Mul: sends Add" in notebook.run_cell("inspector.step, inspector.steps")


def drive_initialisation(notebook):
    page = notebook.page
    widget = page.locator(f"{PANEL} .mt-inspector", has=page.locator("svg.signals"))
    says, picture = widget.locator(".say"), widget.locator("svg.signals")
    picture.scroll_into_view_if_needed()
    playwright.expect(says).to_contain_text("Weights drawn as uniform ±0.01, layer1 (1 of 10)")
    bars = picture.locator("rect.outputs")
    before = bars.last.get_attribute("x")
    widget.locator("label", has_text="Kaiming").click()
    playwright.expect(says).to_contain_text("Weights drawn as Kaiming, layer1 (1 of 10): the outputs have")
    assert bars.last.get_attribute("x") != before  # the last layer's values lie elsewhere
    picture.locator("rect[data-row='4'][data-column='1']").hover()
    playwright.expect(says).to_contain_text("Weights drawn as Kaiming, layer5 (5 of 10)")
    assert picture.locator("rect.layer.exact").count() == 2  # that layer's two histograms
    assert notebook.run_cell("inspector.start, inspector.layers").startswith("('Kaiming', 'layer5'")
    picture.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    playwright.expect(says).to_contain_text("Weights drawn as Xavier, layer4 (4 of 10)")
    first = widget.locator("input[value='uniform ±0.1']")
    first.focus()
    page.keyboard.press("ArrowDown")  # as in any group of radio buttons
    playwright.expect(says).to_contain_text("Weights drawn as uniform ±1, layer4 (4 of 10)")
    playwright.expect(widget.locator("input[value='uniform ±1']")).to_be_checked()
    assert notebook.run_cell("inspector.start, inspector.layers").startswith("('uniform ±1', 'layer4'")


def drive_training(notebook):
    page = notebook.page
    curves = page.locator(f"{PANEL} .widget-html", has_text="2 epochs: test loss goes from")
    playwright.expect(curves).to_have_count(1)  # what the last epoch has left in the words above the curves
    slider = page.locator(
        f"{PANEL} .widget-slider", has=page.locator(".widget-label", has_text=re.compile("^mistake$"))
    )
    slider.scroll_into_view_if_needed()
    before = notebook.run_cell("mistakes.chosen")
    slider.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(slider.locator(".widget-readout")).to_have_text("1")
    assert notebook.run_cell("mistakes.chosen") != before


def drive_comparison(notebook):
    page = notebook.page
    widget = page.locator(f"{PANEL} .mt-inspector", has=page.locator("svg.bars"))
    says, accuracy = widget.locator(".say"), widget.locator("svg.bars.accuracy")
    accuracy.scroll_into_view_if_needed()
    playwright.expect(says).to_contain_text("On: plain uniform initialisation, wrongly scaled loss")
    before = accuracy.get_attribute("aria-label")
    widget.locator("button", has_text="ours").click()
    playwright.expect(says).to_contain_text("All causes are off: this is ours. Test accuracy")
    assert accuracy.get_attribute("aria-label") != before
    assert notebook.run_cell("switches.chosen, switches.sentence()").startswith("([],")
    widget.locator("label", has_text="wrongly scaled loss").click()
    playwright.expect(says).to_contain_text("On: wrongly scaled loss. Test accuracy")
    assert notebook.run_cell("switches.chosen, switches.sentence()").startswith("(['scale'],")
    first = widget.locator("input[name='init']")
    first.focus()
    page.keyboard.press("Space")
    playwright.expect(says).to_contain_text("On: plain uniform initialisation, wrongly scaled loss")
    page.keyboard.press("Enter")
    playwright.expect(first).not_to_be_checked()
    assert notebook.run_cell("switches.chosen, switches.sentence()").startswith("(['scale'],")


DRIVES = {
    "00_start_here": drive_start_here,
    "01_memory": drive_memory,
    "02_im2col": drive_im2col,
    "03_gemm": drive_gemm,
    "04_conv_forward": drive_conv_forward,
    "05_conv_backward": drive_conv_backward,
    "06_pooling": drive_pooling,
    "07_cross_entropy": drive_cross_entropy,
    "08_autograd": drive_autograd,
    "09_modules_init_optim": drive_initialisation,
    "10_cifar10_training": drive_training,
    "11_comparison": drive_comparison,
}
