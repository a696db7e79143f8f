"""Modules that are imported when they are first asked for: `import mytensor` stays quick, and `mt.data` works at once.

A package with such modules ends with

    __getattr__, __dir__ = lazy_modules(__name__)
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any


def lazy_modules(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The __getattr__ and the __dir__ of a package: its modules are there, imported or not."""

    def names() -> list[str]:
        import pkgutil

        module = sys.modules[package]
        public = [found.name for found in pkgutil.iter_modules(module.__path__) if not found.name.startswith("_")]
        return sorted({*vars(module), *getattr(module, "__all__", ()), *public})

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
