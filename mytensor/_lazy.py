"""Modules that are imported when they are first asked for: `import mytensor` stays quick, and `mt.data` works at once.

A package with such modules ends with

    __getattr__, __dir__ = lazy_modules(__name__)

Some have a short name besides, under which a notebook or a shell asks for them: `from mytensor import check` and
`import mytensor.inspect.im2col` find the very modules of mytensor/workbook/.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

# Short name -> where the module stands. What lies below it is found the same way.
SHORT_NAMES = {
    "mytensor.bench": "mytensor.lab.bench",
    "mytensor.compare": "mytensor.lab.compare",
    "mytensor.doctor": "mytensor.lab.doctor",
    "mytensor.plots": "mytensor.lab.plots",
    "mytensor.check": "mytensor.workbook.check",
    "mytensor.exercise": "mytensor.workbook.exercise",
    "mytensor.inspect": "mytensor.workbook.inspect",
    # These three were in inspect/ once.
    "mytensor.workbook.inspect.ledger": "mytensor.lab.ledger",
    "mytensor.workbook.inspect.step_times": "mytensor.lab.step_times",
    "mytensor.workbook.inspect.training": "mytensor.workbook.inspect.training_run",
}


class _ShortNames(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """What `import` asks for the short names: the module is imported by its own name, and noted under both."""

    def _place(self, name: str) -> str | None:
        for short, place in SHORT_NAMES.items():
            if name == short or name.startswith(f"{short}."):
                return place + name[len(short) :]
        return None

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return importlib.util.spec_from_loader(name, self) if self._place(name) else None

    def exec_module(self, module: Any) -> None:
        sys.modules[module.__name__] = importlib.import_module(str(self._place(module.__name__)))


# The first to be asked: Python's own finder would read the file of mytensor.inspect.im2col, and so a second time.
sys.meta_path.insert(0, _ShortNames())


def lazy_modules(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The __getattr__ and the __dir__ of a package: its modules are there, imported or not."""

    def names() -> list[str]:
        import pkgutil

        module = sys.modules[package]
        public = [found.name for found in pkgutil.iter_modules(module.__path__) if not found.name.startswith("_")]
        short = [name.removeprefix(f"{package}.") for name in SHORT_NAMES if name.rpartition(".")[0] == package]
        return sorted({*vars(module), *getattr(module, "__all__", ()), *public, *short})

    def attribute(name: str) -> Any:
        # Python asks for this where the package has no attribute of the name.
        if not name.startswith("_") and name in names():
            try:
                return importlib.import_module(f"{package}.{name}")
            except ModuleNotFoundError as error:
                if str(error.name).startswith("mytensor") or "pip install" in str(error):
                    raise  # nothing to install, or mytensor.optional has said already what
                raise ImportError(
                    f"{package}.{name} needs the package {error.name}; install it: pip install {error.name}"
                ) from error
        raise AttributeError(missing(package, name, names() if not name.startswith("_") else []))

    return attribute, names


def missing(package: str, name: str, names: list[str]) -> str:
    """The text of an AttributeError, with a name that is near where there is one."""
    import difflib

    near = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    return f"module {package!r} has no attribute {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
