"""The build: what is rebuilt when, what is said when it fails, and how a binary that does not fit is noticed.

The tests build a tiny backend of their own with the project's setup.py, in a folder of their own.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from typing import ClassVar

import mytensor_backend
import pytest

import mytensor
from mytensor import _build_check

ROOT = pathlib.Path(__file__).resolve().parent.parent

TINY_MODULE = """
#include <Python.h>
#include "../base/build_facts.h"
#include "cpu_check.h"
#include "../ops/answer.h"

static PyObject* build_info(PyObject*, PyObject*) {
    return Py_BuildValue("{ss}", "source_hash", mt::build_facts().source_hash);
}
static PyObject* get_answer(PyObject*, PyObject*) { return PyLong_FromLong(answer() + 0 * ANSWER_VERSION); }
static PyMethodDef methods[] = {
    {"build_info", build_info, METH_NOARGS, ""}, {"answer", get_answer, METH_NOARGS, ""}, {}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "mytensor_backend", "", -1, methods, {}, {}, {}, {}};

PyMODINIT_FUNC PyInit_mytensor_backend() {
    const std::string problem = mt::cpu_problem();
    if (problem.empty()) return PyModule_Create(&definition);
    PyErr_SetString(PyExc_ImportError, problem.c_str());
    return nullptr;
}
"""


class Project:
    """A copy of the build with a backend of two small sources."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md", "mytensor/_build_check.py"):
            self.write(name, (ROOT / name).read_text(encoding="utf-8"))
        for name in ("base/build_facts.h", "base/build_facts.cpp", "bindings/cpu_check.h", "bindings/cpu_check.cpp"):
            self.write(f"csrc/{name}", (ROOT / "csrc" / name).read_text(encoding="utf-8"))
        self.write("csrc/bindings/module.cpp", TINY_MODULE)
        self.write("csrc/ops/answer.h", "#define ANSWER_VERSION 1\nint answer();\n")
        self.write("csrc/cpu/answer.cpp", "int answer() { return 42; }\n")
        self.write("mytensor/__init__.py", "from mytensor._build_check import load_backend\nbackend = load_backend()\n")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("MYTENSOR_")}
        variables |= {"MYTENSOR_CUDA": "0", "PYTHONPATH": ""} | environment
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=variables, capture_output=True, text=True, timeout=120
        )

    def build(self, **environment: str) -> set[str]:
        """Builds, and returns the sources that were compiled."""
        result = self.try_build(**environment)
        assert result.returncode == 0, result.stdout + result.stderr
        return set(re.findall(r"^mytensor_backend:   (csrc/\S+)", result.stdout, re.MULTILINE))

    def try_build(self, **environment: str) -> subprocess.CompletedProcess:
        return self._python("setup.py", "build_ext", "--inplace", **environment)

    def run(self, program: str) -> subprocess.CompletedProcess:
        # -S: without site-packages, where `pip install -e .` of the real project would be found.
        return self._python("-S", "-c", program)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "clone")


FACTS = "csrc/base/build_facts.cpp"  # holds the hash of all sources, so every change reaches it


EVERYTHING = {FACTS, "csrc/bindings/cpu_check.cpp", "csrc/bindings/module.cpp", "csrc/cpu/answer.cpp"}


def test_only_what_changed_is_compiled_again(project):
    assert project.build() == EVERYTHING
    assert project.build() == set()
    project.write("csrc/cpu/answer.cpp", "int answer() { return 43; }\n")
    assert project.build() == {"csrc/cpu/answer.cpp", FACTS}
    assert project.run("import mytensor; print(mytensor.backend.answer())").stdout == "43\n"
    project.write("csrc/ops/answer.h", "#define ANSWER_VERSION 2\nint answer();\n")
    assert project.build() == {"csrc/bindings/module.cpp", FACTS}
    assert project.build(MYTENSOR_ARCH="none") == {"csrc/cpu/answer.cpp", FACTS}
    assert project.build(CXXFLAGS="-DSOMETHING") == EVERYTHING


def test_changed_flags_in_setup_py_compile_again(project):
    project.build()
    setup = (project.folder / "setup.py").read_text(encoding="utf-8")
    for before, after, compiled in (
        ('"-ffp-contract=fast"', '"-ffp-contract=off"', {"csrc/cpu/answer.cpp", FACTS}),
        ('"-O3", "-fPIC", "-fvisibility', '"-O1", "-fPIC", "-fvisibility', EVERYTHING),
    ):
        assert setup.count(before) == 1
        setup = setup.replace(before, after)
        project.write("setup.py", setup)
        assert project.build() == compiled
        assert project.build() == set()


