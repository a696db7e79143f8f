"""Measuring: what the functions of mytensor.timing return, and what they say where other programs are at work."""

import os
import pathlib
import re
import subprocess
import sys
import time
import warnings

import mytensor_backend as backend
import pytest

from mytensor import timing

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_measure_returns_every_repeat_and_divides_by_the_inner_calls(monkeypatch):
    calls, clock = [], iter(range(0, 1000, 6))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
    seconds = timing.measure(lambda: calls.append(1), repeats=4, warmup=3, inner=2)
    assert seconds == [3.0] * 4 and len(calls) == 3 + 4 * 2


@pytest.mark.parametrize("device", ("cpu", "simt"))
def test_measured_time_is_the_calls(device):
    seconds = timing.measure(lambda: time.sleep(0.02), device=device, repeats=3, warmup=0)
    assert len(seconds) == 3 and all(0.02 <= second < 1.0 for second in seconds)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"repeats": 0}, "repeats is 0; wanted an int, at least 1"),
        ({"repeats": 2.0}, "repeats is 2.0; wanted an int, at least 1"),
        ({"warmup": -1}, "warmup is -1; wanted an int, at least 0"),
        ({"inner": True}, "inner is True; wanted an int, at least 1"),
        ({"device": "gpu"}, "device is 'gpu'; wanted one of 'cpu', 'cuda', 'simt'"),
    ],
)
def test_measure_refuses(wrong, told):
    calls = []
    with pytest.raises(ValueError, match=told):
        timing.measure(lambda: calls.append(1), **wrong)
    assert not calls


def test_a_stopwatch_stops():
    with timing.Stopwatch() as watch:
        time.sleep(0.02)
        inside = watch.seconds
    taken = watch.seconds
    time.sleep(0.02)
    assert 0.02 <= inside <= taken == watch.seconds < 1.0


def test_a_stopwatch_waits_for_the_device_at_both_ends(monkeypatch):
    waited = []
    monkeypatch.setattr(backend, "synchronize", waited.append)
    with timing.Stopwatch("simt"):
        assert waited == ["simt"]
    assert waited == ["simt", "simt"]


def test_a_stopwatch_lets_errors_through():
    with pytest.raises(KeyError), timing.Stopwatch() as watch:
        raise KeyError
    assert watch.seconds < 1.0


def with_a_stopwatch(call):
    with timing.Stopwatch():
        call()


MEASURING = {
    "measure": lambda call: timing.measure(call, repeats=1, warmup=0),
    "best_time": lambda call: timing.best_time(call, 0.01),
    "Stopwatch": with_a_stopwatch,
}


def test_no_way_of_measuring_is_left_out():
    public = {name for name, value in vars(timing).items() if getattr(value, "__module__", "") == timing.__name__}
    assert {name for name in public if not name.startswith("_")} - {"MachineIsBusy"} == set(MEASURING)


class Machine:
    """A machine with `cores` processors; between two looks at it, other programs use `others` of them, we `ours`."""

    def __init__(self, monkeypatch, folder, cores, others, ours=0.0, span=1.0):
        self.cores, self.others, self.ours, self.span, self.looks = cores, others, ours, span, 0
        self.file = folder / "stat"
        monkeypatch.setattr(timing, "_STAT", self)
        monkeypatch.setattr(timing.os, "cpu_count", lambda: cores)
        monkeypatch.setattr(timing.os, "sysconf", lambda name: 100)
        monkeypatch.setattr(timing.time, "monotonic", lambda: self.span * self.looks)
        monkeypatch.setattr(timing.time, "process_time", lambda: self.ours * self.span * self.looks)
        monkeypatch.setattr(timing, "_recent", type(timing._recent)(maxlen=64))

    def read_text(self) -> str:
        self.looks += 1
        busy = round(100 * (self.others + self.ours) * self.span * self.looks)
        part = busy // 6
        # user nice system idle iowait irq softirq steal guest guest_nice
        return f"cpu  {busy - 5 * part} {part} {part} 777 5 {part} {part} {part} 3 0\ncpu0 1 2 3\n"


def told(way) -> list[str]:
    """What a way of measuring warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MEASURING[way](lambda: None)
    assert {warning.category for warning in caught} <= {timing.MachineIsBusy}
    assert {pathlib.Path(warning.filename).name for warning in caught} <= {"test_timing.py"}  # the caller's line
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("way", MEASURING)
@pytest.mark.parametrize(
    ("cores", "threads", "others", "ours", "is_busy"),
    [
        (2, 2, 0.1, 0.0, False),  # a desktop at rest
        (2, 2, 1.0, 0.0, True),
        (2, 2, 1.0, 1.0, True),
        (2, 2, 0.0, 2.0, False),  # we ourselves
        (2, 1, 1.0, 1.0, False),  # one processor is left, and one is wanted
        (2, 1, 1.9, 0.0, True),
        (16, 2, 13.0, 2.0, False),
        (16, 16, 1.0, 8.0, True),
        (4, 64, 0.0, 4.0, False),  # more threads than processors are our own doing
    ],
)
def test_a_busy_machine_is_told(monkeypatch, tmp_path, way, cores, threads, others, ours, is_busy):
    monkeypatch.setattr(backend, "get_num_threads", lambda: threads)
    Machine(monkeypatch, tmp_path, cores, others, ours)
    wanted = (
        f"this machine is busy: times are not to be trusted (other programs used {others:.1f} of its {cores} "
        f"processors, and {min(threads, cores)} were wanted)"
    )
    assert told(way) == ([wanted] if is_busy else [])


def test_a_short_measurement_looks_further_back(monkeypatch, tmp_path):
    """Ticks are too coarse for 0.04 seconds: a look from before that is used, or the measuring function waits."""
    monkeypatch.setattr(backend, "get_num_threads", lambda: 2)
    machine = Machine(monkeypatch, tmp_path, 2, 1.0, span=0.04)
    slept = []
    monkeypatch.setattr(timing.time, "sleep", lambda seconds: (slept.append(seconds), machine.read_text()))
    assert told("measure") and len(slept) == 1 and 0 < slept[0] <= 0.1
    machine.looks += 1
    assert told("measure") and len(slept) == 1


@pytest.mark.parametrize("text", [None, "", "cpu 1 2 3", "cpu a b c d e f g h i"])
def test_where_the_system_does_not_count_nothing_is_said(monkeypatch, tmp_path, text):
    file = tmp_path / "stat"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(timing, "_STAT", file)
    for way in MEASURING:
        assert told(way) == []


@pytest.mark.parametrize(("wishes", "times"), [("", 3), ("ignore:this machine is busy", 0), ("once", 1)])
def test_it_is_told_each_time_unless_the_user_wishes_otherwise(wishes, times):
    program = """
import warnings
from mytensor.timing import MachineIsBusy
for _ in range(3):
    warnings.warn("this machine is busy: times ...", MachineIsBusy)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": wishes}
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert result.returncode == 0 and result.stderr.count("MachineIsBusy: this machine is busy") == times


CLOCKS = re.compile(r"perf_counter|time\.time\(|time\.monotonic|time_ns|timeit|process_time")


def test_nothing_else_reads_a_clock():
    """One way of measuring: no other module and no notebook has a clock of its own. Where the time of a step goes, the
    clock stands around each single operation."""
    sources = [*ROOT.glob("mytensor/**/*.py"), *ROOT.glob("notebooks/src/*.py")]
    reading = {path.relative_to(ROOT).as_posix() for path in sources if CLOCKS.search(path.read_text("utf-8"))}
    assert reading == {"mytensor/timing.py", "mytensor/lab/step_times.py"}
