"""Everything that needs a GPU, in parts of under ten minutes, without anybody at the keyboard. From the top folder:

    python scripts/gpu.py build          compiles the backend for the GPU at hand and lets the doctor look at it
    python scripts/gpu.py tests          the test suite, which picks up the GPU by itself
    python scripts/gpu.py sanitizer      compute-sanitizer's four tools over every kernel, once they report planted bugs
    python scripts/gpu.py training       the report's recipe beside PyTorch, five seeds
    python scripts/gpu.py ablations      notebook 11's causes, one change at a time
    python scripts/gpu.py sweep          what the report leaves open: its draw, how its loss was scaled
    python scripts/gpu.py combinations   every set of the causes, briefly
    python scripts/gpu.py bench          every rung of every ladder beside cuBLAS and cuDNN, and the training step
    python scripts/gpu.py notebooks      executes the notebooks whose cells want a GPU
    python scripts/gpu.py build tests    several parts; `all`: all of them

Each part writes results/*.json (device, driver, versions, commit, command) and the last thing printed is a short table.
Status 1: something was wrong, failed, or ran out of time. A plain checkout is enough, with this Python's packages.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import datetime
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def _module(path: str) -> Any:
    """A file of the package alone: the package needs the backend, which may not be compiled yet."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


files = _module("mytensor/files.py")
FORMAT = "mytensor on a GPU 1"
# Of this process alone: among the tests that it runs are this script's own.
LOGS = Path(tempfile.gettempdir(), f"mytensor-gpu-{os.getpid()}")
# Files that learn nothing from a GPU: they build the backend anew with planted bugs, or read the packages' lists.
NOT_HERE = ("test_mutants.py", "test_mutants_device.py", "test_environment.py")
TOOLS = {  # each with the planted bug (tests/device/planted.cu) that it must report before it is believed
    "memcheck": "outside",
    "racecheck": "race",
    "initcheck": "unwritten",
    "synccheck": "barrier",
}
ERROR_STATUS = 9  # what compute-sanitizer is told to return where it found something
NOTEBOOKS = ("03_gemm", "04_conv_forward", "10_cifar10_training", "11_comparison")


@dataclass
class Outcome:
    """One program's end. status: None where the time ran out."""

    command: str
    status: int | None
    seconds: float
    output: str  # the last of it

    @property
    def in_words(self) -> str:
        return "ran out of time" if self.status is None else "ok" if self.status == 0 else f"status {self.status}"


