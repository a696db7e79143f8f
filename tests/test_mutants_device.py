"""The checks of the emulated kernels reject the wrong ones of mutants/device_table.py, planted in csrc/cuda/ and run.

Mutants that do not disturb each other's checks share a build, so that there are few of them; only the changed sources
are compiled, all other objects are those of the ordinary build, whose kernels pass the same checks. With
MYTENSOR_MUTANTS_APART=1 each mutant has a build of its own (slow): that shows whether the table tells the truth about
who disturbs whom.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import mytensor_backend
import pytest
from emulated import SIMT, compile_kernel, flags_of, link_kernels, precompile
from mutants.device_table import MUTANTS, NUMBERS, DeviceMutant
from mutants.grouping import change_the_same_place, grouped

import mytensor as mt

ROOT = pathlib.Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
OBJECTS = ROOT / "build" / "simt" / f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
EXTENSION = pathlib.Path(mytensor_backend.__file__).resolve()
APART = os.environ.get("MYTENSOR_MUTANTS_APART") == "1"

if mt.simt.problem():
    pytest.skip(f"no device simt: {mt.simt.problem()}", allow_module_level=True)


def exclude_each_other(a: DeviceMutant, b: DeviceMutant) -> bool:
    """Whether the two must not be in one build: one may make the other's check fail, or they change the same place."""
    if APART or a.disturbs_check(b.check) or b.disturbs_check(a.check):
        return True
    return change_the_same_place(a, b)


def name_of(mutant: DeviceMutant) -> str:
    return f"{mutant.check}: {mutant.name}"


def test_every_original_occurs_once():
    for mutant in MUTANTS:
        count = (CSRC / "cuda" / mutant.file).read_text().count(mutant.original)
        assert count == 1, (
            f"'{name_of(mutant)}': its text occurs {count} times in csrc/cuda/{mutant.file}; "
            "bring mutants/device_table.py up to date"
        )


def test_every_kernel_file_and_op_has_mutants():
    without_kernels = {"ladders.cu", "launch.h"}
    files = {path.name for path in (CSRC / "cuda").glob("*.[ch]*")} - without_kernels
    assert files == {mutant.file for mutant in MUTANTS}
    ops = {op for op in mytensor_backend.ops_with_kernels() if mytensor_backend.kernels(op, "simt")}
    checked = {mutant.check.partition(":")[0] for mutant in MUTANTS}
    disturbed = {check.partition(":")[0] for mutant in MUTANTS for check in mutant.disturbs}
    assert checked <= ops <= checked | disturbed, "each op's kernels are those of a mutant's file"


# What most of a compilation goes into, and no mutant changes.
UNCHANGED_HEADERS = [
    "<algorithm>",
    "<limits>",
    "<cuda_bf16.h>",
    "<cuda_pipeline.h>",
    "<mma.h>",
    '"../ops/ladder.h"',
    '"launch.h"',
]


def build(group: list[DeviceMutant], folder: pathlib.Path, prelude: pathlib.Path) -> None:
    """Puts the extension, and the emulator's libraries with the group's watched kernels, into `folder`."""
    cuda = folder / "csrc" / "cuda"
    cuda.mkdir(parents=True)
    for path in [*CSRC.iterdir(), *(CSRC / "cuda").iterdir()]:
        if path.name != "cuda":
            (folder / "csrc" / path.relative_to(CSRC)).symlink_to(path)
    for mutant in group:
        text = (cuda / mutant.file).read_text()
        assert text.count(mutant.original) == 1, f"'{name_of(mutant)}' cannot be planted in {mutant.file}"
        (cuda / mutant.file).unlink()
        (cuda / mutant.file).write_text(text.replace(mutant.original, mutant.replacement))

    libraries = folder / "mytensor" / "_simt"
    libraries.mkdir(parents=True)
    (folder / EXTENSION.name).symlink_to(EXTENSION)
    for name in ("libmytensor_simt.so", "libmytensor_kernels_fast.so"):
        shutil.copyfile(SIMT / name, libraries / name)
    sources = sorted({mutant.source or mutant.file for mutant in group})
    for source in sources:
        compile_kernel(cuda / source, folder / "csrc", flags_of("watched"), folder / f"{source}.o", prelude)
    # Objects of an earlier build may lie there too, of a source that is gone.
    unchanged = {path.name for path in (CSRC / "cuda").glob("*.cu")} - set(sources)
    others = [path for path in sorted((OBJECTS / "watched" / "cuda").glob("*.o")) if path.stem in unchanged]
    link_kernels(
        # The mutants first: of the templates that several objects have, the linker takes theirs.
        [*(folder / f"{source}.o" for source in sources), *others, OBJECTS / "emulator" / "simt" / "source_hash.cpp.o"],
        libraries / "libmytensor_kernels_watched.so",
    )


def lines_named(report: str, folder: pathlib.Path) -> list[str]:
    """The text of the source lines that a report names, in the file with the bugs: each with the line below it."""
    lines = []
    for name, number in re.findall(r"csrc/cuda/(\S+?):(\d+)", report):
        text = (folder / "csrc" / "cuda" / name).read_text().splitlines()
        lines.append("\n".join(text[int(number) - 1 : int(number) + 1]))
    return lines


def outcomes_in(requests: list[str]) -> list[list[str]]:
    script = pathlib.Path(__file__).parent / "mutants" / "run_device_checks.py"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), *requests], capture_output=True, text=True, timeout=1800
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[DeviceMutant, tuple[str, pathlib.Path]]:
    """What its check says of each mutant, and where its source is."""
    if not OBJECTS.is_dir():
        pytest.fail(
            f"the mutants are linked with the ordinary build's objects, but there is no {OBJECTS}; run make setup"
        )
    prelude = precompile(UNCHANGED_HEADERS, CSRC, flags_of("watched"), tmp_path_factory.mktemp("headers"))
    groups = grouped(MUTANTS, exclude_each_other)
    folders = [tmp_path_factory.mktemp("mutants") for _ in groups]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(build, groups, folders, itertools.repeat(prelude)))
    said = outcomes_in(
        [
            f"{folder}={','.join(mutant.check for mutant in group)}"
            for group, folder in zip(groups, folders, strict=True)
        ]
    )
    return {
        mutant: (outcome, folder)
        for group, folder, answers in zip(groups, folders, said, strict=True)
        for mutant, outcome in zip(group, answers, strict=True)
    }


def test_the_unchanged_kernels_pass():
    checks = sorted({mutant.check for mutant in MUTANTS})
    halves = [checks[::2], checks[1::2]]
    said = outcomes_in([f"{EXTENSION.parent}={','.join(half)}" for half in halves])
    for half, answers in zip(halves, said, strict=True):
        assert dict(zip(half, answers, strict=True)) == dict.fromkeys(half, "passed")


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_mutant_is_rejected(outcomes, mutant):
    outcome, folder = outcomes[mutant]
    if mutant.found_by == NUMBERS:
        assert outcome.startswith(("AssertionError", "CheckFailed")), outcome
        return
    assert outcome.startswith("SimtError: kernel ") and mutant.found_by in outcome, outcome
    lines = lines_named(outcome, folder)
    assert any(mutant.line in text for text in lines), f"{outcome}\nnames {lines}"
