"""Is the compiled backend there, does this CPU run it, and was it built from the C++ sources beside it?

setup.py loads this file by its path to compute the same hash, so it imports nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import importlib
import pathlib
import sys
import types
import warnings

BUILD_COMMAND = "make setup` or `pip install -e ."

_PACKAGE = pathlib.Path(__file__).resolve().parent


def csrc_path() -> pathlib.Path:
    """The folder of C++ sources that `mytensor_backend` was built from.

    In a clone (and after `pip install -e .`) it is `csrc/` beside the package; an installed package carries a copy.
    """
    copy = _PACKAGE / "_csrc"
    return copy if copy.is_dir() else _PACKAGE.parent / "csrc"


def source_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Every source file below `folder` that takes part in the build, in a fixed order."""
    found = (path for path in folder.rglob("*") if path.suffix in {".h", ".cpp", ".cu", ".cuh"})
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def source_hash(folder: pathlib.Path) -> str:
    """One hash over the names and contents of all sources below `folder` (32 hexadecimal digits)."""
    digest = hashlib.sha256()
    for path in source_files(folder):
        for part in (path.relative_to(folder).as_posix().encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


def stale_message(built_hash: str, folder: pathlib.Path) -> str | None:
    """What to tell the user if the sources in `folder` are not those with `built_hash`; None if they are."""
    if not folder.is_dir():
        return None  # installed without sources: nothing to compare with
    if source_hash(folder) == built_hash:
        return None
    return (
        f"the compiled backend is stale: the sources in {folder} have changed since mytensor_backend was built. "
        f"Rebuild it with `{BUILD_COMMAND}`, then restart Python."
    )


def load_backend() -> types.ModuleType:
    """Import `mytensor_backend`, warn if it is stale, and return it.

    Raises ImportError with the command that mends it if the extension was not built, or was built for another CPU.
    """
    try:
        backend = importlib.import_module("mytensor_backend")
    except ModuleNotFoundError as error:
        if error.name != "mytensor_backend":
            raise
        if sys.platform == "win32":
            raise ImportError("mytensor does not work on Windows itself; use WSL2, and Python there.") from None
        raise ImportError(
            f"the compiled backend mytensor_backend is not built for this Python; run `{BUILD_COMMAND}`."
        ) from None
    message = stale_message(backend.build_info()["source_hash"], csrc_path())
    if message is not None:
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    return backend
