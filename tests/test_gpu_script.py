"""scripts/gpu.py without a GPU: what it would run, how it ends what takes too long, how it reads the tools' reports."""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import mytensor_backend as backend
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def gpu():
    spec = importlib.util.spec_from_file_location("gpu_script", ROOT / "scripts" / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def record_of(folder, part):
    return json.loads((folder / f"gpu_{part}.json").read_text(encoding="utf-8"))


def test_a_dry_run_says_every_command_and_runs_none(gpu, tmp_path, capsys):
    assert gpu.main(["all", "--dry-run", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    for line in (
        "python setup.py --quiet build_ext --inplace",
        "python -m mytensor compare --device cuda --data data --epochs 20 --seeds 0 1 2 3 4 --json",
        "python -m mytensor ablate --device cuda --data data --epochs 20 --seeds 0 1 2 3 4 --json",
        "python -m mytensor ablate --device cuda --data data --sweep --epochs 20 --seeds 0 1 --json",
        "python -m mytensor ablate --device cuda --data data --combinations --epochs 3 --seeds 0 --json",
        "python -m mytensor bench --device cuda --step --json",
        "python scripts/notebooks.py build 04_conv_forward",
    ):
        assert f"$ {line}" in said
    assert "tests/device/test_matmul.py" in said and "test_mutants" not in said
    for tool in ("memcheck", "racecheck", "initcheck", "synccheck"):
        planted, line = [line for line in said.splitlines() if f"--tool {tool} " in line]
        assert "--target-processes all --error-exitcode 9" in line
        assert line.endswith("python tests/device/every_rung.py --device cuda")
        # The same tool with the same options over the planted bug.
        options = re.sub(r"--log-file \S+ .*", "", line)
        assert planted.startswith(options) and re.search(r" planted \w+$", planted)


def test_bench_takes_the_words_it_is_given():
    done = subprocess.run(
        [sys.executable, "-m", "mytensor", "bench", "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert all(word in done.stdout for word in ("--device", "--step", "--budget", "--ops", "--json"))


PASSING_AND_FAILING = """
import pytest

@pytest.mark.parametrize("device", ["simt", "cuda"])
def test_one(device):
    assert device

def test_wrong():
    assert 1 == 2

@pytest.mark.skip(reason="no")
def test_left_out():
    pass
"""


def test_test_reports_are_added_up(gpu, tmp_path, capsys):
    file, broken = tmp_path / "test_planted.py", tmp_path / "test_broken.py"
    file.write_text(PASSING_AND_FAILING)
    broken.write_text("import nothing_of_that_name\n")
    out = tmp_path / "out"
    arguments = ["tests", "--out", str(out), "--commit", "abc", "--workers", "1"]
    assert gpu.main([*arguments, "--test-files", str(file)]) == 1
    record = record_of(out, "tests")
    assert record["totals"] == {"passed": 2, "failed": 1, "skipped": 1}
    (row,) = record["files"].values()
    assert row["on_cuda"] == 1 and [name.split("::")[1] for name in row["failures"]] == ["test_wrong"]
    assert "assert 1 == 2" in row["output"]
    assert record["commit"] == "abc" and record["versions"]["python"] and not record["is_good"]
    assert "2 passed, 1 failed, 1 skipped" in capsys.readouterr().out

    assert gpu.main([*arguments, "--test-files", str(broken)]) == 1
    (row,) = record_of(out, "tests")["files"].values()
    assert row["failed"] and "nothing_of_that_name" in row["output"], "a file that cannot be imported is no success"


def test_tests_that_take_too_long_leave_a_table_that_names_the_files(gpu, tmp_path, capsys):
    quick, slow = tmp_path / "test_quick.py", tmp_path / "test_slow.py"
    quick.write_text("def test_it():\n    pass\n")
    slow.write_text("import time\n\ndef test_first():\n    pass\n\ndef test_endless():\n    time.sleep(600)\n")
    out = tmp_path / "out"
    arguments = ["tests", "--out", str(out), "--workers", "2", "--limit", "30", "--test-files", str(quick), str(slow)]
    assert gpu.main(arguments) == 1
    record = record_of(out, "tests")
    assert record["totals"] == {"passed": 2, "failed": 0, "skipped": 0} and not record["is_good"]
    assert [row["problem"] is None for row in record["files"].values()] == [True, False]
    said = capsys.readouterr().out
    assert "test_slow.py" in said and "ran out of time; 1 of its tests not run to the end" in said
    assert "2, 1 of them not run to the end" in said


def test_a_test_that_ends_its_process_is_named_and_the_others_run(gpu, tmp_path):
    file, other = tmp_path / "test_crashing.py", tmp_path / "test_other.py"
    file.write_text("import os\n\ndef test_crash():\n    os._exit(3)\n\ndef test_after():\n    pass\n")
    other.write_text("def test_it():\n    pass\n")
    out = tmp_path / "out"
    assert gpu.main(["tests", "--out", str(out), "--workers", "1", "--test-files", str(file), str(other)]) == 1
    record = record_of(out, "tests")
    assert record["totals"] == {"passed": 2, "failed": 1, "skipped": 0}
    (failure,) = record["files"][str(file)]["failures"]
    assert failure.endswith("test_crashing.py::test_crash") and "crashed" in record["files"][str(file)]["output"]


def test_what_takes_too_long_is_ended_with_all_it_started(gpu, tmp_path):
    program = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "print('child', child.pid, flush=True); time.sleep(60)"
    )
    options = gpu.argparse.Namespace(limit=3.0, dry_run=False)
    outcome = gpu.Runner(options).run([sys.executable, "-c", program], show=False)
    assert outcome.status is None and outcome.in_words == "ran out of time" and outcome.seconds < 30
    child = int(outcome.output.split()[1])
    status = pathlib.Path(f"/proc/{child}/stat")
    assert not status.exists() or status.read_text().split(")")[1].split()[0] == "Z", "the child still runs"


CLEAN = "========= COMPUTE-SANITIZER\n========= ERROR SUMMARY: 0 errors\n"
ALL_LAUNCHED = "103 kernels of 60 ops on cuda, 0 wrong\n"


@pytest.mark.parametrize(
    "log, status, output, is_clean",
    [
        (CLEAN, 0, ALL_LAUNCHED, True),
        ("========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n", 0, ALL_LAUNCHED, True),
        ("========= RACECHECK SUMMARY: 1 hazard displayed (0 errors, 1 warning)\n", 0, ALL_LAUNCHED, False),
        ("========= ERROR SUMMARY: 10 errors\n", 9, ALL_LAUNCHED, False),
        ("========= ERROR SUMMARY: 10 errors\n", 0, ALL_LAUNCHED, False),
        (CLEAN + "========= ERROR SUMMARY: 1 error\n", 0, ALL_LAUNCHED, False),  # of another process
        (CLEAN, 1, ALL_LAUNCHED, False),  # a result was wrong
        (CLEAN, 0, "", False),  # the program did nothing
        (CLEAN, 0, "0 kernels of 0 ops on cuda, 0 wrong\n", False),
        ("", 0, ALL_LAUNCHED, False),  # nobody watched
        (CLEAN, None, ALL_LAUNCHED, False),
    ],
)
def test_only_a_tool_that_says_so_is_clean(gpu, log, status, output, is_clean):
    verdict = gpu.sanitizer_verdict(gpu.Outcome("compute-sanitizer ...", status, 1.0, output), log)
    assert verdict["is_clean"] == is_clean
    assert bool(verdict["log"]) == (not is_clean and bool(log))


# A compute-sanitizer that finds nothing in the kernels, and reports the planted bugs, but for those of $OVERLOOKS.
FAKE_SANITIZER = """#!/bin/sh
for last in "$@"; do
    case "$previous" in --tool) tool=$last ;; --log-file) log=$last ;; esac
    previous=$last
done
errors=0
case "$*" in
*every_rung*) echo "103 kernels of 60 ops on cuda, 0 wrong" ;;
*) case " $OVERLOOKS " in
    *" $tool "*) ;;
    *" crash:$tool "*) exit 1 ;;
    *" elsewhere:$tool "*) errors=1; last=of_the_runtime ;;
    *) errors=1 ;;
    esac ;;
esac
[ $errors = 0 ] || echo "=========     at planted_$last(int *)+0x60" >"$log"
case $tool in
racecheck) echo "========= RACECHECK SUMMARY: $errors hazards displayed ($errors errors, 0 warnings)" ;;
*) echo "========= ERROR SUMMARY: $errors errors" ;;
esac >>"$log"
[ $errors = 0 ] || exit 9
"""
FAKE_NVCC = '#!/bin/sh\n[ -z "$NO_COMPILER" ] || exit 1\n'


@pytest.fixture
def sanitized(gpu, tmp_path, monkeypatch, capsys):
    """Runs `gpu.py sanitizer` with these tools; returns its status, what it said and its record."""

    def run(**environment):
        for name, script in {"compute-sanitizer": FAKE_SANITIZER, "nvcc": FAKE_NVCC}.items():
            (tmp_path / name).write_text(script)
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_HOME", raising=False)
        monkeypatch.delenv("CUDA_PATH", raising=False)
        monkeypatch.setattr(gpu, "LOGS", tmp_path / "logs")
        monkeypatch.setattr(gpu, "_backend_facts", dict)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        status = gpu.main(["sanitizer", "--out", str(tmp_path / "out")])
        return status, capsys.readouterr().out, record_of(tmp_path / "out", "sanitizer")

    return run


def test_a_sanitizer_that_reports_every_planted_bug_goes_on_to_the_kernels(gpu, sanitized):
    status, said, record = sanitized()
    assert status == 0, said
    assert record["is_good"] and all(record[tool]["is_clean"] for tool in gpu.TOOLS)
    assert all(record["planted"][tool]["is_reported"] for tool in gpu.TOOLS)


@pytest.mark.parametrize("how", ["", "crash:", "elsewhere:"])
@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "initcheck", "synccheck"])
def test_a_sanitizer_that_overlooks_a_planted_bug_is_red_and_says_which(gpu, sanitized, tool, how):
    assert tool in gpu.TOOLS
    status, said, record = sanitized(OVERLOOKS=f"{how}{tool}")
    assert status == 1 and not record["is_good"]
    (line,) = [line for line in said.splitlines() if "NOT REPORTED" in line]
    assert tool in line and gpu.TOOLS[tool] in line
    assert tool not in record, "kernels were looked through by a tool that sees nothing"


def test_planted_bugs_that_do_not_compile_are_red(sanitized):
    status, said, record = sanitized(NO_COMPILER="1")
    assert status == 1 and not record["is_good"] and "not compiled" in said


def test_each_tool_has_a_planted_bug_and_each_planted_bug_a_tool(gpu):
    source = (ROOT / "tests" / "device" / "planted.cu").read_text(encoding="utf-8")
    kernels = re.findall(r"__global__ void planted_(\w+)\(", source)
    assert sorted(kernels) == sorted(gpu.TOOLS.values()) == sorted(re.findall(r'strcmp\(bug, "(\w+)"\)', source))


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no nvcc")
def test_the_planted_bugs_compile(tmp_path):
    program = tmp_path / "planted"
    subprocess.run(["nvcc", "-o", str(program), "tests/device/planted.cu"], cwd=ROOT, check=True, timeout=120)
    assert subprocess.run([str(program), "none"], capture_output=True).returncode == 2


def test_a_part_that_fails_says_so_and_the_next_has_its_turn(gpu, tmp_path, monkeypatch, capsys):
    def breaks(runner):
        raise RuntimeError("on purpose")

    def works(runner):
        part = gpu.Part()
        part.say("it", "works")
        return part

    monkeypatch.setattr(gpu, "PARTS", {"build": breaks, "bench": works})
    assert gpu.main(["build", "bench", "--out", str(tmp_path)]) == 1
    assert "RuntimeError: on purpose" in capsys.readouterr().out
    assert not record_of(tmp_path, "build")["is_good"] and record_of(tmp_path, "bench")["is_good"]
    assert record_of(tmp_path, "bench")["machine"]["cores"] == os.cpu_count()


def test_results_without_a_commit_get_the_one_that_was_named(gpu, tmp_path):
    for name, commit in (("a_cuda.json", None), ("b_cuda.json", "known"), ("c.json", None)):
        (tmp_path / name).write_text(json.dumps({"commit": commit}))
    gpu.note_commit(tmp_path, "named")
    commits = {path.name: json.loads(path.read_text())["commit"] for path in tmp_path.iterdir()}
    assert commits == {"a_cuda.json": "named", "b_cuda.json": "known", "c.json": None}


@pytest.mark.skipif(bool(backend.simt_problem()), reason="no emulator")
def test_every_rung_launches_all_kernels_of_an_op():
    """On the emulator, for a few ops; scripts/gpu.py runs all of them on a GPU under compute-sanitizer."""
    command = [sys.executable, "tests/device/every_rung.py", "--device", "simt", "--ops"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ops = ["matmul", "conv2d_bias_grad", "im2col", "relu"]  # one for each way in which cases are made
    done = subprocess.run([*command, *ops], cwd=ROOT, env=environment, capture_output=True, text=True)
    launched = sum(len(backend.kernels(op, "simt")) for op in ops)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{launched} kernels of {len(ops)} ops on simt, 0 wrong" in done.stdout
