"""Builds mytensor_backend, the compiled half of mytensor, from csrc/.

    python setup.py build_ext --inplace      puts mytensor_backend*.so beside the package
    pip install .    pip install -e .        do the same on their way

Everything else about the package is in pyproject.toml. One object file is made per source, in parallel, and kept in
build/objects; an object is made anew only if its source, a header it includes or its command line has changed.

Environment variables:
    CXX, CXXFLAGS, LDFLAGS   the C++ compiler and further flags for it
    MYTENSOR_ARCH            what csrc/cpu is compiled for: native (default), x86-64-v3, x86-64-v4, ..., none
    MYTENSOR_CUDA            1 or 0: with or without CUDA (default: with, if nvcc is found by CUDA_HOME or PATH)
    MYTENSOR_CUDA_ARCHS      GPU architectures, such as "80;90" (default: the GPU at hand, else 80)
    MYTENSOR_SIMT            0: without the emulator that runs the CUDA kernels on the CPU (device "simt")
    MYTENSOR_JOBS            how many files to compile at a time (default: one per core)
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

try:
    import fcntl
except ImportError:  # Windows itself, where BuildBackend says what to do
    fcntl = None

ROOT = pathlib.Path(__file__).resolve().parent
CSRC = ROOT / "csrc"
RESULTS = ROOT / "results"
OBJECTS = ROOT / "build" / "objects" / f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
GENERATED = OBJECTS / "generated"
SIMT_OBJECTS = ROOT / "build" / "simt" / OBJECTS.name

COMMON_FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-DNDEBUG"]

# The kernels alone may use every instruction of the CPU they are built for. Never -ffast-math: it assumes that NaN and
# infinity do not occur, and a student whose training diverges must see them. -fopenmp-simd: `#pragma omp simd`, without
# OpenMP's threads; the kernels have a pool of their own (csrc/cpu/thread_pool.h).
KERNEL_FLAGS = ["-fno-math-errno", "-ffp-contract=fast", "-fopenmp-simd"]

# The bindings are large templates that pass arguments on: better code would save little time when it runs, and costs
# much when it is compiled. (The last -O counts.)
BINDING_FLAGS = ["-O1"]

# bindings/ comes first in the link, so that of an inline function that several objects hold, the linker keeps the copy
# compiled for any CPU: the check at import runs before anything else does. cpu/ comes last.
LINK_ORDER = ["bindings", "base", "device", "ndarray", "ops", "cuda", "cpu"]

# The emulator, and the kernels as it runs them: fast, and with every access of memory reported (csrc/simt/hooks.cpp).
# The line tables name the source in its reports; -ffp-contract=off: the sums are those that the source states.
SIMT_FLAGS = ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-DNDEBUG", "-O2"]
SIMT_KERNEL_FLAGS = [
    *("-std=c++17", "-fPIC", "-fvisibility=hidden", "-Wall", "-DNDEBUG", "-g1", "-gdwarf-4", "-gz=none"),
    *("-ffp-contract=off", "-fstack-clash-protection"),
]
SIMT_FAST_FLAGS = [*SIMT_KERNEL_FLAGS, "-O2"]
SIMT_WATCHED_FLAGS = [*SIMT_KERNEL_FLAGS, "-O0", "-fsanitize=thread,bounds", "-fsanitize-coverage=trace-pc"]

# Instruction sets that __builtin_cpu_supports knows (the names) and that the compiler uses on its own (the macros).
CPU_FEATURES = {
    "sse3": "__SSE3__",
    "ssse3": "__SSSE3__",
    "sse4.1": "__SSE4_1__",
    "sse4.2": "__SSE4_2__",
    "popcnt": "__POPCNT__",
    "avx": "__AVX__",
    "avx2": "__AVX2__",
    "fma": "__FMA__",
    "bmi": "__BMI__",
    "bmi2": "__BMI2__",
    "avx512f": "__AVX512F__",
    "avx512cd": "__AVX512CD__",
    "avx512dq": "__AVX512DQ__",
    "avx512bw": "__AVX512BW__",
    "avx512vl": "__AVX512VL__",
    "avx512vbmi": "__AVX512VBMI__",
    "avx512ifma": "__AVX512IFMA__",
    "avx512vnni": "__AVX512VNNI__",
}


class BuildError(SystemExit):
    """Ends the build with a sentence instead of a traceback."""

    def __init__(self, message: str) -> None:
        super().__init__(f"\nmytensor_backend was not built: {message}")


def relative(path: pathlib.Path) -> str:
    """As the compilers see it, who run in ROOT: what they note of an object's sources then holds for a copy too."""
    return path.relative_to(ROOT).as_posix()


