"""A real JupyterLab server, and what a test does with a notebook opened in it."""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
WIDGET = "window.jupyterapp.shell.currentWidget"  # there because of --LabApp.expose_app_in_browser

# JupyterLab's settings: every cell stays in the page, and no "would you like to hear Jupyter news?" over it.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


def find_chromium() -> str | None:
    """The browser to use: MYTENSOR_CHROMIUM, else what is installed."""
    return os.environ.get("MYTENSOR_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


class Lab:
    """A server on a free port of this machine, with settings of its own; close() ends it and nothing else."""

    def __init__(self, root: pathlib.Path, theme: str = "JupyterLab Light"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.token = secrets.token_hex(16)
        self.home = tempfile.TemporaryDirectory(prefix="lab-")
        home = pathlib.Path(self.home.name)
        for name, value in {**SETTINGS, "apputils-extension/themes": {"theme": theme}}.items():
            path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value), encoding="utf-8")
        folders = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
        environment.pop("PYTEST_CURRENT_TEST", None)  # kernels started under it lose what native code prints
        environment |= {name: str(home / folder) for name, folder in folders.items()}
        environment["JUPYTER_PREFER_ENV_PATH"] = "1"
        environment["MYTENSOR_QUICK"] = "1"
        environment["PYTHONWARNINGS"] = "ignore:this machine is busy"  # the browser is one of those that keep it so
        self.log = (home / "server.log").open("w+", encoding="utf-8")
        options = [
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={root}",
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            "--LabApp.extension_manager=readonly",
            "--LabApp.expose_app_in_browser=True",
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=self.log, stderr=subprocess.STDOUT
        )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api?token={self.token}", timeout=2).read()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.log.seek(0)
                    raise RuntimeError("JupyterLab did not start:\n" + self.log.read()) from None
                time.sleep(0.2)

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()
        self.home.cleanup()


class OpenNotebook:
    """A notebook in a browser's page."""

    def __init__(self, page, lab: Lab, name: str):
        self.page = page
        page.goto(f"http://127.0.0.1:{lab.port}/lab/tree/{name}?token={lab.token}&reset", wait_until="domcontentloaded")
        page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)
        page.wait_for_selector(f"{PANEL} .jp-Cell", timeout=60_000)
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        self._wait_until_idle()

    def _wait_until_idle(self) -> None:
        indicator = f'{PANEL} .jp-Notebook-ExecutionIndicator[data-status="idle"]'
        self.page.wait_for_selector(indicator, timeout=120_000)

    def restart_and_run_all(self, timeout: int = 120_000) -> None:
        """As a reader does: the toolbar's double arrow, then the dialog's button. Waits until every cell has run."""
        page = self.page
        # A kernel that is restarted before it has introduced itself loses the order to run.
        page.evaluate(
            f"""async () => {{
                const session = {WIDGET}.sessionContext;
                await session.ready;
                await session.session.kernel.info;
            }}"""
        )
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        page.click(f'{PANEL} jp-button[data-command="notebook:restart-run-all"]')
        page.click(".jp-Dialog button.jp-mod-accept")
        page.wait_for_selector(".jp-Dialog", state="detached")
        page.wait_for_function(  # asks the notebook's model: a collapsed cell has no editor in the page
            f"""() => {{
                const panel = {WIDGET}, kernel = panel.sessionContext.session?.kernel;
                const code = panel.content.widgets.filter(
                    cell => cell.model.type === 'code' && cell.model.sharedModel.getSource().trim());
                return kernel && kernel.status === 'idle' && code.every(cell => cell.model.executionCount !== null);
            }}""",
            timeout=timeout,
            polling=200,
        )
        self._wait_until_idle()

    def cells(self) -> list[dict]:
        """The cells with their outputs, as JupyterLab holds them."""
        return self.page.evaluate(f"() => {WIDGET}.context.model.toJSON().cells")

    def run_cell(self, text: str) -> str:
        """Runs the code cell that holds `text` once more, by click and Shift+Enter; returns what it printed."""
        cell = self.page.locator(f"{PANEL} .jp-CodeCell", has_text=text).last
        before = cell.locator(".jp-InputPrompt").text_content()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        prompt = cell.locator(".jp-InputPrompt")
        end = time.monotonic() + 30
        while (now := prompt.text_content()) == before or "*" in (now or ""):
            assert time.monotonic() < end, f"the cell with {text!r} did not run"
            self.page.wait_for_timeout(50)
        return (cell.locator(".jp-OutputArea-output").last.text_content() or "").strip()

    def overflowing(self) -> list[str]:
        """Outputs and texts that are wider than their place: the reader would have to scroll sideways."""
        return self.page.eval_on_selector_all(
            f"{PANEL} .jp-OutputArea-output, {PANEL} .jp-RenderedMarkdown",
            "all => all.filter(e => e.scrollWidth > e.clientWidth + 2).map(e => e.textContent.slice(0, 80))",
        )

    def screenshot(self, path: pathlib.Path) -> None:
        """The whole notebook, top to bottom, in one picture."""
        path.parent.mkdir(parents=True, exist_ok=True)
        outer = self.page.locator(f"{PANEL} .jp-WindowedPanel-outer").first
        height = outer.evaluate("e => e.scrollHeight")
        size = self.page.viewport_size
        self.page.set_viewport_size({"width": size["width"], "height": min(height + 160, 16_000)})
        outer.evaluate("e => { e.scrollTop = 0; }")
        self.page.wait_for_timeout(300)  # figures settle
        self.page.screenshot(path=str(path))
        self.page.set_viewport_size(size)
