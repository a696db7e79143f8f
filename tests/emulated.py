"""Kernels of tests/simt, built for the emulator as the project's own are, and called from Python."""

from __future__ import annotations

import functools
import os
import pathlib
import shlex
import subprocess
import tempfile

import mytensor_backend as backend
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPILER = shlex.split(os.environ.get("CXX", "c++"))
SIMT = pathlib.Path(backend.__file__).resolve().parent / "mytensor" / "_simt"


def flags_of(kind: str) -> list[str]:
    """The compiler's flags for kernels that run "fast" or are "watched"."""
    fast, _, watched = backend.build_info()["simt_flags"].partition(" | ")
    return shlex.split(fast if kind == "fast" else watched)


def compile_kernel(
    source: pathlib.Path, csrc: pathlib.Path, flags: list[str], made: pathlib.Path, prelude: pathlib.Path | None = None
) -> None:
    """One .cu against the headers of `csrc`; with the headers of `prelude` before it, which precompile() has made."""
    includes = [f"-I{csrc / 'simt' / 'include'}", f"-I{csrc / 'cuda'}", f"-ffile-prefix-map={ROOT}/="]
    before = ["-include", str(prelude)] if prelude is not None else []
    _run([*COMPILER, *flags, "-w", *includes, *before, "-x", "c++", "-c", str(source), "-o", str(made)])


def precompile(headers: list[str], csrc: pathlib.Path, flags: list[str], folder: pathlib.Path) -> pathlib.Path:
    """A header in `folder` that includes these, and beside it what the compiler makes of it once for all."""
    prelude = folder / "prelude.h"
    prelude.write_text("".join(f"#include {header}\n" for header in headers))
    compile_header = ["-x", "c++-header", str(prelude), "-o", f"{prelude}.gch"]
    _run([*COMPILER, *flags, "-w", f"-I{csrc / 'simt' / 'include'}", f"-I{csrc / 'cuda'}", *compile_header])
    return prelude


def link_kernels(objects: list[pathlib.Path], library: pathlib.Path) -> None:
    """A library for the emulator: without -fsanitize=thread, which would bring in what the emulator replaces."""
    emulator = [str(SIMT / "libmytensor_simt.so"), f"-Wl,-rpath,{SIMT}", "-Wl,-Bsymbolic-functions"]
    _run([*COMPILER, "-shared", *map(str, objects), *emulator, "-o", str(library)])


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"{shlex.join(command)}:\n{result.stderr[-3000:]}"


class Kernels:
    """The functions run_<name> of one tests/simt/*.cu: fast, or, inside mt.simt.watch() or trace(), watched."""

    def __init__(self, name: str):
        self.source = ROOT / "tests" / "simt" / f"{name}.cu"

    @functools.cached_property
    def _folder(self) -> pathlib.Path:
        self._kept = tempfile.TemporaryDirectory()
        return pathlib.Path(self._kept.name)

    @functools.cache  # noqa: B019 - one object a file, kept for the whole run
    def _library(self, kind: str) -> pathlib.Path:
        library = self._folder / f"{kind}.so"
        made = library.with_suffix(".o")
        compile_kernel(self.source, ROOT / "csrc", flags_of(kind), made)
        link_kernels([made], library)
        return library

    def run(self, name: str, *arrays: backend.NDArray, numbers: tuple = ()) -> None:
        settings = backend.simt_settings()
        kind = "watched" if settings["watch"] or settings["trace"] else "fast"
        backend.simt_call(str(self._library(kind)), f"run_{name}", list(arrays), [float(number) for number in numbers])

    def line_of(self, marker: str) -> int:
        """The line that carries this comment."""
        lines = self.source.read_text(encoding="utf-8").splitlines()
        (number,) = [i for i, text in enumerate(lines, 1) if text.rstrip().endswith(f"// {marker}")]
        return number


def on_simt(array: np.ndarray) -> backend.NDArray:
    """A copy in the emulator's memory."""
    return backend.from_numpy(np.ascontiguousarray(array)).to("simt")
