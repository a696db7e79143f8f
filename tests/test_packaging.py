"""What is handed out: the source distribution holds all that the build and the wheel need, and gives the same wheel."""

import email
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
from stub_build import COMPILER, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TOP = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "mytensor_backend.pyi")
FOLDERS = ("csrc", "mytensor", "results")


def files_in(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class HandedOut:
    """A copy of this checkout, the source distribution made there, and the wheels of both, by a stub compiler."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        clone = folder / "clone"
        for name in FOLDERS:
            ignored = shutil.ignore_patterns("*.so", "__pycache__", "*.unfinished-*")
            shutil.copytree(ROOT / name, clone / name, ignore=ignored)
        for name in TOP:
            shutil.copy(ROOT / name, clone)
        self.needed = files_in(clone)
        # What lies about in a clone that was worked in.
        for name in ("mytensor/__pycache__/gone.pyc", "mytensor/_simt/old.so", "csrc/cpu/old.so", "build/lib/old.py"):
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_bytes(b"old")
        compiler = folder / "c++"
        compiler.write_text(COMPILER)
        compiler.chmod(0o755)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("MYTENSOR_")}
        self.environment |= {"CXX": str(compiler), "STUB_LOG": os.devnull, "MYTENSOR_CUDA": "0", "PYTHONPATH": ""}
        self.run(clone, "sdist", "--dist-dir", str(folder / "dist"))
        (self.archive,) = (folder / "dist").iterdir()
        with tarfile.open(self.archive) as archive:
            archive.extractall(folder / "unpacked", filter="data")
        (self.unpacked,) = (folder / "unpacked").iterdir()
        self.from_sources = files_in(self.unpacked)
        self.direct, self.by_sdist = (self.wheel(clone, "direct"), self.wheel(self.unpacked, "by_sdist"))

    def run(self, where: pathlib.Path, *arguments: str) -> None:
        command = [sys.executable, "setup.py", "--quiet", *arguments]
        done = subprocess.run(command, cwd=where, env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    def wheel(self, where: pathlib.Path, name: str) -> dict[str, bytes]:
        self.run(where, "bdist_wheel", "--dist-dir", str(self.folder / name))
        (path,) = (self.folder / name).iterdir()
        with zipfile.ZipFile(path) as wheel:
            return {entry: wheel.read(entry) for entry in wheel.namelist()}


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    return HandedOut(tmp_path_factory.mktemp("handed_out"))


def test_the_source_distribution_holds_every_file_that_the_build_needs(handed_out):
    there, needed = handed_out.from_sources, handed_out.needed
    assert {name.rpartition(".")[2] for name in needed} >= {"h", "cpp", "cu", "py", "js", "css", "json"}
    assert [name for name in needed if name not in there] == []
    assert [name for name in needed if there[name] != needed[name]] == []


def test_the_source_distribution_holds_nothing_else(handed_out):
    further = set(handed_out.from_sources) - set(handed_out.needed)
    made = {name for name in further if name.startswith("mytensor.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert further == made


def test_its_wheel_is_the_clones(handed_out):
    direct, by_sdist = handed_out.direct, handed_out.by_sdist
    assert sorted(direct) == sorted(by_sdist)
    ours = [name for name in direct if name.startswith("mytensor/") and not name.endswith(".so")]
    assert [name for name in ours if direct[name] != by_sdist[name]] == []


def test_the_wheel_holds_the_package_the_sources_the_results_and_the_libraries(handed_out):
    inside = {name for name in handed_out.direct if ".dist-info/" not in name}
    wanted = {name for name in handed_out.needed if name.startswith("mytensor/")}
    wanted.add("mytensor_backend-stubs/__init__.pyi")
    sources = {name for name in handed_out.needed if name.startswith(("csrc/", "results/"))} - {"csrc/cuda/README.md"}
    wanted |= {f"mytensor/_{name}" for name in sources}
    libraries = {name for name in inside if name.endswith(".so")}
    assert inside - libraries == wanted
    names = {pathlib.PurePath(name).name.partition(".")[0] for name in libraries}
    simt = {"libmytensor_simt", "libmytensor_kernels_fast", "libmytensor_kernels_watched"}
    is_linux = sys.platform.startswith("linux") and os.uname().machine in ("x86_64", "aarch64")
    assert names == {"mytensor_backend"} | (simt if is_linux else set())


def test_the_wheels_metadata_is_what_pyproject_says(handed_out):
    (name,) = [name for name in handed_out.direct if name.endswith(".dist-info/METADATA")]
    metadata = email.message_from_bytes(handed_out.direct[name])
    assert (metadata["Name"], metadata["Version"]) == (PROJECT["name"], PROJECT["version"])
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    required = {entry.replace(" ", "") for entry in metadata.get_all("Requires-Dist")}

    def as_written(entry: str) -> tuple[str, frozenset[str]]:
        words = entry.replace(" ", "")
        name = words[: min((words.find(sign) for sign in "<>=!~" if sign in words), default=len(words))]
        return name.lower(), frozenset(filter(None, words[len(name) :].split(",")))

    plain = {as_written(entry) for entry in required if ";" not in entry}
    assert plain == {as_written(entry) for entry in PROJECT["dependencies"]}
    extras = PROJECT["optional-dependencies"]
    assert set(metadata.get_all("Provides-Extra")) == set(extras)
    for extra, entries in extras.items():
        of_extra = {
            as_written(entry.partition(";")[0]) for entry in required if f"extra=={extra!r}" in entry.replace('"', "'")
        }
        assert of_extra == {as_written(entry) for entry in entries}
