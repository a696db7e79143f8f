"""Keeps the browser tests out of a plain `pytest`. (What the notebooks' tests need is in notebooks/conftest.py.)"""

import pathlib

BROWSER_TESTS = pathlib.Path(__file__).resolve().parent / "tests" / "browser"


def pytest_ignore_collect(collection_path, config):
    """tests/browser needs Chromium: it runs only where it is named (`make browser-test`, or `pytest tests/browser`)."""
    if collection_path == BROWSER_TESTS:
        named = [pathlib.Path(config.invocation_params.dir, arg.split("::")[0]).resolve() for arg in config.args]
        return None if any(path.is_relative_to(BROWSER_TESTS) for path in named) else True
    return None