def test_another_compiler_compiles_again(project):
    project.build()
    compiler = project.folder / "other-compiler"
    real = shlex.join(shlex.split(os.environ.get("CXX", "c++")))
    compiler.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "other 1.0"; else exec {real} "$@"; fi\n')
    compiler.chmod(0o755)
    assert project.build(CXX=str(compiler)) == EVERYTHING
    assert project.build(CXX=str(compiler)) == set()
    compiler.write_text(compiler.read_text().replace("other 1.0", "other 1.1"))
    assert project.build(CXX=str(compiler)) == EVERYTHING


def test_a_copied_clone_is_built_from_its_own_sources(project, tmp_path):
    project.build()
    shutil.copytree(project.folder, tmp_path / "copy")
    copy = Project(tmp_path / "copy")
    assert copy.build() == set()
    copy.write("csrc/cpu/answer.cpp", "int answer() { return 43; }\n")
    assert copy.build() == {"csrc/cpu/answer.cpp", FACTS}
    assert copy.run("import mytensor; print(mytensor.backend.answer())").stdout == "43\n"


def test_a_stale_binary_is_noticed_at_import(project):
    project.build()
    assert project.run("import mytensor").stderr == ""
    project.write("csrc/cpu/answer.cpp", "int answer() { return 44; }\n")
    warning = project.run("import mytensor")
    assert warning.returncode == 0
    assert warning.stderr.count("RuntimeWarning") == 1
    assert "stale" in warning.stderr and "make setup" in warning.stderr and "pip install -e ." in warning.stderr
    project.build()
    assert project.run("import mytensor").stderr == ""


def test_a_missing_backend_is_one_sentence_with_the_command(project):
    result = project.run("import mytensor")
    assert result.stderr.splitlines()[-1] == (
        "ImportError: the compiled backend mytensor_backend is not built for this Python; "
        "run `make setup` or `pip install -e .`."
    )
    assert "During handling" not in result.stderr


def test_a_cpu_without_the_instructions_is_told_so_at_import(project):
    setup = (project.folder / "setup.py").read_text(encoding="utf-8")
    assert setup.count("CPU_FEATURES = {\n") == 1
    project.write("setup.py", setup.replace("CPU_FEATURES = {\n", 'CPU_FEATURES = {\n    "avx9": "__cplusplus",\n'))
    project.build()
    last_line = project.run("import mytensor").stderr.splitlines()[-1]
    assert last_line.startswith(
        "ImportError: mytensor_backend was built for another CPU (native): this one lacks avx9."
    )
    assert "make setup" in last_line and "MYTENSOR_ARCH" in last_line


def test_a_source_that_does_not_compile_ends_in_a_sentence(project):
    project.write("csrc/cpu/answer.cpp", "int answer() { return forty_two; }\n")
    result = project.try_build()
    assert result.returncode != 0 and "Traceback" not in result.stderr
    assert "'forty_two' was not declared" in result.stderr.replace("‘", "'").replace("’", "'")
    assert result.stderr.splitlines()[-1].startswith(
        "mytensor_backend was not built: the compiler rejected csrc/cpu/answer.cpp"
    )


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"CXX": "no-such-compiler"}, "CXX names no-such-compiler, which is not there."),
        ({"MYTENSOR_ARCH": "z80"}, "the compiler does not know MYTENSOR_ARCH=z80"),
        ({"MYTENSOR_CUDA": "yes"}, "MYTENSOR_CUDA=yes; it must be 0 or 1."),
        ({"MYTENSOR_JOBS": "many"}, "MYTENSOR_JOBS=many; it must be a positive number."),
    ],
)
def test_a_bad_setting_ends_in_a_sentence(project, environment, sentence):
    result = project.try_build(**environment)
    assert result.returncode != 0 and "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith(f"mytensor_backend was not built: {sentence}")


