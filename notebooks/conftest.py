"""Makes `pytest --nbval` see what JupyterLab shows, for this folder, wherever it was copied.

nbval 0.11 differs from JupyterLab in ways that matter to a course with a compiled backend:
  1. ipykernel drops what native code prints when PYTEST_CURRENT_TEST is set, and nbval starts the kernel inside a test;
  2. cells run with store_history=False: a trailing ';', Out[] and In[] do not work (nbval issue 194);
  3. a kernel killed by native code is noticed only after the cell's timeout (2000 s);
  4. --nbval-sanitize-with is read relative to the current folder, in the locale's encoding.
The functions below replace nbval's own for exactly these four.
"""

import os
import pathlib
import time
from queue import Empty

SANITIZE = pathlib.Path(__file__).resolve().parent / "nbval_sanitize.cfg"

try:
    from nbval import kernel as nbval_kernel
    from nbval import plugin as nbval_plugin
except ImportError:
    nbval_kernel = None  # a plain `pytest` that comes by here needs no notebook tools


if nbval_kernel is not None:
    start_kernel = nbval_kernel.start_new_kernel

    def start_new_kernel(*args, **options):
        """A kernel that captures native output and trains short versions (MYTENSOR_QUICK)."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        environment.setdefault("PYTHONHASHSEED", "0")
        environment.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        environment["MYTENSOR_QUICK"] = "1"
        environment["MYTENSOR_PROGRESS"] = os.devnull  # running the book as a test is no progress of its reader's
        environment["PYTHONWARNINGS"] = "ignore:this machine is busy"  # no output of the cell that it appears in
        options.setdefault("env", environment)
        return start_kernel(*args, **options)

    def execute_cell_input(self, source, allow_stdin=None):
        """Runs a cell as JupyterLab does: with history, so that a trailing ';' hides the result."""
        return self.kc.execute(source, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)

    def await_reply(self, message_id, timeout=None):
        """Waits for the cell's end, looking every second whether the kernel is still alive."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = 1.0 if end is None else min(1.0, end - time.monotonic())
            if left <= 0:
                raise Empty
            try:
                reply = self.get_message(stream="shell", timeout=left)
            except Empty:
                if not self.is_alive():
                    raise RuntimeError("the kernel died while it ran this cell: a crash in native code?") from None
                continue
            if reply["parent_header"].get("msg_id") == message_id:
                if reply["content"]["status"] == "aborted":
                    raise RuntimeError("the kernel refused to run this cell")
                return

    def setup_sanitize_files(self):
        """Reads the sanitize files as UTF-8, whatever the locale says."""
        for path in self.get_sanitize_files():
            text = pathlib.Path(path).read_text(encoding="utf-8")
            self.sanitize_patterns.update(nbval_plugin.get_sanitize_patterns(text))

    nbval_kernel.start_new_kernel = start_new_kernel
    nbval_kernel.RunningKernel.execute_cell_input = execute_cell_input
    nbval_kernel.RunningKernel.await_reply = await_reply
    nbval_plugin.IPyNbFile.setup_sanitize_files = setup_sanitize_files


def pytest_configure(config):
    option = config.option
    if getattr(option, "nbval", False) or getattr(option, "nbval_lax", False):
        if not option.nbval_sanitize_with:
            option.nbval_sanitize_with = str(SANITIZE)
        if not option.nbval_kernel_name:
            option.nbval_current_env = True  # never a kernelspec that a student's JupyterLab wrote into the notebook
        if option.nbval_cell_timeout == 2000:
            option.nbval_cell_timeout = 300.0
