"""A build that is interrupted, damaged, misconfigured or beside another ends well, or says what to do in a sentence.

With compilers that are shell scripts (stub_build.py); test_build.py has the builds by a real one.
"""

import os
import re
import resource
import shlex
import signal
import time

import pytest
from stub_build import ROOT, Clone, Server


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def clone(tmp_path, server):
    return Clone(tmp_path / "clone", server)


SOURCES = [name for name in Clone.FILES if name.endswith((".cpp", ".cu"))]
KERNEL = "csrc/cuda/kernel.cu"  # for the emulator alone, without CUDA; and that is built twice


def wait_for(condition, what: str) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def test_the_stub_builds_as_a_compiler_does(clone):
    assert clone.build() == set(SOURCES)
    assert clone.build() == set()
    libraries = clone.made()
    assert {re.sub(r"\..*", "", name) for name in libraries} == {
        "mytensor_backend",
        *(f"mytensor/_simt/libmytensor_{name}" for name in ("simt", "kernels_fast", "kernels_watched")),
    }
    clone.write(KERNEL, "// changed\n")
    assert clone.build() == {KERNEL}
    assert [name for name, text in clone.made().items() if text != libraries[name]] == [
        name for name in libraries if "kernels" in name
    ]


# ---------------------------------------------------------------------------------------------------------------------
# Times
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", Clone.FILES)
def test_a_file_dated_ahead_is_linked_and_compiled_anew_until_its_time_has_come(clone, name):
    path = clone.folder / name
    os.utime(path, (time.time() + 3600,) * 2)
    concerned = {name} if name in SOURCES else set(SOURCES)  # the stub's sources include every header
    assert clone.build() == set(SOURCES)
    wanted = clone.made()
    assert clone.build() == concerned
    path.write_text("// changed, still ahead\n")
    os.utime(path, (time.time() + 3600,) * 2)
    assert clone.build() >= concerned
    assert (clone.made() != wanted) == (name in SOURCES)
    os.utime(path, (time.time() - 3600,) * 2)
    assert clone.build() == concerned
    assert clone.build() == set()


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_saved_while_it_is_compiled_is_linked_and_compiled_anew_next_time(clone, name):
    assert clone.build(SAVES=name) == set(SOURCES)
    assert clone.made()
    assert name in clone.build()
    assert any("saved beneath" in text for text in clone.made().values())
    assert clone.build() == set()


# ---------------------------------------------------------------------------------------------------------------------
# Interrupted, damaged, two at once
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["SIGKILL", "SIGTERM", "SIGINT", "SIGINT to all"])
def test_a_build_that_was_ended_goes_on_and_its_orphans_change_nothing(clone, ending):
    """The compilers of a killed build live on. What they write of the old sources comes after the next build's."""
    clone.build()
    for name in SOURCES:
        clone.write(name, f"// old {name}\n")
    slow = clone.folder / "slow"
    started = clone.start(SLOW=str(slow))
    wait_for(slow.with_name("slow.waits").exists, "no compiler started")
    if ending == "SIGINT to all":
        os.killpg(started.pid, signal.SIGINT)
    else:
        started.send_signal(getattr(signal, ending))
    if ending == "SIGINT":
        slow.touch()  # it waits for the compilers
    said = started.communicate(timeout=30)[0] if ending != "SIGKILL" and ending != "SIGTERM" else ""
    started.wait(30)
    assert started.returncode != 0 and "Traceback" not in said
    for name in SOURCES:
        clone.write(name, f"// new {name}\n")
    assert clone.build() == set(SOURCES)
    wanted = clone.made()
    assert all("new" in text and "old" not in text for text in wanted.values())
    slow.touch()
    time.sleep(0.3)  # now the orphans have written
    if started.stdout and not started.stdout.closed:
        started.stdout.close()
    assert clone.build() == set() and clone.made() == wanted
    assert clone.build(MYTENSOR_ARCH="none") and clone.made() == wanted


def files_of(clone):
    """Every file that a build has left."""
    left = [path for path in sorted((clone.folder / "build").rglob("*")) if path.is_file() and path.name != "lock"]
    return [*left, *(clone.folder / name for name in clone.made())]


