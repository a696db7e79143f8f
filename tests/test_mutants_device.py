"""The tests of the emulated kernels reject the wrong ones of mutants/device_table.py, planted in csrc/cuda/ and run.

Only the changed source is compiled; the other objects are those of the ordinary build.
"""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import mytensor_backend
import pytest
from emulated import SIMT, compile_kernel, flags_of, link_kernels
from mutants import device_ops_table, device_table
from mutants.device_table import DeviceMutant

import mytensor as mt

ROOT = pathlib.Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
OBJECTS = ROOT / "build" / "simt" / f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
MUTANTS = [*device_table.MUTANTS, *device_ops_table.MUTANTS]
UNCHANGED = DeviceMutant("nothing", "im2col_rows()", "im2col_rows()", "naive", "passed")

if mt.simt.problem():
    pytest.skip(f"no device simt: {mt.simt.problem()}", allow_module_level=True)


def test_every_original_occurs_once():
    for mutant in MUTANTS:
        count = (CSRC / mutant.file).read_text().count(mutant.original)
        assert count == 1, (
            f"'{mutant.name}': its text occurs {count} times in csrc/{mutant.file}; bring mutants/device*.py up to date"
        )


def build(mutant: DeviceMutant, folder: pathlib.Path) -> None:
    """Puts the extension, and the emulator's libraries with the mutant's watched kernels, into `folder`."""
    shutil.copytree(CSRC, folder / "csrc")
    source = folder / "csrc" / mutant.file
    source.write_text(source.read_text().replace(mutant.original, mutant.replacement, 1))
    libraries = folder / "mytensor" / "_simt"
    libraries.mkdir(parents=True)
    extension = pathlib.Path(mytensor_backend.__file__)
    (folder / extension.name).symlink_to(extension)
    for name in ("libmytensor_simt.so", "libmytensor_kernels_fast.so"):
        shutil.copyfile(SIMT / name, libraries / name)
    compile_kernel(source, folder / "csrc", flags_of("watched"), folder / "mutant.o")
    others = [path for path in sorted((OBJECTS / "watched" / "cuda").glob("*.o")) if path.name != f"{source.name}.o"]
    link_kernels(
        [*others, OBJECTS / "emulator" / "simt" / "source_hash.cpp.o", folder / "mutant.o"],
        libraries / "libmytensor_kernels_watched.so",
    )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, str]:
    """What the checks say of each mutant."""
    if not OBJECTS.is_dir():
        pytest.fail(
            f"the mutants are linked with the ordinary build's objects, but there is no {OBJECTS}; run make setup"
        )
    mutants = [UNCHANGED, *MUTANTS]
    folders = [tmp_path_factory.mktemp("mutant") for _ in mutants]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(build, mutants, folders))
    script = pathlib.Path(__file__).parent / "mutants" / "run_device_checks.py"
    requests = [f"{folder}={mutant.op}:{mutant.kernel}" for mutant, folder in zip(mutants, folders, strict=True)]
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), *requests], capture_output=True, text=True, timeout=900
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return dict(zip([mutant.name for mutant in mutants], json.loads(result.stdout), strict=True))


def test_the_unchanged_kernels_pass(outcomes):
    assert outcomes[UNCHANGED.name] == "passed"


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_mutant_is_rejected(outcomes, mutant):
    outcome = outcomes[mutant.name]
    if mutant.found_by == "numbers":
        assert outcome.startswith("AssertionError"), outcome
    else:
        assert outcome.startswith("SimtError: kernel ") and mutant.found_by in outcome, outcome