@dataclass
class Part:
    """What a part has to say: one line of the table each, and the facts for its file."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    is_good: bool = True

    def say(self, what: str, value: str, is_good: bool = True) -> None:
        self.lines.append((what, value))
        self.is_good &= is_good


class Runner:
    """Runs programs in the top folder, each for no longer than what is left of the part's time."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.began = time.monotonic()

    def left(self) -> float:
        return max(1.0, self.options.limit - (time.monotonic() - self.began))

    def run(
        self, command: Sequence[str], seconds: float | None = None, show: bool = True, **environment: str
    ) -> Outcome:
        """show: print what the program prints, as it comes."""
        text = shlex.join([_shown(word) for word in command])
        if show or self.options.dry_run:
            print(f"$ {text}", flush=True)
        if self.options.dry_run:
            return Outcome(text, 0, 0.0, "")
        began = time.monotonic()
        # A session of its own, so that what it has started ends with it.
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": _python_path()} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        lines: list[str] = []
        reader = concurrent.futures.ThreadPoolExecutor(1)
        reading = reader.submit(_read, process, lines, show)
        try:
            status: int | None = process.wait(min(seconds or self.left(), self.left()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = None
        with contextlib.suppress(concurrent.futures.TimeoutError):  # something it left behind holds the pipe
            reading.result(10)
        reader.shutdown(wait=False)
        # Where the checkout lies tells a reader nothing.
        return Outcome(text, status, time.monotonic() - began, "".join(lines[-200:]).replace(f"{ROOT}/", ""))

    def python(self, *arguments: str, **options: Any) -> Outcome:
        return self.run([sys.executable, *arguments], **options)


def _read(process: subprocess.Popen, lines: list[str], show: bool) -> None:
    for line in process.stdout or ():
        lines.append(line)
        if show:
            print(line, end="", flush=True)


def _shown(word: str) -> str:
    """A command's word without the places of this machine, which would tell a reader nothing."""
    if word == sys.executable:
        return "python"
    option, equals, value = word.rpartition("=")
    path = Path(value)
    for folder in (ROOT, LOGS):
        if path.is_absolute() and path.is_relative_to(folder):
            return f"{option}{equals}{path.relative_to(folder)}"
    return word


def _new_log(name: str) -> Path:
    """Where a program's report goes; an older one of that name is gone."""
    LOGS.mkdir(parents=True, exist_ok=True)
    (LOGS / name).unlink(missing_ok=True)
    return LOGS / name


def _python_path() -> str:
    """The checkout first: it need not be installed."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


# ---------------------------------------------------------------------------------------------------------------------
# The parts
# ---------------------------------------------------------------------------------------------------------------------


def build(runner: Runner) -> Part:
    """Compiles for the GPU at hand, with all cores."""
    part = Part()
    jobs = str(os.cpu_count() or 1)
    command = ["setup.py", "--quiet", "build_ext", "--inplace"]
    compiled = runner.python(*command, MYTENSOR_CUDA="1", MYTENSOR_JOBS=jobs)
    part.say("compiling", f"{compiled.in_words}, {compiled.seconds:.0f} s on {jobs} cores", compiled.status == 0)
    part.facts["compiling"] = _record(compiled)
    doctor = runner.python("-m", "mytensor", "doctor")
    part.say("doctor", doctor.in_words, doctor.status == 0)
    part.facts["doctor"] = _record(doctor) | {"report": doctor.output}
    if not runner.options.dry_run:
        found = _backend_facts()
        gpus = found.get("cuda", {}).get("gpus", [])
        part.say("GPU", gpus[0]["name"] if gpus else f"none: {found.get('cuda', {}).get('problem')}", bool(gpus))
    return part


def tests(runner: Runner) -> Part:
    """All tests by pytest-xdist, each process a run of neighbouring ones."""
    part = Part()
    workers = runner.options.workers or max(1, (os.cpu_count() or 2) // 2)
    files = [(ROOT / name).resolve() for name in runner.options.test_files] or sorted(
        path
        for path in (ROOT / "tests").rglob("test_*.py")
        if "browser" not in path.parts and path.name not in NOT_HERE
    )
    log = _new_log("tests.jsonl")
    # Not loadfile: there a test that ends its process is begun again, in the next process, for ever.
    words = ["-m", "pytest", "-q", "-n", str(workers), "--dist", "worksteal", "--continue-on-collection-errors"]
    words += ["-p", "no:cacheprovider", "-p", "scripts.pytest_log", *(_shown(str(path)) for path in files)]
    outcome = runner.python(*words, OMP_NUM_THREADS="2", MYTENSOR_TEST_LOG=str(log))
    if runner.options.dry_run:
        return part
    rows = _test_rows(files, outcome, log)
    totals = {key: sum(row[key] for row in rows.values()) for key in ("passed", "failed", "skipped")}
    part.facts |= {"pytest": _record(outcome), "totals": totals, "files": rows}
    for name, row in rows.items():
        if row["problem"]:
            part.say(name, row["problem"], False)
        for failure in row["failures"]:
            part.say("failed", failure, False)
    on_gpu, incomplete = (sum(bool(row[key]) for row in rows.values()) for key in ("on_cuda", "problem"))
    part.say("tests", f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    part.say("of them on cuda", str(sum(row["on_cuda"] for row in rows.values())), on_gpu > 0)
    part.say("files", f"{len(rows)}, {incomplete} of them not run to the end", not incomplete)
    part.say("pytest", outcome.in_words, outcome.status in (0, 1, 5))  # 1: a test failed; 5: there was none
    return part


def _test_rows(files: Sequence[Path], outcome: Outcome, log: Path) -> dict[str, dict[str, Any]]:
    """A row a file, from what scripts/pytest_log.py wrote. problem: that a file was not run to the end."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    is_collected = any(line["outcome"] == "collected" for line in lines)
    worst = ("collected", "passed", "skipped", "failed")
    rows = {}
    for path in files:
        of_file = [line for line in lines if line["file"] == str(path)]
        outcomes: dict[str, str] = {}
        for line in of_file:
            outcomes[line["test"]] = max(outcomes.get(line["test"], "collected"), line["outcome"], key=worst.index)
        row: dict[str, Any] = {state: list(outcomes.values()).count(state) for state in worst[1:]}
        row["on_cuda"] = sum(
            state in ("passed", "failed") and "cuda" in re.split(r"[\[\]-]", test) for test, state in outcomes.items()
        )
        row["seconds"] = round(sum(line["seconds"] for line in of_file), 1)
        row["failures"] = [f"{_shown(str(path))}::{test}" for test, state in outcomes.items() if state == "failed"]
        row["output"] = "\n".join(line["output"] for line in of_file if line["output"])[-6000:]
        left = list(outcomes.values()).count("collected")
        if left or not (is_collected or outcomes):
            why = (outcome.output.strip().splitlines() or ["no output"])[-1]
            row["problem"] = f"{outcome.in_words}; {left or 'all'} of its tests not run to the end; {why}"
        rows[_shown(str(path))] = row | {"problem": row.get("problem")}
    return rows


def sanitizer(runner: Runner) -> Part:
    """compute-sanitizer's tools, first over planted bugs, then over tests/device/every_rung.py."""
    part, options = Part(), runner.options
    if not options.dry_run and shutil.which("compute-sanitizer") is None:
        part.say("compute-sanitizer", "not on PATH: it comes with the CUDA toolkit", False)
        return part
    _plant(part, runner)
    if not part.is_good:  # who overlooks a planted bug may overlook ours
        return part
    program = [sys.executable, "tests/device/every_rung.py", "--device", "cuda"]
    program += ["--ops", *options.ops] if options.ops else []
    for tool, (outcome, log) in _under_each_tool(runner, dict.fromkeys(TOOLS, program), "every_rung").items():
        verdict = sanitizer_verdict(outcome, log)
        part.facts[tool] = verdict
        value = f"{verdict['summary']}; {verdict['program']}; {outcome.seconds:.0f} s"
        part.say(tool, value, verdict["is_clean"])
    return part


def _plant(part: Part, runner: Runner) -> None:
    """Red unless each tool reports the bug that was planted for it."""
    planted = LOGS / "planted"
    LOGS.mkdir(parents=True, exist_ok=True)
    compiled = runner.run([_nvcc(), "-arch=native", "-lineinfo", "-o", str(planted), "tests/device/planted.cu"])
    part.facts["planted"] = _record(compiled)
    if compiled.status != 0:
        part.say("planted bugs", f"not compiled: {compiled.in_words}", False)
        part.facts["planted"]["output"] = compiled.output[-4000:]
        return
    programs = {tool: [str(planted), bug] for tool, bug in TOOLS.items()}
    for tool, (outcome, log) in _under_each_tool(runner, programs, "planted").items():
        is_reported = reports(log, f"planted_{TOOLS[tool]}")
        words = "reported" if is_reported else f"NOT REPORTED ({outcome.in_words}), so {tool} cannot be believed"
        part.say(f"planted: {TOOLS[tool]}", f"{tool}: {words}", is_reported)
        part.facts["planted"][tool] = _record(outcome) | {"is_reported": is_reported, "log": log[:4000]}


def _nvcc() -> str:
    homes = [os.environ[name] for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    found = [shutil.which("nvcc", path=str(Path(home, "bin"))) for home in homes]
    return next((path for path in found if path), "nvcc")


def _under_each_tool(runner: Runner, programs: dict[str, list[str]], name: str) -> dict[str, tuple[Outcome, str]]:
    """All at once, since most of the time is the processor's: tool -> how it ended and what it logged."""
    logs = {tool: _new_log(f"{tool}-{name}.log") for tool in programs}
    with concurrent.futures.ThreadPoolExecutor(len(programs)) as pool:
        jobs = {
            tool: pool.submit(runner.run, sanitizer_command(tool, logs[tool], program), show=False)
            for tool, program in programs.items()
        }
        outcomes = {tool: job.result() for tool, job in jobs.items()}
    if runner.options.dry_run:
        return {}
    texts = {tool: log.read_text(errors="replace") if log.exists() else "" for tool, log in logs.items()}
    return {tool: (outcomes[tool], texts[tool]) for tool in programs}


def sanitizer_command(tool: str, log: Path, program: Sequence[str]) -> list[str]:
    options = ["--target-processes", "all", "--error-exitcode", str(ERROR_STATUS), "--print-limit", "50"]
    # A kernel may leave padding of what it was given unread and unwritten; leaks at the end are the driver's to free.
    options += {"racecheck": ["--racecheck-report", "all"], "memcheck": ["--padding", "64"]}.get(tool, [])
    return ["compute-sanitizer", "--tool", tool, *options, "--log-file", str(log), *program]


def _summaries(log: str) -> tuple[list[str], list[str]]:
    """What a tool says at its end, once a process; and those that say that nothing was found."""
    summaries = re.findall(r"^=+ ((?:ERROR|RACECHECK) SUMMARY: .*)$", log, re.MULTILINE)
    nothing = r"ERROR SUMMARY: 0 errors|RACECHECK SUMMARY: 0 hazards displayed \(0 errors, 0 warnings\) ?"
    return summaries, [summary for summary in summaries if re.fullmatch(nothing, summary)]


def reports(log: str, kernel: str) -> bool:
    """Whether a tool has found something wrong with this kernel."""
    summaries, no_errors = _summaries(log)
    return len(summaries) > len(no_errors) and kernel in log


def sanitizer_verdict(outcome: Outcome, log: str) -> dict[str, Any]:
    """is_clean only where the tool says so itself: a log without a summary is no good news."""
    summaries, no_errors = _summaries(log)
    program = [line for line in outcome.output.splitlines() if re.match(r"[1-9]\d* kernels of ", line)]
    is_clean = outcome.status == 0 and bool(summaries) and len(no_errors) == len(summaries) and bool(program)
    return {
        "command": outcome.command,
        "status": outcome.status,
        "seconds": round(outcome.seconds, 1),
        "summary": "; ".join(summaries) or f"no summary ({outcome.in_words})",
        "program": program[-1] if program else "the program did not come to its end",
        "is_clean": is_clean,
        "log": "" if is_clean else log[:20_000],
        "output": "" if is_clean else outcome.output[-4000:],
    }


def training(runner: Runner) -> Part:
    """The report's recipe, ours and PyTorch's; goes on with a file that is there."""
    file = "compare_cuda.json"
    return _measurement(runner, "compare", file, *(["--resume"] if (runner.options.out / file).exists() else []))


def ablations(runner: Runner) -> Part:
    return _measurement(runner, "ablate", "ablation_cuda.json")


def sweep(runner: Runner) -> Part:
    return _measurement(runner, "ablate", "sweep_cuda.json", "--sweep", seeds=2)


def combinations(runner: Runner) -> Part:
    return _measurement(runner, "ablate", "combinations_cuda.json", "--combinations", seeds=1, epochs=3)


def _measurement(
    runner: Runner, command: str, file: str, *more: str, seeds: int | None = None, epochs: int | None = None
) -> Part:
    """By `python -m mytensor COMMAND`. seeds, epochs: no more of them than so many."""
    options = runner.options
    words = [command, "--device", "cuda", "--data", _shown(str(options.data.resolve())), *more]
    words += ["--epochs", str(min(options.epochs, epochs or options.epochs))]
    words += ["--seeds", *map(str, options.seeds[:seeds]), "--json", str(options.out / file)]
    return _mytensor(Part(), runner, command, words, options.out / file)


def bench(runner: Runner) -> Part:
    """Every rung, then the training step, in one file each."""
    part, options = Part(), runner.options
    step = ["bench", "--device", "cuda", "--step", "--json", str(options.out / "step_cuda.json")]
    _mytensor(part, runner, "training step", step, options.out / "step_cuda.json", seconds=0.4 * options.limit)
    ladders = ["bench", "--device", "cuda", "--budget", f"{options.budget:g}"]
    ladders += ["--ops", *options.ops] if options.ops else []
    ladders += ["--json", str(options.out / "bench_cuda.json")]
    return _mytensor(part, runner, "ladders", ladders, options.out / "bench_cuda.json")


def _mytensor(
    part: Part, runner: Runner, name: str, words: Sequence[str], file: Path, seconds: float | None = None
) -> Part:
    """Runs one of mytensor's own commands, which writes its file as it goes: also what was cut short is kept."""
    outcome = runner.python("-m", "mytensor", *words, seconds=seconds)
    part.say(name, f"{outcome.in_words}, {outcome.seconds:.0f} s, {_shown(str(file))}", outcome.status == 0)
    part.facts[name] = _record(outcome)
    if outcome.status != 0:
        part.facts[name]["output"] = outcome.output[-6000:]
    if not runner.options.dry_run and not file.exists():
        part.say(name, f"{file.name} was not written", False)
    return part


def notebooks(runner: Runner) -> Part:
    """Executes them by scripts/notebooks.py, with Jupyter from wheels where this Python has none."""
    part, options = Part(), runner.options
    environment = {}
    if options.wheels is not None:
        site = ROOT / "build" / "gpu-site"
        wheels = sorted(map(str, options.wheels.glob("*.whl")))
        if not wheels and not options.dry_run:
            part.say("wheels", f"there are none in {options.wheels}", False)
            return part
        install = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--upgrade"]
        installed = runner.python(*install, "--target", str(site), *(wheels or [f"{options.wheels}/*.whl"]), show=False)
        part.say(
            "wheels", f"{len(wheels)} installed into {_shown(str(site))}, {installed.in_words}", installed.status == 0
        )
        if installed.status != 0:
            part.facts["wheels"] = _record(installed) | {"output": installed.output[-4000:]}
        # Behind the machine's own packages: torch and numpy stay what they are.
        environment["PYTHONPATH"] = os.pathsep.join([_python_path(), str(site)])
    if options.out != ROOT / "results" and not options.dry_run:  # where notebooks look for measurements
        for path in options.out.glob("*_cuda.json"):
            shutil.copy(path, ROOT / "results")
    for name in options.notebooks:
        if not (ROOT / "notebooks" / "src" / f"{name}.py").exists():
            part.say(name, "has no source yet")
            continue
        if options.data is not None:
            environment["MYTENSOR_DATA"] = str(options.data.resolve())
        outcome = runner.python("scripts/notebooks.py", "build", name, **environment)
        part.say(name, f"{outcome.in_words}, {outcome.seconds:.0f} s", outcome.status == 0)
        part.facts[name] = _record(outcome)
        if outcome.status != 0:
            part.facts[name]["output"] = outcome.output[-6000:]
        elif options.out != ROOT / "results" and not options.dry_run:
            shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", options.out)
    return part


PARTS: dict[str, Callable[[Runner], Part]] = {
    "build": build,
    "tests": tests,
    "sanitizer": sanitizer,
    "training": training,
    "ablations": ablations,
    "sweep": sweep,
    "combinations": combinations,
    "bench": bench,
    "notebooks": notebooks,
}

# ---------------------------------------------------------------------------------------------------------------------
# Records
# ---------------------------------------------------------------------------------------------------------------------


def _record(outcome: Outcome) -> dict[str, Any]:
    return {"command": outcome.command, "status": outcome.status, "seconds": round(outcome.seconds, 1)}


def circumstances(options: argparse.Namespace, command: str) -> dict[str, Any]:
    """What travels with every result; of a backend that says nothing, why."""
    found = _backend_facts()
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    record = found.get("record", {"created": now, "machine": {"cores": os.cpu_count()}})
    record["machine"]["cuda"] = found.get("cuda")
    return record | {"format": FORMAT, "command": command, "commit": options.commit or record.get("commit")}


def _backend_facts() -> dict[str, Any]:
    """Asked of a process of its own: this one must not hold an older backend, nor the GPU."""
    program = (
        "import json, mytensor_backend; from mytensor.lab.record import circumstances; "
        "print(json.dumps({'cuda': mytensor_backend.cuda_info(), 'record': circumstances('', 'cuda')}))"
    )
    environment = os.environ | {"PYTHONPATH": _python_path()}
    command = [sys.executable, "-c", program]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"cuda": {"problem": (done.stderr.strip().splitlines() or ["the backend said nothing"])[-1]}}
    except subprocess.TimeoutExpired:
        return {"cuda": {"problem": "the backend did not answer within a minute"}}


def note_commit(folder: Path, commit: str | None) -> None:
    """A copy of a checkout has no history to ask: results without a commit get the one that was named."""
    for path in folder.glob("*_cuda.json") if commit else ():
        record = files.from_json(path.read_bytes())
        if record.get("commit") is None:
            files.write_json(record | {"commit": commit}, path)


def run_part(name: str, options: argparse.Namespace) -> Part:
    print(f"\n=== {name}", flush=True)
    runner = Runner(options)
    try:
        part = PARTS[name](runner)
    except Exception as problem:  # the other parts still have their turn
        part = Part()
        part.say(name, f"{type(problem).__name__}: {problem}", False)
    seconds = time.monotonic() - runner.began
    part.say("time", f"{seconds:.0f} s")
    if not options.dry_run:
        command = shlex.join(["python", "scripts/gpu.py", name])
        record = circumstances(options, command) | {"seconds": round(seconds, 1), "is_good": part.is_good}
        record |= {"table": part.lines, **part.facts}
        files.write_json(record, options.out / f"gpu_{name}.json")
        note_commit(options.out, options.commit)
    return part


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "all"], metavar="PART", help="one or several, or all")
    parser.add_argument("--out", type=Path, default=ROOT / "results", metavar="DIR", help="(default results/)")
    parser.add_argument("--data", type=Path, default=ROOT / "data", metavar="DIR", help="CIFAR-10's (default data/)")
    parser.add_argument("--limit", type=float, default=570, metavar="S", help="seconds of each part (default 570)")
    parser.add_argument("--commit", metavar="HASH", help="what to record where the checkout has no history")
    parser.add_argument("--dry-run", action="store_true", help="print the commands, run nothing")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="of the training runs")
    parser.add_argument("--epochs", type=int, default=20, help="of the training runs (default 20)")
    parser.add_argument("--ops", nargs="+", metavar="OP", help="bench and sanitizer: only these")
    parser.add_argument(
        "--budget", type=float, default=0.2, metavar="S", help="bench: a kernel at a size (default 0.2)"
    )
    parser.add_argument("--test-files", nargs="+", default=[], metavar="FILE", help="tests: only these")
    parser.add_argument("--workers", type=int, metavar="N", help="tests: processes (default: half the cores)")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="notebooks: install these packages first")
    parser.add_argument("--notebooks", nargs="+", default=list(NOTEBOOKS), metavar="NAME", help="notebooks: which")
    options = parser.parse_args(arguments)
    options.out = options.out.resolve()
    chosen = list(PARTS) if "all" in options.parts else options.parts
    results = {name: run_part(name, options) for name in chosen}
    if options.dry_run:
        print("\nnothing was run")
        return 0
    print("\n" + "=" * 100)
    for name, part in results.items():
        print(f"{name}: {'good' if part.is_good else 'NOT GOOD'}")
        for what, value in part.lines:
            print(f"  {what:<28}{value}")
    return 0 if all(part.is_good for part in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