def asked_of_nvcc(project: Project, gpus: str, **environment: str) -> tuple[list[str], str]:
    """The -gencode options that a .cu is compiled with where nvidia-smi answers `gpus`, and what the build says.

    Both programs are stand-ins; nvcc's knows sm_75 to sm_90 and notes what it is asked to compile.
    """
    tools, log = project.folder / "bin", project.folder / "asked"
    for name, script in {
        "nvidia-smi": f"printf '{gpus}'",
        "nvcc": 'case "$1" in --version) echo "release 12.4, V12.4.1" ;; '
        "--list-gpu-code) printf 'sm_75\\nsm_80\\nsm_86\\nsm_89\\nsm_90\\n' ;; "
        f'*) echo "$@" >"{log}"; exit 1 ;; esac',
    }.items():
        project.write(f"bin/{name}", f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    project.write("csrc/cuda/answer.cu", "")
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    result = project.try_build(MYTENSOR_CUDA="1", CUDA_HOME="", PATH=path, **environment)
    words = log.read_text().split() if log.exists() else []
    return [word.removeprefix("-gencode=") for word in words if "gencode" in word], result.stdout + result.stderr


@pytest.mark.parametrize(
    ("gpus", "named", "architectures", "ptx", "why"),
    [
        ("", "", ["80"], "80", "no GPU to ask"),
        ("9.0\\n9.0\\n", "", ["90"], "90", "the GPU at hand"),
        ("8.9\\n7.5\\n", "", ["75", "89"], "89", "the GPU at hand"),
        ("12.0\\n", "", ["80"], "80", "nvcc does not know the GPU at hand, sm_120"),
        ("[N/A]\\n", "", ["80"], "80", "no GPU to ask"),
        ("9.0\\n", "80;90", ["80", "90"], "90", "MYTENSOR_CUDA_ARCHS"),
        ("", " sm_90, 7.5 ", ["75", "90"], "90", "MYTENSOR_CUDA_ARCHS"),
        ("", "90a", ["90a"], "90", "MYTENSOR_CUDA_ARCHS"),
        ("", "90;90a;80", ["80", "90", "90a"], "90", "MYTENSOR_CUDA_ARCHS"),
    ],
)
def test_the_kernels_are_built_for_the_gpu_at_hand_and_as_ptx(project, gpus, named, architectures, ptx, why):
    asked, said = asked_of_nvcc(project, gpus, MYTENSOR_CUDA_ARCHS=named)
    assert asked == [
        *(f"arch=compute_{arch},code=sm_{arch}" for arch in architectures),
        f"arch=compute_{ptx},code=compute_{ptx}",
    ], said
    assert f"({why})" in said


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("ninety", "MYTENSOR_CUDA_ARCHS=ninety; it must look like 80;90."),
        ("80;61", "MYTENSOR_CUDA_ARCHS=80;61, but nvcc 12.4.1 does not know sm_61."),
    ],
)
def test_an_architecture_that_is_none_ends_in_a_sentence(project, named, sentence):
    asked, said = asked_of_nvcc(project, "", MYTENSOR_CUDA_ARCHS=named)
    assert not asked and said.splitlines()[-1] == f"mytensor_backend was not built: {sentence}"


def test_the_hash_sees_contents_names_and_places(tmp_path):
    def hash_of(files: dict[str, str]) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return _build_check.source_hash(folder)

    original = hash_of({"cpu/a.cpp": "one", "cpu/b.cpp": "two"})
    assert hash_of({"cpu/b.cpp": "two", "cpu/a.cpp": "one"}) == original
    assert hash_of({"cpu/a.cpp": "one", "cpu/b.cpp": "two", "notes.txt": "not a source"}) == original
    for changed in (
        {"cpu/a.cpp": "one", "cpu/b.cpp": "three"},
        {"cpu/a.cpp": "one", "cpu/c.cpp": "two"},
        {"cpu/a.cpp": "one", "ops/b.cpp": "two"},
        {"cpu/a.cpp": "onetwo", "cpu/b.cpp": ""},
        {"cpu/a.cpp": "one"},
        {"cpu/a.cpp": "one", "cpu/b.cpp": "two", "cpu/b.h": ""},
    ):
        assert hash_of(changed) != original


def test_build_info_and_sources_of_the_real_backend():
    info = mytensor_backend.build_info()
    assert info["source_hash"] == _build_check.source_hash(mytensor.csrc_path())
    assert "fast-math" not in info["flags"] + info["kernel_flags"]
    assert isinstance(info["cpu_features"], list)
    cuda = mytensor_backend.cuda_info()
    assert cuda["built"] == (info["cuda"] is not None)
    assert (cuda["problem"] is None) == bool(cuda["gpus"])