def spoil(path, number):
    content = path.read_bytes()
    match number % 4:
        case 0:
            path.write_bytes(content[: len(content) // 2])
        case 1:
            path.write_bytes(b"\xff\x00" * (len(content) // 2 + 1))
        case 2:
            path.write_bytes(b"")
        case 3:
            path.unlink()


def test_every_file_of_a_build_that_is_spoilt_is_made_anew(clone):
    """Each in one of four ways; which, goes round."""
    clone.build()
    wanted = clone.made()
    for number, path in enumerate(files_of(clone)):
        spoil(path, number)
        status, said = clone.try_build()
        assert status == 0 and clone.made() == wanted, f"{path}: {said}"
    assert clone.build() == set()


def test_two_builds_at_once_both_end_well(clone):
    both = [clone.start(), clone.start()]
    for build in both:
        said = build.communicate(timeout=60)[0]
        assert build.returncode == 0, said
    assert sum(text.count("csrc/") for text in clone.made().values()) > 0
    assert clone.build() == set()


def test_a_full_disk_ends_in_a_sentence_and_leaves_nothing_half_written(clone):
    clone.build()
    before = clone.made()
    clone.write("csrc/cpu/answer.cpp", "// new\n")
    status, said = clone.try_build(DISK_IS_FULL="1")
    assert status != 0 and "Traceback" not in said
    assert "No space left on device" in said
    assert said.splitlines()[-1] == "mytensor_backend was not built: the linker failed; its messages stand above."
    assert clone.made() == before
    clone.build()
    assert "// new" in "".join(clone.made().values()) and clone.build() == set()


def test_a_disk_that_fills_while_the_library_is_put_in_place(clone):
    """setup.py may write no file of more than 100 kB; the linker has raised that limit for itself."""
    clone.build()
    before = clone.made()
    clone.write("csrc/cpu/answer.cpp", "// " + "long " * 50_000)
    compiler = clone.folder / "bin" / "c++"
    compiler.write_text(compiler.read_text().replace("#!/bin/sh\n", "#!/bin/sh\nulimit -S -f unlimited\n"))
    started = clone.start()
    resource.prlimit(started.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    said = started.communicate(timeout=60)[0]
    assert started.returncode != 0 and "Traceback" not in said
    assert "must have room and be writable" in said.splitlines()[-1]
    assert clone.made() == before
    assert not [path for path in clone.folder.rglob("*.so") if path.stat().st_size == 100_000], "half of a library"
    clone.build()
    assert "long long" in "".join(clone.made().values()) and clone.build() == set()


@pytest.mark.parametrize("place", ["build", "build/objects"])
def test_a_folder_that_cannot_be_written_ends_in_a_sentence(clone, place):
    (clone.folder / place).parent.mkdir(parents=True, exist_ok=True)
    (clone.folder / place).write_text("a file in the folder's place")
    status, said = clone.try_build()
    assert status != 0 and "Traceback" not in said
    assert said.splitlines()[-1].startswith("mytensor_backend was not built: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_clone_ends_in_a_sentence(clone):
    clone.folder.chmod(0o555)
    status, said = clone.try_build()
    clone.folder.chmod(0o755)
    assert status != 0 and "Traceback" not in said
    assert "must have room and be writable" in said.splitlines()[-1]


def test_leftovers_are_in_no_package(clone):
    clone.build()
    for name in ("mytensor/gone.py", "mytensor/widget/gone.js", "mytensor/_simt/libmytensor_simt.so.unfinished-1"):
        clone.write(f"lib/{name}", "")
    for name in ("pyproject.toml", "README.md", "LICENSE", "mytensor/__init__.py", "mytensor_backend.pyi"):
        clone.write(name, (ROOT / name).read_text(encoding="utf-8"))
    clone.write("results/compare_cpu.json", "{}")
    status, said = clone.try_build("--quiet", "build", "--build-lib", "lib", MYTENSOR_SIMT="0")
    assert status == 0, said
    built = {path.relative_to(clone.folder / "lib").as_posix() for path in (clone.folder / "lib").rglob("*.*")}
    assert not [name for name in built if "gone" in name or "unfinished" in name or name.endswith("simt.so")]
    assert {"mytensor/_csrc/cuda/kernel.cu", "mytensor/_csrc/ops/answer.h", "mytensor/_build_check.py"} <= built
    assert "mytensor_backend-stubs/__init__.pyi" in built


# ---------------------------------------------------------------------------------------------------------------------
# Places
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mein Ordner", "Übung 🎓", "a'b\"c", "x=y", "$HOME", "#1", "a;b&c", "-dash"])
def test_any_folder_will_do(tmp_path, server, name):
    clone = Clone(tmp_path / name, server)
    assert clone.build(MYTENSOR_CUDA="1") == set(SOURCES)
    assert clone.build(MYTENSOR_CUDA="1") == set()
    assert len(clone.made()) == 4 and all("// csrc/" in text for text in clone.made().values())


def test_a_clone_that_was_moved_builds_from_its_own_sources(clone, tmp_path):
    clone.build()
    moved = clone.moved_to(tmp_path / "moved clone")
    environment = {"CXX": shlex.quote(str(moved.folder / "bin" / "c++"))}
    moved.write("csrc/cpu/answer.cpp", "// of the copy\n")
    assert "csrc/cpu/answer.cpp" in moved.build(**environment)
    assert "of the copy" in "".join(moved.made().values())
    assert "of the copy" not in "".join(clone.made().values())
    assert moved.build(**environment) == set()


# ---------------------------------------------------------------------------------------------------------------------
# Settings
# ---------------------------------------------------------------------------------------------------------------------


def settings() -> list[str]:
    """Those that setup.py's own text lists."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8").split('"""')[1]
    rows = re.findall(r"^    ((?:[A-Z][A-Z_]+(?:, )?)+)  ", text.partition("Environment variables:")[2], re.MULTILINE)
    return [name for row in rows for name in row.split(", ")]


LISTS_OF_WORDS = ("CXXFLAGS", "LDFLAGS")  # blank is no words
BAD = [" ", "'", "\\", "nonsense", "--reject", "\udcff\n1"]


def test_every_setting_is_listed():
    assert {"CXX", "CXXFLAGS", "LDFLAGS", "MYTENSOR_ARCH", "MYTENSOR_CUDA", "MYTENSOR_JOBS"} <= set(settings())
    read = set(re.findall(r"[\"'](MYTENSOR_[A-Z_]+)[\"']", (ROOT / "setup.py").read_text(encoding="utf-8")))
    assert read <= set(settings()), "setup.py reads a setting that its own text does not list"


@pytest.mark.parametrize("name", settings())
def test_a_bad_setting_ends_in_a_sentence_that_names_it(clone, name):
    for value in BAD:
        status, said = clone.try_build(**({"MYTENSOR_CUDA": "1", "MYTENSOR_SIMT": "0"} | {name: value}))
        where = f"{name}={value!r}: {said}"
        assert "Traceback" not in said, where
        if status == 0:
            is_unquoted = not re.search(r"['\"\\]", value)
            assert name in LISTS_OF_WORDS and is_unquoted and "--reject" not in value, where
        else:
            last = said.split("mytensor_backend was not built: ")[-1]
            assert last != said and (name in last or name in LISTS_OF_WORDS or "compile" in last), where


@pytest.mark.parametrize("name", ["CC", "CFLAGS", "CPPFLAGS", "LDSHARED", "AR", "ARFLAGS", "LDCXXSHARED"])
def test_settings_of_other_builds_are_not_ours(clone, name):
    assert clone.build(**{name: "'no-such-tool"}, MYTENSOR_SIMT="0")


@pytest.mark.parametrize("compiler", ["true", "echo", "/", "-m64", "FOO=1 c++", "c++ --reject", "env FOO=1", "env"])
def test_what_is_no_compiler_is_told_so(clone, compiler):
    status, said = clone.try_build(CXX=compiler)
    assert status != 0 and "Traceback" not in said
    assert "CXX names" in said or "does not compile a C++17 program" in said


@pytest.mark.parametrize(
    "prefix", ["ccache", "distcc", "ccache distcc", "env", "env A=1 B=2", "nice -n 5", "'a b/run'", "-"]
)
def test_nvcc_is_handed_the_compiler_and_its_options_behind_any_prefix(clone, prefix):
    for tool in ("ccache", "distcc", "a b/run"):
        clone.write(f"bin/{tool}", '#!/bin/sh\nexec "$@"\n')
        (clone.folder / "bin" / tool).chmod(0o755)
    compiler = str(clone.folder / "bin" / "c++")
    prefix = prefix.removeprefix("-").replace("a b", str(clone.folder / "bin" / "a b"))
    for options in ("", "-m64 -isystem '/a b' -Wa,--noexecstack"):
        clone.build(CXX=f"{prefix} {compiler} {options}", MYTENSOR_CUDA="1", MYTENSOR_SIMT="0")
        of_nvcc = [words for words in clone.asked() if "--nvcc" in words]
        assert len(of_nvcc) == 2, "one kernel to compile, one library to link"
        for words in of_nvcc:
            place = words.index("-ccbin")
            assert words[place + 1] == compiler
            handed = [f"-Xcompiler={option}".replace(",", "\\,") for option in shlex.split(options)]
            assert words[place + 2 :][: len(handed)] == handed


def test_a_compiler_in_a_path_with_spaces_need_not_be_quoted(clone):
    place = clone.folder / "my tools" / "g++ 12"
    place.parent.mkdir()
    place.symlink_to(clone.folder / "bin" / "c++")
    for written in (str(place), shlex.quote(str(place)), f" {shlex.quote(str(place))} "):
        clone.write("csrc/cpu/answer.cpp", f"// {written}\n")
        assert clone.build(CXX=written)


@pytest.mark.parametrize(
    ("flags", "behind", "handed"),
    [
        ("-L/x -lm", ["-L/x", "-lm"], []),
        ("-Wl,-z,now", [], ["-Wl\\,-z\\,now"]),
        ("-pthread -Wl,-rpath,/a -lfoo", ["-lfoo"], ["-pthread", "-Wl\\,-rpath\\,/a"]),
    ],
)
def test_ldflags_reach_the_host_linker_through_nvcc(clone, flags, behind, handed):
    clone.build(LDFLAGS=flags, MYTENSOR_CUDA="1", MYTENSOR_SIMT="0")
    (link,) = [words for words in clone.asked() if "-shared" in words and "--nvcc" in words]
    assert [word for word in link if word.startswith(("-L", "-l"))] == behind
    through = [word.removeprefix("-Xcompiler=") for word in link if word.startswith("-Xcompiler=")]
    assert through == ["-pthread", *handed]
    assert not any(word.startswith("-Xlinker") for word in link)
