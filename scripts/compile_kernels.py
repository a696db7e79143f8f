"""Compiles every .cu of csrc for every GPU that they are written for, and fails on a warning. Needs nvcc, no GPU.

    python scripts/compile_kernels.py

One nvcc a file, as many at a time as there are cores (MYTENSOR_JOBS: fewer). Nothing is kept: the ordinary build is
setup.py's. CUDA_HOME names a toolkit that PATH does not.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
ARCHITECTURES = ("75", "80", "86", "89", "90")
FLAGS = [
    *("-O3", "-std=c++17", f"-I{CSRC}", "-DMYTENSOR_WITH_CUDA"),
    *("-Werror=all-warnings", "-Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Werror"),
    *(f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in ARCHITECTURES),
]


def find_nvcc() -> str:
    homes = [os.environ[name] for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    found = [shutil.which("nvcc", path=str(pathlib.Path(home, "bin"))) for home in homes]
    nvcc = next((path for path in (*found, shutil.which("nvcc")) if path), None)
    if nvcc is None:
        raise SystemExit("compile_kernels.py: there is no nvcc by CUDA_HOME or PATH; install the CUDA toolkit.")
    return nvcc


def host_compiler() -> list[str]:
    """CXX as nvcc takes it: of `ccache g++ -m64`, the g++, and -m64 to hand on to it."""
    words = shlex.split(os.environ.get("CXX", "")) or ["g++"]
    place = max((place for place, word in enumerate(words) if shutil.which(word)), default=0)
    return ["-ccbin", words[place], *(f"-Xcompiler={option}" for option in words[place + 1 :])]


def compile_one(nvcc: str, source: pathlib.Path, folder: pathlib.Path) -> bool:
    """Whether the compiler took it without a warning; what it says is printed."""
    started_at = time.monotonic()
    made = folder / f"{source.stem}.o"
    result = subprocess.run(
        [nvcc, *host_compiler(), *FLAGS, "-c", str(source), "-o", str(made)], capture_output=True, text=True
    )
    said = (result.stdout + result.stderr).strip()
    is_right = result.returncode == 0 and not said
    state = "" if is_right else "  FAILED" if result.returncode else "  FAILED: the compiler said something"
    print(f"{source.relative_to(ROOT)}  {time.monotonic() - started_at:.1f} s{state}", *filter(None, [said]), sep="\n")
    return is_right


def main() -> int:
    nvcc = find_nvcc()
    sources = sorted(CSRC.rglob("*.cu"), key=lambda path: path.stat().st_size, reverse=True)
    jobs = int(os.environ.get("MYTENSOR_JOBS") or os.cpu_count() or 1)
    print(f"{len(sources)} files for sm_{', sm_'.join(ARCHITECTURES)}, {jobs} at a time", flush=True)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda source: compile_one(nvcc, source, pathlib.Path(folder)), sources))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    wrong = results.count(False)
    print(f"{len(results) - wrong} of {len(results)} compiled; {used.ru_utime + used.ru_stime:.0f} s of processor time")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
