"""Builds with compilers that are shell scripts: setup.py as a user runs it, in a tenth of a second.

The scripts do what a build can tell: they know --version, list dependencies, and put together what they were handed: an
"object" is its source's text, a "library" its objects' texts. What compiles leaves a line in the folder's file `log`.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# $SLOW: a compiler has read its source, and writes its object only when that file is there.
COMPILER = """#!/bin/sh
source= output= listed=
for word in "$@"; do
    case "$previous" in -o) output=$word ;; -MF) listed=$word ;; -c) source=$word ;; esac
    case "$word" in
    --version) echo "stub 1.0"; exit ;;
    -march=native | -march=x86-64-v3) ;;
    -march=* | --reject | -Xcompiler=--reject) exit 1 ;;
    -E) exit ;;
    *probe.cpp) source=$word ;;
    esac
    previous=$word
done
[ -n "$output" ] || exit 1
{ printf '%s\\037' "$@"; echo; } >>"$STUB_LOG"
if [ -n "$listed" ]; then
    text=$(cat "$source")
    echo "$output: $source" csrc/*/*.h csrc/*/*/*.h >"$listed"
    if [ -n "$SLOW" ]; then : >"$SLOW.waits"; while [ ! -e "$SLOW" ]; do sleep 0.05; done; fi
    [ -z "$SAVES" ] || [ "$source" != "$SAVES" ] || echo "// saved beneath the compiler" >>"$source"
    echo "$text" >"$output"
else
    for word in "$@"; do case "$word" in *.o) cat "$word" || exit 1 ;; esac; done >"$output"
    if [ -n "$DISK_IS_FULL" ] && [ -s "$output" ]; then echo "No space left on device" >&2; exit 1; fi
fi
"""

NVCC = """#!/bin/sh
case "$1" in
--version) echo "release 12.4, V12.4.1" ;;
--list-gpu-code) printf 'sm_75\\nsm_80\\nsm_90\\n' ;;
*) exec "$(dirname "$0")/../c++" --nvcc "$@" ;;
esac
"""

# Reads {"folder", "environment", "arguments"} a line, answers {"status"}. One Python has imported setuptools, and its
# children build.
SERVER = """
import contextlib, json, os, runpy, sys, traceback
import setuptools, setuptools.command.build_ext, setuptools.command.build_py
for line in sys.stdin:
    asked = json.loads(line)
    log = os.path.join(asked["folder"], "said")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.dup2(os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 1)
            os.dup2(1, 2)
            os.chdir(asked["folder"])
            os.environ.clear()
            os.environ.update(asked["environment"])
            sys.argv = ["setup.py", *asked["arguments"]]
            runpy.run_path("setup.py", run_name="__main__")
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps({"status": status}), flush=True)
"""


class Server:
    def __init__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", SERVER], cwd=ROOT / "tests", **pipes)

    def run(self, folder: pathlib.Path, environment: dict[str, str], *arguments: str) -> tuple[int, str]:
        asked = {"folder": str(folder), "environment": environment, "arguments": arguments}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        status = json.loads(self.process.stdout.readline())["status"]
        return status, (folder / "said").read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


class Clone:
    """A small clone: one source of each kind that a build has."""

    FILES = (
        *("csrc/bindings/module.cpp", "csrc/cpu/answer.cpp", "csrc/ops/answer.h", "csrc/cuda/kernel.cu"),
        *("csrc/simt/emulator.cpp", "csrc/simt/source_hash.cpp", "csrc/simt/include/cuda.h"),
    )

    def __init__(self, folder: pathlib.Path, server: Server):
        self.folder, self.server = folder, server
        for name in self.FILES:
            self.write(name, f"// {name}\n")
        for name in ("setup.py", "mytensor/_build_check.py"):
            self.write(name, (ROOT / name).read_text(encoding="utf-8"))
        for name, script in {"c++": COMPILER, "cuda/nvcc": NVCC}.items():
            self.write(f"bin/{name}", script)
            (folder / "bin" / name).chmod(0o755)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYTENSOR_", "CUDA_"))}
        own = {"CXX": str(self.folder / "bin" / "c++"), "STUB_LOG": str(self.folder / "log"), "MYTENSOR_CUDA": "0"}
        kept["PATH"] = f"{self.folder / 'bin'}{os.pathsep}{self.folder / 'bin/cuda'}{os.pathsep}{kept['PATH']}"
        own["CXX"] = shlex.quote(own["CXX"])
        return kept | own | changes

    def try_build(self, *arguments: str, **environment: str) -> tuple[int, str]:
        (self.folder / "log").unlink(missing_ok=True)
        arguments = arguments or ("--quiet", "build_ext", "--inplace")
        return self.server.run(self.folder, self.environment(**environment), *arguments)

    def build(self, **environment: str) -> set[str]:
        """Builds; the sources that were compiled."""
        status, said = self.try_build(**environment)
        assert status == 0, said
        return self.compiled()

    def start(self, **environment: str) -> subprocess.Popen:
        """A build in the background, in a session of its own."""
        command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment(**environment), start_new_session=True, **pipes
        )

    def asked(self) -> list[list[str]]:
        """Each call of a compiler, as words."""
        log = self.folder / "log"
        return [line.split("\x1f")[:-1] for line in log.read_text().split("\n")[:-1]] if log.exists() else []

    def compiled(self) -> set[str]:
        return {word for words in self.asked() for word in words if re.fullmatch(r"csrc/\S+\.(cpp|cu)", word)}

    def made(self) -> dict[str, str]:
        """What a user gets: the libraries and their contents."""
        libraries = [*self.folder.glob("mytensor_backend*.so"), *(self.folder / "mytensor").rglob("*.so")]
        return {path.relative_to(self.folder).as_posix(): path.read_text(encoding="utf-8") for path in libraries}

    def moved_to(self, folder: pathlib.Path) -> "Clone":
        shutil.copytree(self.folder, folder)
        copy = object.__new__(Clone)
        copy.folder, copy.server = folder, self.server
        return copy