def test_an_installed_package_holds_every_file_the_sources_and_the_results(tmp_path):
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    built = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mytensor").rglob("*")
        if path.is_file() and not {"__pycache__", "_simt"} & set(path.parts)
    }
    sources = {
        f"mytensor/_csrc/{path.relative_to(ROOT / 'csrc').as_posix()}"
        for path in (ROOT / "csrc").rglob("*")
        if path.is_file() and path.name != "README.md"
    }
    results = {f"mytensor/_results/{path.name}" for path in (ROOT / "results").glob("*.json")}
    assert any(name.endswith(".js") for name in package) and any(name.endswith(".cu") for name in sources)
    assert "mytensor/_results/compare_cpu.json" in results
    assert built == package | sources | results | {"mytensor_backend-stubs/__init__.pyi"}


@pytest.mark.skipif(bool(mytensor_backend.simt_problem()), reason="built without the emulator")
class TestEmulatorLibraries:
    NAMES: ClassVar = {"libmytensor_simt.so", "libmytensor_kernels_fast.so", "libmytensor_kernels_watched.so"}

    @staticmethod
    def copy(folder: pathlib.Path) -> pathlib.Path:
        """The extension in a folder of its own, with the emulator's libraries; returns theirs."""
        extension = pathlib.Path(mytensor_backend.__file__)
        shutil.copyfile(extension, folder / extension.name)
        return pathlib.Path(shutil.copytree(extension.parent / "mytensor" / "_simt", folder / "mytensor" / "_simt"))

    @staticmethod
    def problem_in(folder: pathlib.Path) -> str:
        program = "import mytensor_backend as b; print(b.__file__); print(b.simt_problem())"
        environment = os.environ | {"PYTHONPATH": str(folder)}
        command = [sys.executable, "-S", "-c", program]
        result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        path, problem = result.stdout.split("\n")[:2]
        assert pathlib.Path(path).parent == folder
        return problem

    def test_they_go_where_the_extension_goes(self, tmp_path):
        command = [sys.executable, "setup.py", "--quiet", "build_ext", "--build-lib", str(tmp_path)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        assert {path.name for path in (tmp_path / "mytensor" / "_simt").iterdir()} == self.NAMES
        assert self.problem_in(tmp_path) == ""

    def test_one_that_is_missing_is_named(self, tmp_path):
        (self.copy(tmp_path) / "libmytensor_kernels_watched.so").unlink()
        assert "libmytensor_kernels_watched.so" in self.problem_in(tmp_path)

    def test_one_of_other_sources_is_refused(self, tmp_path):
        library = self.copy(tmp_path) / "libmytensor_kernels_fast.so"
        source_hash = mytensor_backend.build_info()["source_hash"].encode()
        contents = library.read_bytes()
        assert contents.count(source_hash) == 1
        library.write_bytes(contents.replace(source_hash, b"0" * len(source_hash)))
        assert "built from other sources" in self.problem_in(tmp_path)


def test_no_kernel_file_runs_code_when_the_library_is_loaded():
    """csrc/cpu may use instructions that this CPU lacks: nothing of it may run before the check at import."""
    objects = sorted((ROOT / "build" / "objects").glob(f"{sys.implementation.cache_tag}-*/cpu/*.o"))
    sources = {path.name for path in (ROOT / "csrc" / "cpu").glob("*.cpp")}
    assert sources <= {path.name.removesuffix(".o") for path in objects}, "build in this checkout first: make setup"
    for path in objects:
        symbols = subprocess.run(["nm", str(path)], capture_output=True, text=True, check=True).stdout
        assert "_GLOBAL__sub_I_" not in symbols, f"{path.name} has a global that is initialised at load time"


# ------------------------------------------------------------------------------------- the checks of `make setup`

TOOLS = ("sh", "dirname", "cat", "cksum", "rm")
REAL_PYTHON = sys.executable


def set_up(tmp_path: pathlib.Path, programs: dict[str, str], **environment: str) -> subprocess.CompletedProcess:
    """Runs scripts/setup.sh in an empty project, where TOOLS and `programs` (name: shell script) alone are on PATH."""
    project, binaries = tmp_path / "project", tmp_path / "bin"
    (project / "scripts").mkdir(parents=True)
    binaries.mkdir()
    for name in ("scripts/setup.sh", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, project / name)
    for name in TOOLS:
        (binaries / name).symlink_to(shutil.which(name))
    for name, script in programs.items():
        (binaries / name).write_text(f"#!/bin/sh\n{script}\n")
        (binaries / name).chmod(0o755)
    return subprocess.run(
        ["sh", "scripts/setup.sh"],
        cwd=project,
        env={"PATH": str(binaries)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def python_that_fails_on(pattern: str) -> str:
    return f'case "$*" in {pattern}) exit 1 ;; esac\nexec "{REAL_PYTHON}" "$@"'


GOOD_PYTHON = f'exec "{REAL_PYTHON}" "$@"'


@pytest.mark.parametrize(
    ("programs", "environment", "sentence"),
    [
        ({"python3": GOOD_PYTHON}, {}, "no C++ compiler was found; on Debian or Ubuntu: apt-get install g++."),
        ({"python3": GOOD_PYTHON, "g++": ""}, {"CXX": "icpx"}, "no C++ compiler was found (CXX=icpx)"),
        ({"g++": ""}, {}, "no Python 3.11 or later was found"),
        ({"g++": "", "python3": "exit 1"}, {}, "no Python 3.11 or later was found"),
        ({"g++": "", "python3": "exit 1"}, {"PYTHON": "python3"}, "PYTHON=python3 is not Python 3.11 or later."),
        ({"g++": "", "python3": python_that_fails_on("*ensurepip*")}, {}, "python3 cannot make virtual environments"),
        ({"g++": "", "python3": python_that_fails_on("*Python.h*")}, {}, "the C header Python.h of python3 is missing"),
        # An old python3, and a newer one under its full name.
        (
            {"g++": "", "python3": "exit 1", "python3.12": python_that_fails_on("*Python.h*")},
            {},
            "the C header Python.h of python3.12",
        ),
    ],
)
def test_set_up_says_in_one_sentence_what_is_missing(tmp_path, programs, environment, sentence):
    result = set_up(tmp_path, programs, **environment)
    assert result.returncode == 1
    assert result.stderr.startswith(f"make setup: {sentence}")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "project" / ".venv").exists()


STREAMS = re.compile(r"std::(basic_)?(i|o|io|[io]?string|[io]?f)stream|std::ios_base|std::locale")


def stream_symbols(library: pathlib.Path) -> list[str]:
    """The C++ library's streams among what a compiled file takes from elsewhere or offers."""
    listing = subprocess.run(["nm", "-D", "--demangle", str(library)], capture_output=True, text=True, check=True)
    return [line for line in listing.stdout.splitlines() if STREAMS.search(line)]


@pytest.mark.skipif(shutil.which("nm") is None, reason="there is no nm to list a library's symbols")
def test_no_compiled_library_uses_the_streams_of_the_c_plus_plus_library(tmp_path):
    """Where two copies of libstdc++ meet in one process, one linked into ours, the first number written to a stream
    ends it; so messages are built without streams, and nothing else uses them."""
    backend = pathlib.Path(mytensor_backend.__file__)
    libraries = [backend, *(backend.parent / "mytensor" / "_simt").glob("*.so")]
    assert not [symbol for library in libraries for symbol in stream_symbols(library)]

    # The check itself sees one.
    source = tmp_path / "writes.cpp"
    source.write_text(
        "#include <sstream>\nstd::string f(long x) { std::ostringstream out; out << x; return out.str(); }"
    )
    library = source.with_suffix(".so")
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    subprocess.run([*compiler, "-shared", "-fPIC", str(source), "-o", str(library)], check=True, timeout=120)
    assert stream_symbols(library)


def test_numbers_in_messages_are_written_as_before():
    x = mytensor_backend.full((2,), 1, mytensor_backend.uint8)
    for number, text in (
        (1.5, "1.5"),
        (1e300, "1e+300"),
        (0.1 + 0.2, "0.3"),
        (float("nan"), "nan"),
        (-float("inf"), "-inf"),
    ):
        with pytest.raises(TypeError, match=rf"the float number {re.escape(text)} does not go with uint8 \(2,\)"):
            mytensor_backend.add(x, number)
    with pytest.raises(ValueError, match=r"the number -9223372036854775808 does not fit uint8"):
        mytensor_backend.add(x, -(2**63))
