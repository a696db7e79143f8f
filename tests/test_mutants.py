"""Every check rejects the wrong kernels of mutants/table.py: they are planted in csrc/, compiled, and run.

Mutants that do not disturb each other's checks share a build, so that there are few of them; only the changed sources
are compiled (with little optimisation), all other objects are those of the ordinary build. The ordinary build passes
the same checks in test_check.py.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import sysconfig

import mytensor_backend
import pytest
from mutants.grouping import change_the_same_place, grouped
from mutants.table import EVERYTHING, MUTANTS, SourceMutant

import mytensor as mt
from mytensor import check

ROOT = pathlib.Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
OBJECTS = ROOT / "build" / "objects" / f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
EXTENSION = "mytensor_backend" + sysconfig.get_config_var("EXT_SUFFIX")


def request_of(mutant: SourceMutant) -> str:
    return f"{mutant.check}:{mutant.kernel}" if mutant.kernel else mutant.check


def exclude_each_other(a: SourceMutant, b: SourceMutant) -> bool:
    """Whether the two must not be in one build: one may make the other's check fail, or they change the same place."""
    if EVERYTHING in (a.disturbs, b.disturbs):
        return True
    one, other = {request_of(a), *a.disturbs}, {request_of(b), *b.disturbs}
    if request_of(a) in other or request_of(b) in one:
        return True
    if (a.check in b.disturbs) or (b.check in a.disturbs):
        return True
    return change_the_same_place(a, b)


def test_every_original_occurs_once():
    for mutant in MUTANTS:
        count = (CSRC / mutant.file).read_text().count(mutant.original)
        assert count == 1, (
            f"'{mutant.name}': its text occurs {count} times in csrc/{mutant.file}; bring mutants/table.py up to date"
        )


def test_every_check_has_a_mutant():
    assert set(check.names()) == {mutant.check for mutant in MUTANTS}


def sources_including(header: pathlib.Path) -> set[str]:
    """The kernels' objects, relative to OBJECTS, that were compiled from a source that includes `header`."""
    found = set()
    for depfile in (OBJECTS / "cpu").glob("*.d"):
        dependencies = shlex.split(depfile.read_text().replace("\\\n", " ").split(": ", 1)[1])
        if header in {(ROOT / name).resolve() for name in dependencies}:
            found.add(str(depfile.relative_to(OBJECTS).with_suffix(".o")))
    return found


def build(group: list[SourceMutant], folder: pathlib.Path) -> None:
    """Puts the extension with the group's mutants into `folder`."""
    sources = folder / "csrc"
    shutil.copytree(CSRC, sources)
    changed = set()
    for mutant in group:
        path = sources / mutant.file
        text = path.read_text()
        assert text.count(mutant.original) == 1, f"'{mutant.name}' cannot be planted once in {mutant.file}"
        path.write_text(text.replace(mutant.original, mutant.replacement))
        changed |= (
            {mutant.file + ".o"} if mutant.file.endswith(".cpp") else sources_including((CSRC / mutant.file).resolve())
        )

    info = mytensor_backend.build_info()
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    objects = {str(path.relative_to(OBJECTS)): path for path in sorted(OBJECTS.rglob("*.o"))}
    # Objects of an earlier build may lie there too: with CUDA, or of a source that is gone.
    objects = {
        name: path
        for name, path in objects.items()
        if (CSRC / name.removesuffix(".o")).exists() and (info["cuda"] or not name.endswith(".cu.o"))
    }
    for name in changed:
        flags = shlex.split(info["flags"]) + (shlex.split(info["kernel_flags"]) if name.startswith("cpu/") else [])
        objects[name] = folder / name.replace("/", "_")
        command = [
            *compiler,
            *flags,
            "-O1",
            "-w",
            f"-I{sources}",
            "-c",
            str(sources / name.removesuffix(".o")),
            "-o",
            str(objects[name]),
        ]
        run(command)
    linker = (
        ["nvcc", "-shared", "-cudart=static", "-Xcompiler=-pthread"]
        if info["cuda"]
        else [*compiler, "-shared", "-pthread"]
    )
    folders = ["bindings", "base", "device", "ndarray", "ops", "cuda", "cpu"]  # as setup.py's LINK_ORDER
    in_link_order = sorted(objects, key=lambda name: (folders.index(name.partition("/")[0]), name))
    run([*linker, *(str(objects[name]) for name in in_link_order), "-o", str(folder / EXTENSION)])


def run(command: list[str]) -> str:
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert result.returncode == 0, f"{shlex.join(command)} ended with {result.returncode}:\n{result.stderr[-3000:]}"
    return result.stdout


def outcomes_of(group: list[SourceMutant], folder: pathlib.Path) -> list[tuple[SourceMutant, str]]:
    """What the check of each mutant said, or why it could not be asked."""
    requests = list(dict.fromkeys(request_of(mutant) for mutant in group))
    script = str(pathlib.Path(__file__).parent / "mutants" / "run_checks.py")
    try:
        build(group, folder)
        outcomes = json.loads(run([sys.executable, script, str(folder), *requests]))
    except (AssertionError, subprocess.SubprocessError) as error:
        outcomes = dict.fromkeys(requests, str(error))
    return [(mutant, outcomes[request_of(mutant)]) for mutant in group]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> list[tuple[SourceMutant, str]]:
    if not OBJECTS.is_dir():
        pytest.fail(
            "the mutants are linked with the objects of the ordinary build, but there is no "
            f"{OBJECTS.relative_to(ROOT)}; run make setup"
        )
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = [
            pool.submit(outcomes_of, group, tmp_path_factory.mktemp("mutants"))
            for group in grouped(MUTANTS, exclude_each_other)
        ]
        return list(itertools.chain.from_iterable(future.result() for future in running))


@pytest.mark.parametrize("number", range(len(MUTANTS)), ids=[f"{mutant.check}: {mutant.name}" for mutant in MUTANTS])
def test_mutant_is_rejected(outcomes, number):
    outcome = next(outcome for mutant, outcome in outcomes if mutant is MUTANTS[number])
    assert outcome.startswith("CheckFailed: "), (
        f"the check says {outcome!r} with this bug in csrc/{MUTANTS[number].file}"
    )


def test_kernels_of_the_table_exist():
    for mutant in MUTANTS:
        if mutant.kernel:
            assert mutant.kernel in {row["name"] for row in mt.kernels(mutant.check)}