def say(message: str) -> None:
    print(f"mytensor_backend: {message}\n", end="", flush=True)  # one write: several threads speak


def load_build_check():
    """mytensor/_build_check.py, without importing the package (which needs the extension)."""
    spec = importlib.util.spec_from_file_location("_build_check", ROOT / "mytensor" / "_build_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words_of(setting: str) -> list[str]:
    """The words of an environment variable, as a shell splits them."""
    value = os.environ.get(setting, "")
    try:
        return shlex.split(value)
    except ValueError as problem:
        raise BuildError(f"{setting}={value}: {problem}; write it as in a shell, each quotation closed.") from None


@contextlib.contextmanager
def written_beside(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file that becomes `path` once it is whole.

    Its name is this process's: compilers that outlive a killed build still write to the names which that one gave.
    """
    unfinished = path.with_name(f"{path.name}.unfinished-{os.getpid()}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def run(command: list[str]) -> subprocess.CompletedProcess:
    """A compiler or linker, in ROOT. It may quote a source in any encoding."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")


def output_of(command: list[str]) -> str:
    """What `command` prints, or "" if it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


# ---------------------------------------------------------------------------------------------- the compiler


class HostCompiler:
    """The C++ compiler, and what a few trial compilations tell about it."""

    def __init__(self) -> None:
        self.command = self._find()
        self.version = output_of([*self.command, "--version"]).partition("\n")[0].strip()
        self.extra_flags, self.link_flags = words_of("CXXFLAGS"), words_of("LDFLAGS")
        if not self.accepts(["-std=c++17"]):
            raise BuildError(f"{shlex.join(self.command)} ({self.version}) does not compile a C++17 program.")
        self.arch = self._choose_arch()
        self.arch_flags = [f"-march={self.arch}"] if self.arch else []
        self.cpu_features = self._cpu_features()

    @staticmethod
    def _find() -> list[str]:
        if named := os.environ.get("CXX"):
            command = [named] if shutil.which(named) else words_of("CXX")  # a path may have spaces
            if not command:
                raise BuildError("CXX is blank; name a compiler in it, or unset it.")
            if shutil.which(command[0]) is None:
                raise BuildError(f"CXX names {command[0]}, which is not there.")
            return command
        for name in ("g++", "c++", "clang++"):
            if shutil.which(name):
                return [name]
        raise BuildError("there is no C++ compiler; on Debian or Ubuntu: apt-get install g++.")

    def accepts(self, flags: list[str], program: str = "int main() { throw 0; }") -> bool:
        """Whether `program` compiles and links with `flags`. (To throw, it needs the C++ library.)"""
        return self._compiles(self.command, flags, program)

    def behind_prefixes(self) -> list[str]:
        """The compiler and its own options, without what runs it: `ccache g++ -m64` -> `g++ -m64`."""
        endings = [self.command[start:] for start in range(len(self.command))]
        programs = [ending for ending in endings if shutil.which(ending[0])]
        working = (ending for ending in reversed(programs) if self._compiles(ending, [], "int main() { throw 0; }"))
        return next(working, self.command)

    @staticmethod
    def _compiles(command: list[str], flags: list[str], program: str) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "probe.cpp")
            source.write_text(program)
            made = source.with_suffix(".out")
            done = subprocess.run([*command, *flags, str(source), "-o", str(made)], capture_output=True)
            return done.returncode == 0 and made.exists()

    def _choose_arch(self) -> str | None:
        wanted = os.environ.get("MYTENSOR_ARCH", "native")
        if wanted in ("", "none"):
            return None
        if self.accepts([f"-march={wanted}"]):
            return wanted
        if wanted != "native":
            raise BuildError(f"the compiler does not know MYTENSOR_ARCH={wanted}; try native, x86-64-v3 or none.")
        say("the compiler rejects -march=native; the kernels are built for the baseline CPU")
        return None

    def _cpu_features(self) -> list[str]:
        """The instruction sets that code compiled with arch_flags may use."""
        macros = output_of([*self.command, *self.arch_flags, "-dM", "-E", "-x", "c++", os.devnull])
        defined = {line.split()[1] for line in macros.splitlines() if line.startswith("#define ")}
        return [name for name, macro in CPU_FEATURES.items() if macro in defined]


class CudaCompiler:
    """nvcc, which GPUs to compile for, and why CUDA is on or off."""

    def __init__(self, host: HostCompiler) -> None:
        self.nvcc, self.why = self._find()
        if self.nvcc is None:
            return
        release = [word for word in output_of([self.nvcc, "--version"]).split() if word.startswith("V")]
        self.version = release[-1].lstrip("V") if release else "of unknown version"
        self.architectures, self.architectures_why = self._choose_architectures()
        self.gencode = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in self.architectures]
        # PTX besides: a later GPU's driver compiles it. Not of compute_90a, which no later GPU is.
        newest = self.architectures[-1].rstrip("af")
        self.gencode.append(f"-gencode=arch=compute_{newest},code=compute_{newest}")
        compiler, *options = host.behind_prefixes()
        self.host = ["-ccbin", compiler, *self.handed_on(options)]

    @staticmethod
    def handed_on(options: list[str]) -> list[str]:
        """Options of the host compiler as nvcc takes them. Libraries it puts behind the objects, where they belong."""
        escaped = ((option, option.replace(",", "\\,")) for option in options)  # nvcc splits at commas
        return [option if option.startswith(("-L", "-l")) else f"-Xcompiler={text}" for option, text in escaped]

    @staticmethod
    def _find() -> tuple[str | None, str]:
        wanted = os.environ.get("MYTENSOR_CUDA", "")
        if wanted not in ("", "0", "1"):
            raise BuildError(f"MYTENSOR_CUDA={wanted}; it must be 0 or 1.")
        if wanted == "0":
            return None, "MYTENSOR_CUDA=0"
        homes = [os.environ[name] for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
        candidates = [shutil.which("nvcc", path=str(pathlib.Path(home, "bin"))) for home in homes]
        nvcc = next((path for path in (*candidates, shutil.which("nvcc")) if path), None)
        if nvcc is not None:
            return nvcc, f"nvcc is {nvcc}"
        if wanted == "1":
            raise BuildError("MYTENSOR_CUDA=1, but there is no nvcc by CUDA_HOME or PATH.")
        return None, "no nvcc by CUDA_HOME or PATH"

    def _choose_architectures(self) -> tuple[list[str], str]:
        """What stands behind sm_, the oldest first, and who chose it."""
        known = {code.removeprefix("sm_") for code in output_of([self.nvcc, "--list-gpu-code"]).split()}
        if named := os.environ.get("MYTENSOR_CUDA_ARCHS", ""):
            chosen = {word.strip().replace(".", "").removeprefix("sm_") for word in re.split("[;,]", named)} - {""}
            for arch in chosen:
                if not re.fullmatch(r"\d{2,3}[af]?", arch):
                    raise BuildError(f"MYTENSOR_CUDA_ARCHS={named}; it must look like 80;90.")
                if known and arch.rstrip("af") not in known:
                    raise BuildError(f"MYTENSOR_CUDA_ARCHS={named}, but nvcc {self.version} does not know sm_{arch}.")
            if not chosen:
                raise BuildError(f"MYTENSOR_CUDA_ARCHS={named}; it must look like 80;90.")
            return sorted(chosen, key=lambda arch: (int(arch.rstrip("af")), arch)), "MYTENSOR_CUDA_ARCHS"
        answer = output_of(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"])
        at_hand = {version.replace(".", "") for version in re.findall(r"\d+\.\d", answer)}
        if usable := at_hand & known if known else at_hand:
            return sorted(usable, key=int), "the GPU at hand"
        # A newer GPU than nvcc knows runs the PTX of this one.
        return ["80"], f"nvcc does not know the GPU at hand, sm_{max(at_hand, key=int)}" if at_hand else "no GPU to ask"


# ---------------------------------------------------------------------------------------------- one object


class ObjectFile:
    """One source, the command that compiles it, and whether that has to run.

    identity: what the command stands for, with the paths that may differ from build to build (pip's temporary
    folders) replaced by versions.

    The command runs in ROOT and names files relative to it, and so does the list of dependencies that it writes: in a
    copy of the clone, build/ and all, the objects depend on the sources of the copy.
    """

    def __init__(
        self, source: pathlib.Path, compile_command: list[str], identity: list[str], folder: pathlib.Path = OBJECTS
    ) -> None:
        self.source = source
        self.path = folder / source.relative_to(CSRC).with_name(source.name + ".o")
        self.depfile = self.path.with_suffix(".d")
        self.keyfile = self.path.with_suffix(".key")
        self.compile_command = compile_command
        self.identity = identity

    def _dependencies(self) -> list[pathlib.Path]:
        """The source and the headers it includes, as the compiler listed them."""
        # target: source header header ...  with lines continued by a backslash, spaces escaped by one
        listed = os.fsdecode(self.depfile.read_bytes()).replace("\\\n", " ").partition(": ")[2]
        return [ROOT / name for name in shlex.split(listed)]

    def _changed_since(self, moment: float) -> bool:
        """Whether someone saved a dependency while it was being compiled: the object may then be of the old text."""
        return any(path.stat().st_mtime >= moment for path in self._dependencies() if path.parent != GENERATED)

    def key(self) -> str | None:
        """A hash of the object and all that it depends on; None if that is not known or not there."""
        try:
            dependencies = self._dependencies()
            hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (*dependencies, self.path)]
        except (OSError, ValueError):  # not there, or spoilt
            return None
        names = [os.path.relpath(path, ROOT) for path in dependencies]
        return hashlib.sha256(json.dumps([self.identity, names, hashes]).encode()).hexdigest()

    def is_current(self) -> bool:
        return self.is_kept() and self.keyfile.read_text(errors="replace") == self.key()

    def is_kept(self) -> bool:
        """Whether it can be told later that the object is current: not if its sources changed beneath the compiler."""
        return self.keyfile.exists()

    def compile(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.keyfile.unlink(missing_ok=True)
        started_at = time.time()
        name = self.source.relative_to(ROOT)
        with written_beside(self.path) as unfinished, written_beside(self.depfile) as listed:
            outputs = ["-MMD", "-MF", relative(listed), "-o", relative(unfinished)]
            command = [*self.compile_command, *outputs, "-c", relative(self.source)]
            unfinished.touch()
            moment = unfinished.stat().st_mtime  # by the file system's clock, which may not be the processor's
            result = run(command)
            if result.returncode != 0:
                print(shlex.join(command), result.stdout, result.stderr, sep="\n", file=sys.stderr, flush=True)
                hint = "; MYTENSOR_CUDA=0 builds without CUDA" if self.source.suffix == ".cu" else ""
                raise BuildError(f"the compiler rejected {name}; its messages stand above{hint}.")
        if result.stderr.strip():
            print(result.stderr, file=sys.stderr, flush=True)
        if not self._changed_since(moment):
            self.keyfile.write_text(self.key() or "")
        say(f"  {name}  {time.time() - started_at:.1f} s")


# ---------------------------------------------------------------------------------------------- the emulator


class Emulator:
    """The libraries behind device "simt": the emulator, and two builds of csrc/cuda/*.cu by the host compiler.

    problem: why there are none; "" if there are.
    """

    def __init__(self, host: HostCompiler) -> None:
        self.host = host
        self.problem = self._problem()

    def _problem(self) -> str:
        wanted = os.environ.get("MYTENSOR_SIMT", "")
        if wanted not in ("", "0", "1"):
            raise BuildError(f"MYTENSOR_SIMT={wanted}; it must be 0 or 1.")
        if wanted == "0":
            return "MYTENSOR_SIMT=0"
        if not (CSRC / "simt").is_dir():
            return "there are no sources for it"
        if not sys.platform.startswith("linux") or os.uname().machine not in ("x86_64", "aarch64"):
            return "it works on Linux on x86-64 and aarch64 processors"
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "probe.cpp")
            source.write_text("thread_local int a[4]; int f(int i) { return a[i]; }")
            command = [*self.host.command, *SIMT_WATCHED_FLAGS, "-c", str(source), "-o", str(source.with_suffix(".o"))]
            if subprocess.run(command, capture_output=True).returncode != 0:
                return f"{self.host.version} does not take {' '.join(SIMT_WATCHED_FLAGS)}"
        return ""

    def libraries(self) -> dict[str, list[ObjectFile]]:
        """File name -> its objects. The emulator comes first: the others are linked with it."""
        if self.problem:
            return {}
        facts = self._object(CSRC / "simt" / "source_hash.cpp", [*SIMT_FLAGS, f"-I{relative(GENERATED)}"], "emulator")
        sources = [path for path in sorted((CSRC / "simt").glob("*.cpp")) if path.name != "source_hash.cpp"]
        emulator = [self._object(path, SIMT_FLAGS, "emulator") for path in sources]
        kernels = sorted((CSRC / "cuda").glob("*.cu"))
        # Reports name a file as csrc/cuda/im2col.cu.
        common = ["-x", "c++", f"-I{relative(CSRC / 'simt' / 'include')}", f"-ffile-prefix-map={ROOT}/="]
        return {
            "libmytensor_simt.so": [facts, *emulator],
            "libmytensor_kernels_fast.so": [
                facts,
                *(self._object(path, [*SIMT_FAST_FLAGS, *common], "fast") for path in kernels),
            ],
            "libmytensor_kernels_watched.so": [
                facts,
                *(self._object(path, [*SIMT_WATCHED_FLAGS, *common], "watched") for path in kernels),
            ],
        }

    def _object(self, source: pathlib.Path, flags: list[str], folder: str) -> ObjectFile:
        return ObjectFile(
            source, [*self.host.command, *flags], [self.host.version, *self.host.command, *flags], SIMT_OBJECTS / folder
        )

    def link_command(self, name: str, objects: list[ObjectFile]) -> list[str]:
        emulator = SIMT_OBJECTS / "libmytensor_simt.so"
        others = [] if name == emulator.name else [str(emulator)]
        # Not linked with -fsanitize=thread, which would bring in the library that the emulator takes the place of.
        further = [f"-Wl,-soname,{name}", "-Wl,-rpath,$ORIGIN", "-Wl,-Bsymbolic-functions", "-pthread"]
        return [*self.host.command, "-shared", *(str(item.path) for item in objects), *others, *further]


# ---------------------------------------------------------------------------------------------- the extension


class BuildBackend(build_ext):
    """setuptools' build_ext with an object loop of its own."""

    def run(self) -> None:
        """Without setuptools' own compiler, which reads CC, CFLAGS ... and takes a bad one for a fault of its own."""
        for ext in self.extensions:
            self.build_extension(ext)
        if self.inplace:
            self.copy_extensions_to_source()

    def build_extension(self, ext: Extension) -> None:
        if fcntl is None:
            raise BuildError("Windows itself is not supported; use WSL2.")
        try:
            OBJECTS.mkdir(parents=True, exist_ok=True)
            with open(OBJECTS / "lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # two builds at a time would take each other's files away
                self._build(ext)
        except OSError as problem:
            raise BuildError(
                f"{problem.filename or OBJECTS}: {problem.strerror}; {ROOT / 'build'} must have room and be writable."
            ) from None

    def _build(self, ext: Extension) -> None:
        host = HostCompiler()
        cuda = CudaCompiler(host)
        emulator = Emulator(host)
        self._write_build_facts(host, cuda, emulator)
        objects = self._objects(ext, host, cuda)
        libraries = emulator.libraries()
        say(f"{len(objects)} sources, {host.version}")
        say(f"kernels for {host.arch or 'the baseline CPU'} ({' '.join(host.cpu_features) or 'no extra features'})")
        if cuda.nvcc:
            archs = " ".join(f"sm_{arch}" for arch in cuda.architectures)
            say(f"CUDA {cuda.version} for {archs} ({cuda.architectures_why}): {cuda.why}")
        else:
            say(f"without CUDA: {cuda.why}")
        say(f"without device simt: {emulator.problem}" if emulator.problem else "with device simt")
        simt_objects = {item.path: item for library in libraries.values() for item in library}
        self._compile([*objects, *simt_objects.values()])
        self._link(ext, objects, host, cuda)
        self._link_simt(emulator, libraries)

    def _objects(self, ext: Extension, host: HostCompiler, cuda: CudaCompiler) -> list[ObjectFile]:
        try:
            import pybind11
        except ImportError:
            raise BuildError("pybind11 is not installed; run: pip install pybind11") from None
        defines = ["-DMYTENSOR_WITH_CUDA"] if cuda.nvcc else []
        project_includes = [f"-I{relative(CSRC)}", f"-I{relative(GENERATED)}"]
        # -isystem: no warnings from these, and they are not listed as dependencies; their versions are in the identity.
        system_includes = [f"-isystem{path}" for path in (pybind11.get_include(), sysconfig.get_path("include"))]
        versions = [host.version, f"pybind11 {pybind11.__version__}", sys.version]
        objects = []
        for source in self._sources(ext, with_cuda=cuda.nvcc is not None):
            if source.suffix == ".cu":
                flags = ["-O3", "-std=c++17", "-Xcompiler=-fPIC,-fvisibility=hidden,-Wall", *cuda.gencode, *defines]
                command = [cuda.nvcc, *cuda.host, *flags, *project_includes]
                identity = [cuda.version, host.version, *cuda.host, *flags]
            else:
                flags = [*COMMON_FLAGS, *defines, *host.extra_flags]
                identity = [*versions, *host.command]
                if source.parent.name == "bindings":
                    flags += BINDING_FLAGS
                if source.parent.name == "cpu":
                    flags += [*host.arch_flags, *KERNEL_FLAGS]
                    identity += host.cpu_features  # "native" means another thing on another machine
                command = [*host.command, *flags, *project_includes, *system_includes]
                identity += flags
            objects.append(ObjectFile(source, command, identity))
        return objects

    @staticmethod
    def _sources(ext: Extension, with_cuda: bool) -> list[pathlib.Path]:
        def order(path: pathlib.Path) -> tuple[int, str]:
            folder = path.relative_to(CSRC).parts[0]
            return (LINK_ORDER.index(folder) if folder in LINK_ORDER else len(LINK_ORDER) - 1, path.as_posix())

        paths = (ROOT / name for name in ext.sources)
        sources = sorted((path for path in paths if with_cuda or path.suffix != ".cu"), key=order)
        if not sources:
            raise BuildError(f"there are no sources in {CSRC}.")
        return sources

    @staticmethod
    def _write_build_facts(host: HostCompiler, cuda: CudaCompiler, emulator: Emulator) -> None:
        """The header that build_facts.cpp and source_hash.cpp alone include, so that a change rebuilds little."""
        facts = {
            "SOURCE_HASH": load_build_check().source_hash(CSRC),
            "COMPILER": host.version,
            "FLAGS": shlex.join([*COMMON_FLAGS, *host.extra_flags]),
            "KERNEL_FLAGS": shlex.join([*host.arch_flags, *KERNEL_FLAGS]),
            "ARCH": host.arch or "baseline",
            "CPU_FEATURES": " ".join(host.cpu_features),
            "SIMT_PROBLEM": emulator.problem,
            "SIMT_FLAGS": f"{shlex.join(SIMT_FAST_FLAGS)} | {shlex.join(SIMT_WATCHED_FLAGS)}",
            "CUDA": f"{cuda.version} ({' '.join('sm_' + arch for arch in cuda.architectures)})" if cuda.nvcc else "",
            "CUDA_ARCHITECTURES": " ".join(cuda.architectures) if cuda.nvcc else "",
        }
        lines = [
            f"#define MYTENSOR_BUILD_{name} {json.dumps(value, ensure_ascii=False)}" for name, value in facts.items()
        ]
        text = ("// Written by setup.py.\n#pragma once\n" + "\n".join(lines) + "\n").encode(errors="replace")
        GENERATED.mkdir(parents=True, exist_ok=True)
        header = GENERATED / "mytensor_build_facts.h"
        if not header.exists() or header.read_bytes() != text:
            header.write_bytes(text)

    def _compile(self, objects: list[ObjectFile]) -> None:
        wanted = os.environ.get("MYTENSOR_JOBS") or str(os.cpu_count() or 1)
        if not wanted.isdecimal() or int(wanted) < 1:
            raise BuildError(f"MYTENSOR_JOBS={wanted}; it must be a positive number.")
        jobs = int(wanted)
        waiting = [item for item in objects if self.force or not item.is_current()]
        if not waiting:
            say("all objects are up to date")
            return
        say(f"compiling {len(waiting)} of {len(objects)}, {jobs} at a time")
        # The largest first: the last job then ends soon after the others.
        waiting.sort(key=lambda item: item.source.stat().st_size, reverse=True)
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            running = [pool.submit(item.compile) for item in waiting]
            try:
                for future in concurrent.futures.as_completed(running):
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _link(self, ext: Extension, objects: list[ObjectFile], host: HostCompiler, cuda: CudaCompiler) -> None:
        further = host.link_flags
        if cuda.nvcc:
            linker = [cuda.nvcc, *cuda.host, "-shared", "-cudart=static", *cuda.handed_on(["-pthread", *further])]
        elif sys.platform == "darwin":
            linker = [*host.command, "-bundle", "-undefined", "dynamic_lookup", "-pthread", *further]
        else:
            linker = [*host.command, "-shared", "-pthread", *further]
        linked = OBJECTS / "mytensor_backend.so"
        self._link_once(linked, objects, [*linker, *(str(item.path) for item in objects)])
        self._install(linked, self._built(ext))

    def _link_simt(self, emulator: Emulator, libraries: dict[str, list[ObjectFile]]) -> None:
        shutil.rmtree(self._simt_folder(), ignore_errors=True)  # those of an earlier build, where there are none now
        for name, objects in libraries.items():
            linked = SIMT_OBJECTS / name
            self._link_once(linked, objects, emulator.link_command(name, objects))
            self._install(linked, self._simt_folder() / name)

    def _built(self, ext: Extension) -> pathlib.Path:
        return pathlib.Path(self.build_lib, self.get_ext_filename(ext.name))

    def _simt_folder(self) -> pathlib.Path:
        """Where the extension looks for the emulator (csrc/device/simt_library.cpp)."""
        return pathlib.Path(self.build_lib) / "mytensor" / "_simt"

    def _link_once(self, linked: pathlib.Path, objects: list[ObjectFile], command: list[str]) -> None:
        """Runs the linker unless `linked` is already what it would make."""

        def key() -> str:
            kept = [item.keyfile.read_text(errors="replace") for item in objects]
            made = hashlib.sha256(linked.read_bytes()).hexdigest()
            return hashlib.sha256(json.dumps([command, kept, made]).encode()).hexdigest()

        keyfile = linked.with_suffix(".key")
        can_be_kept = all(item.is_kept() for item in objects)
        if (
            can_be_kept
            and not self.force
            and linked.exists()
            and keyfile.exists()
            and keyfile.read_text(errors="replace") == key()
        ):
            return
        keyfile.unlink(missing_ok=True)
        with written_beside(linked) as unfinished:
            result = run([*command, "-o", str(unfinished)])
            if result.returncode != 0:
                print(shlex.join(command), result.stdout, result.stderr, sep="\n", file=sys.stderr, flush=True)
                raise BuildError("the linker failed; its messages stand above.")
        if can_be_kept:
            keyfile.write_text(key())
        say(f"linked {linked.name}")

    @staticmethod
    def _install(linked: pathlib.Path, target: pathlib.Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(target) as unfinished:  # a Python that still runs the old one is not disturbed
            shutil.copyfile(linked, unfinished)

    def copy_extensions_to_source(self) -> None:
        """What --inplace and an editable install do after the build: the emulator's libraries follow the extension."""
        for ext in self.extensions:
            self._install(self._built(ext), ROOT / self._built(ext).name)
        for library in self._simt_folder().glob("*.so"):
            self._install(library, ROOT / "mytensor" / "_simt" / library.name)

    def get_outputs(self) -> list[str]:
        extensions = [str(self._built(ext)) for ext in self.extensions]
        return extensions + [str(path) for path in sorted(self._simt_folder().glob("*.so"))]


class BuildPackage(build_py):
    """Packs what notebooks and editors show, so that they show it wherever the package lies.

    csrc/ as mytensor/_csrc, the source that was built; results/ as mytensor/_results, the recorded runs; and the
    extension's signatures, where PEP 561 has editors and mypy look for them.
    """

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self._remove_leftovers()
            self._pack("_csrc", CSRC, load_build_check().source_files(CSRC))
            self._pack("_results", RESULTS, sorted(RESULTS.glob("*.json")))
            stub = pathlib.Path(self.build_lib, "mytensor_backend-stubs", "__init__.pyi")
            self.mkpath(str(stub.parent))
            shutil.copyfile(ROOT / "mytensor_backend.pyi", stub)

    def _remove_leftovers(self) -> None:
        """What an earlier build left there of files that are no longer in the package."""
        wanted = {pathlib.Path(name).resolve() for name in self.get_outputs(include_bytecode=False)}
        for path in pathlib.Path(self.build_lib, "mytensor").rglob("*"):
            is_of_package = path.suffix in (".py", ".js", ".css") or ".unfinished-" in path.name
            if is_of_package and path.resolve() not in wanted:
                path.unlink()

    def _pack(self, name: str, folder: pathlib.Path, files: list[pathlib.Path]) -> None:
        copy = pathlib.Path(self.build_lib, "mytensor", name)
        shutil.rmtree(copy, ignore_errors=True)
        for file in files:
            destination = copy / file.relative_to(folder)
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, destination)


setup(
    ext_modules=[
        Extension(
            "mytensor_backend",
            sources=sorted(
                path.relative_to(ROOT).as_posix()
                for pattern in ("*.cpp", "*.cu")
                for path in CSRC.rglob(pattern)
                if path.parent.name != "simt"
            ),
            language="c++",
        )
    ],
    cmdclass={"build_ext": BuildBackend, "build_py": BuildPackage},
)
