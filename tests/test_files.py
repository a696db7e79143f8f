"""Files that runs leave: whole or not there, one run's at a time, JSON that is JSON; and damaged checkpoints."""

import copy
import errno
import json
import math
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from safetensors.numpy import save

import mytensor as mt
from mytensor import checkpoint, files, training
from mytensor.__main__ import main
from mytensor.bench import measurements as bench_results
from mytensor.checkpoint import FORMAT, read_checkpoint, write_checkpoint
from mytensor.compare import ablation
from mytensor.compare import results as compare_results
from mytensor.data import synthetic
from mytensor.training import Recipe, Trainer, read_run

TRAIN, TEST = synthetic(40, seed=0), synthetic(20, seed=1)


class Tiny(mt.nn.Module):
    """As little as can be trained, so that its file is small."""

    def __init__(self):
        super().__init__()
        self.conv = mt.nn.Conv2d(3, 2, 3, stride=8)
        self.fc = mt.nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(mt.relu(self.conv(x)).reshape((len(x), -1)))


def trainer(path=None, epochs=2, **options):
    mt.manual_seed(0)
    return Trainer(Tiny(), TRAIN, TEST, Recipe(epochs=epochs, batch_size=16, milestones=(1,)), path, **options)


@pytest.fixture
def saved(tmp_path):
    """A run in the middle of its second epoch, and its file."""
    path = tmp_path / "checkpoint.safetensors"
    trainer(path, epochs=1).fit(progress=False)
    run = trainer(path, checkpoint_every=2)
    run.resume()
    step = run.train_step

    def stop_at_three(*batch):
        if run.epoch == 1 and run.step == 2:
            raise MemoryError
        return step(*batch)

    run.train_step = stop_at_three
    with pytest.raises(MemoryError):
        run.fit(progress=False)
    assert read_run(path)[1]["step"] == 2
    return path


def everything(run):
    """All that a run is: what a refused checkpoint must leave as it was."""
    weights = {name: value.numpy().tobytes() for name, value in run.model.state_dict().items()}
    velocities = [run.optimizer.state[p]["momentum_buffer"].numpy().tobytes() for p in run.optimizer.state]
    groups = [{k: v for k, v in group.items() if k != "params"} for group in run.optimizer.param_groups]
    place = (run.epoch, run.step, run._seconds, run._running.state(), copy.deepcopy(run.history))
    return repr((weights, velocities, groups, place))


def assert_refused(path, run, before, what):
    """The checkpoint is refused by a ValueError of ours, and the run is as before."""
    with pytest.raises(ValueError, match=re.escape(path.name)) as refused:
        run.resume()
    assert type(refused.value) is ValueError, f"{what}: {type(refused.value).__name__}"
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 1000, what
    assert everything(run) == before, f"{what}: the run has changed"


# A damaged file


def test_every_flipped_bit_is_seen(saved):
    """Each byte of the header and the numbers, one of its bits by chance; and whole pieces of zeros."""
    run, good = trainer(saved), saved.read_bytes()
    before = everything(run)
    accepted = []
    with open(saved, "r+b", buffering=0) as file:
        for place in range(len(good)):
            os.pwrite(file.fileno(), bytes([good[place] ^ 1 << random.randrange(8)]), place)
            try:
                read_checkpoint(saved)
                accepted.append(place)
            except Exception as error:
                assert type(error) is ValueError and saved.name in str(error)
            os.pwrite(file.fileno(), good[place : place + 1], place)
    assert not accepted
    for damage in (
        good[: len(good) // 2],
        good[:-1],
        good + b"\0",
        good[:1000] + bytes(4096) + good[5096:],
        bytes(len(good)),
        b"",
        good[8:],
        good[::-1],
    ):
        saved.write_bytes(damage)
        assert_refused(saved, run, before, "a piece is missing")
    saved.write_bytes(good)
    run.resume()
    assert (run.epoch, run.step) == (1, 2)


def test_a_checkpoint_without_a_checksum_is_refused(tmp_path):
    path = tmp_path / "old.safetensors"
    for old in ("mytensor checkpoint 1", "mytensor checkpoint 3"):
        path.write_bytes(save({}, metadata={"format": old, "state": "{}"}))
        with pytest.raises(ValueError, match=f"{old}, of another version"):
            read_checkpoint(path)
    path.write_bytes(save({}, metadata={"format": FORMAT, "state": "{}"}))
    with pytest.raises(ValueError, match="checksum"):
        read_checkpoint(path)


def header_of(content):
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(text, data):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text)) + text + data


def wrong_headers(content):
    """Headers that are no header, with and without the right length before them."""
    header, data = header_of(content)
    text, meta = json.dumps(header), header["__metadata__"]
    tensors = {name: value for name, value in header.items() if name != "__metadata__"}
    first, *_ = tensors
    yield from (
        with_header(wrong, data) for wrong in (b"", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"nul", b"1e999")
    )
    yield from (
        with_header(wrong, data) for wrong in ("[]", "{}", '"x"', "null", text + "x", text[:-1], "NaN", "9" * 5000)
    )
    for value in (
        None,
        3,
        [],
        "x",
        {},
        {"format": None},
        meta | {"state": 3},
        meta | {"checksum": 7},
        meta | {"format": []},
    ):
        yield with_header(json.dumps(header | {"__metadata__": value}), data)
    for key in meta:
        yield with_header(json.dumps(header | {"__metadata__": {k: v for k, v in meta.items() if k != key}}), data)
    for change in (
        {"dtype": "F16"}, {"dtype": "BF16"}, {"dtype": "X"}, {"dtype": 3}, {"shape": [-1]}, {"shape": "x"},
        {"shape": [2**62, 9]}, {"data_offsets": [0, 10**9]}, {"data_offsets": [8, 0]}, {"data_offsets": None},
        {"shape": None},
    ):  # fmt: skip
        yield with_header(json.dumps(header | {first: header[first] | change}), data)
    yield with_header(text.replace("{", '{"' + first + '": {"dtype":"F32","shape":[],"data_offsets":[0,4]},', 1), data)
    for length in (0, 1, 2**31, 2**63, 2**64 - 1):
        yield struct.pack("<Q", length) + content[8:]


def test_a_damaged_header_is_refused(saved):
    run, content, count = trainer(saved), saved.read_bytes(), 0
    before = everything(run)
    for damaged in wrong_headers(content):
        for sealed in (damaged, with_a_checksum(damaged)):  # also one that somebody has made fit
            saved.write_bytes(sealed)
            assert_refused(saved, run, before, sealed[:300])
            count += 1
    assert count > 80


def with_a_checksum(content):
    from mytensor.checkpoint import _checksum

    digest, start, end = _checksum(content)
    return content[:start] + digest + content[end:] if start else content


def places_in(value, path=()):
    """The path to each value within dicts and lists."""
    yield path
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(part, (*path, key))


WRONG_VALUES = [None, "three", -3, 2.5, math.nan, math.inf, 1e300, 0, 10**400, [], [1], {}, {"x": 1}, True]


def wrong_states(state):
    """(what was done, the state): at each place in turn something of another kind, nothing, or another name."""
    for path in places_in(state):
        for value in [*WRONG_VALUES, "missing", "renamed"]:
            whole = {"state": copy.deepcopy(state)}
            holder = whole
            for key in ("state", *path)[:-1]:
                holder = holder[key]
            last = path[-1] if path else "state"
            if value not in ("missing", "renamed"):
                holder[last] = value
            elif not path:
                continue
            else:
                old = holder.pop(last)
                if value == "renamed" and isinstance(holder, dict):
                    holder[f"{last}_"] = old
            yield f"{path}: {value!r:.30}", whole["state"]


@pytest.mark.filterwarnings("ignore")  # of other kernels
def test_a_state_that_no_run_has_is_refused(saved, monkeypatch):
    """Every entry missing, renamed or of another kind. What is taken up (another time, NaN in a loss) trains on."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    tensors, state = read_checkpoint(saved)
    run, refused, taken = trainer(saved), 0, []
    before = everything(run)
    for what, damaged in wrong_states(state):
        write_checkpoint(saved, tensors, damaged)
        try:
            run.resume()
        except ValueError:
            assert_refused(saved, run, before, what)
            refused += 1
            continue
        taken.append(what)
        run.fit(progress=False)
        run = trainer(saved)
    assert refused > 400, taken
    assert all(re.match(r"\('(history|running|seconds|source|model|kernels|recipe)'", what) for what in taken), taken


def test_tensors_that_no_run_has_are_refused(saved):
    tensors, state = read_checkpoint(saved)
    run = trainer(saved)
    before = everything(run)
    some = tensors["model.fc.weight"]
    for name in tensors:
        for wrong in (
            None,
            some[:1],
            tensors[name].astype(np.int64),
            tensors[name].astype(np.float64),
            np.zeros((0,), np.float32),
        ):
            damaged = {**tensors, name: wrong}
            if wrong is None:
                if name.startswith("velocity."):
                    continue  # a parameter that never had a gradient has none
                del damaged[name]
            write_checkpoint(saved, damaged, state)
            assert_refused(saved, run, before, (name, wrong is None or wrong.dtype))
    for name in ("x", "model.", "model.x", "velocity.x", "velocity.fc", ".model.fc.weight", "model"):
        write_checkpoint(saved, {**tensors, name: some}, state)
        assert_refused(saved, run, before, name)


def test_nan_in_weights_is_what_the_run_had(saved):
    tensors, state = read_checkpoint(saved)
    tensors["model.fc.weight"] = np.full_like(tensors["model.fc.weight"], np.nan)
    write_checkpoint(saved, tensors, state)
    run = trainer(saved)
    run.resume()
    assert np.isnan(run.model.fc.weight.detach().numpy()).all()


# JSON


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_json_and_comes_back(value, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    run = trainer(path)
    run.fit(progress=False)
    run.history[0]["train_loss"] = value
    run.save()
    header, _ = header_of(path.read_bytes())
    json.loads(header["__metadata__"]["state"], parse_constant=pytest.fail)
    other = trainer(path)
    other.resume()
    assert repr(other.history) == repr(run.history)
    compare_results.write_json({"format": "x", "loss": [value]}, tmp_path / "a.json")
    json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert repr(compare_results.read_json(tmp_path / "a.json", "x", "y")["loss"]) == repr([value])


@pytest.mark.parametrize("text", ["NaN", '{"a": Infinity}', '{"a": 1, "a": 2}', "[" * 10**5, b"\xff", "", "9" * 5000])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):
        files.from_json(text)


READERS = {
    "compare": compare_results.load_results,
    "ablate": ablation.load_ablation,
    "bench": bench_results.load_results,
}


@pytest.mark.parametrize("read", READERS.values(), ids=list(READERS))
def test_results_that_are_none_are_said(read, tmp_path):
    path = tmp_path / "results.json"
    for content in (b"", b"{", b"[]", b"\xff", b"NaN", b"[" * 10**5, b'{"format": 3}', b'{"format": {}}', b"null"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"results\.json") as error:
            read(path)
        assert type(error.value) is ValueError


# Disks and folders


@pytest.fixture
def small_disk(monkeypatch):
    """A disk that is full after so many bytes of a file."""

    def limit(size):
        real_open = open

        def full_open(name, mode="r", *arguments, **options):
            file = real_open(name, mode, *arguments, **options)
            if "x" in mode:
                write = file.write

                class Full:
                    def __getattr__(self, name):
                        return getattr(file, name)

                    def __enter__(self):
                        return self

                    def __exit__(self, *problem):
                        file.close()

                    def write(self, content):
                        write(content[:size])
                        if len(content) > size:
                            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

                return Full()
            return file

        monkeypatch.setattr(files, "open", full_open, raising=False)
        return lambda: monkeypatch.delattr(files, "open")

    return limit


def test_a_full_disk_is_said_and_leaves_the_old_file_alone(small_disk, tmp_path):
    """Whatever file it is: checkpoint, history, curve, results."""
    path = tmp_path / "deep" / "a file [1].json"
    writers = (
        lambda content: files.write_whole(path, content.encode()),
        lambda content: compare_results.write_json({"format": content}, path),
        lambda content: write_checkpoint(path, {"x": np.zeros(99)}, {"x": content}),
    )
    for write in writers:
        write("old")
        old, lift = path.read_bytes(), small_disk(20)
        with pytest.raises(OSError, match=r"a file \[1\]\.json can't be written: No space left") as full:
            write("new" * 1000)
        assert full.value.errno == errno.ENOSPC
        assert path.read_bytes() == old and [file.name for file in path.parent.iterdir()] == [path.name]
        lift()


def test_each_file_of_the_train_command_on_a_full_disk(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("mytensor.__main__.synthetic", lambda n, seed: TEST)
    command = ["train", "--synthetic", "--epochs", "1", "--device", "cpu", "--out"]
    for name in ("checkpoint.safetensors", "history.json", "curve.png"):
        with monkeypatch.context() as patch:
            replace = os.replace

            def full(source, target, name=name, replace=replace):
                if pathlib.Path(target).name == name:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                replace(source, target)

            patch.setattr(os, "replace", full)
            assert main([*command, str(tmp_path / name)]) == 1
        assert f"{name} can't be written: No space left" in capsys.readouterr().err
        left = {file.name for file in (tmp_path / name).glob("*")} | {file.name for file in tmp_path.rglob(".*")}
        assert name not in left and not any(file.startswith(".") for file in left), left
        assert main([*command, str(tmp_path / name), *(["--resume"] if name != "checkpoint.safetensors" else [])]) == 0


@pytest.mark.parametrize("place", ["a_file/run/x.safetensors", "a_file/x.safetensors", "a_folder"])
def test_a_file_that_cannot_be_written_is_said_before_the_first_step(place, tmp_path):
    (tmp_path / "a_file").touch()
    (tmp_path / "a_folder").mkdir()
    run = trainer(tmp_path / place)
    run.train_step = pytest.fail
    with pytest.raises(OSError, match=re.escape(place)):
        run.fit(progress=False)


# Two runs


def test_the_second_run_in_a_folder_is_refused_and_nothing_is_left_behind(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    first, second = trainer(path), trainer(path)
    told = []

    def another(run):
        with pytest.raises(BlockingIOError, match=r"checkpoint\.safetensors is being written by another run"):
            second.fit(progress=False)
        told.append(run.epoch)

    first.fit(progress=False, on_epoch=another)
    assert told == [1, 2]
    second.fit(progress=False)  # and now it is free
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_many_threads_write_whole_files(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, {"w": np.full(5000, 0.0)}, {"n": 0})
    problems = []

    def work(number):
        try:
            for _ in range(10):
                write_checkpoint(path, {"w": np.full(5000, float(number))}, {"n": number})
                tensors, state = read_checkpoint(path)
                assert (tensors["w"] == state["n"]).all()
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_claim_is_one_runs(tmp_path):
    """Threads that claim, find nobody else inside, and remove the lock as they leave."""
    path, inside, problems, served = tmp_path / "x", [], [], []

    def work():
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            try:
                with files.claimed(path):
                    inside.append(1)
                    time.sleep(random.random() * 1e-4)
                    if inside.pop() != 1 or inside:
                        problems.append("two at once")
                    served.append(1)
            except BlockingIOError:
                time.sleep(random.random() * 1e-4)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(served) > 20 and not problems
    assert not list(tmp_path.iterdir()), "no lock is left"
    with pytest.raises(ValueError, match="planted"), files.claimed(tmp_path / "new" / "x"):
        raise ValueError("planted")
    assert not list(tmp_path.iterdir()), "no empty folder is left"


def test_what_is_no_ordinary_file_is_refused_and_a_link_is_followed(tmp_path):
    for device in ("/dev/null", "/dev/full"):
        with pytest.raises(OSError, match="a folder or a device"), files.claimed(device):
            pass
    (tmp_path / "far").mkdir()
    link, target = tmp_path / "link", tmp_path / "far" / "x"
    link.symlink_to(target)
    with files.claimed(link):
        files.write_whole(link, b"1")
        with pytest.raises(BlockingIOError), files.claimed(target):
            pass
    assert link.is_symlink() and target.read_bytes() == b"1"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OSError, match="loop"):
        files.write_whole(tmp_path / "loop" / "x", b"1")


@pytest.mark.parametrize(
    "array",
    [np.arange(12.0).reshape(3, 4).T, np.arange(12)[::-3], np.arange(3, dtype=">f4"), np.float64(3), np.zeros((0, 4)),
     np.array([True, False]), np.zeros(2, np.float16)],
    ids=["columns", "backwards", "big-endian", "0-d", "empty", "bool", "float16"],
)  # fmt: skip
def test_arrays_of_any_layout_come_back(array, tmp_path):
    evil = f'"checksum":"{"0" * 64}"'
    write_checkpoint(tmp_path / "x", {evil: array, "y": np.frombuffer(evil.encode(), np.uint8)}, {evil: [evil]})
    tensors, state = read_checkpoint(tmp_path / "x")
    assert state == {evil: [evil]}
    np.testing.assert_array_equal(tensors[evil], array, strict=False)
    assert tensors[evil].shape == array.shape


WRITER = """
import sys, numpy as np
from mytensor.checkpoint import write_checkpoint
from mytensor.files import claimed
with claimed(sys.argv[1]):
    print("claimed", flush=True)
    number = 0
    while True:
        number += 1
        write_checkpoint(sys.argv[1], {"w": np.full(100_000, float(number))}, {"n": number})
        if number == 1:
            print("written", flush=True)
"""


def writer(path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(pathlib.Path(mt.__file__).parents[1]), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert [process.stdout.readline() for _ in range(2)] == ["claimed\n", "written\n"]
    return process


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_killed_while_it_writes_leaves_a_whole_file_and_no_claim(sign, tmp_path, rng):
    path = tmp_path / "checkpoint.safetensors"
    for _ in range(3):
        process = writer(path)
        with pytest.raises(BlockingIOError, match="another run"), files.claimed(path):
            pass
        time.sleep(rng.uniform(0, 0.03))
        process.send_signal(sign)
        process.wait()
        process.stdout.close()
        tensors, state = read_checkpoint(path)
        assert (tensors["w"] == state["n"]).all()
        with files.claimed(path):
            assert sorted(file.name for file in tmp_path.iterdir()) == [f".{path.name}.lock", path.name]
        assert [file.name for file in tmp_path.iterdir()] == [path.name], "what it left half written is gone"


def test_the_train_command_started_twice_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("mytensor.__main__.synthetic", lambda n, seed: pytest.fail("it has begun"))
    for extra in ([], ["--resume"], ["--overwrite"]):
        with files.claimed(tmp_path / "history.json"):
            assert main(["train", "--synthetic", "--out", str(tmp_path), *extra]) == 1
        assert "is being written by another run" in capsys.readouterr().err


# Interrupted and resumed


def test_a_model_that_fails_to_be_measured_can_go_on(tmp_path, monkeypatch):
    """An error between an epoch's last step and its row; then fit() again, here or from the file."""
    whole = trainer()
    whole.fit(progress=False)
    path = tmp_path / "checkpoint.safetensors"
    run = trainer(path, checkpoint_every=1)
    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", lambda *arguments: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(MemoryError):
            run.fit(progress=False)
    other = trainer(path)
    other.resume()
    assert (other.epoch, other.step) == (0, 3)
    for one in (run, other):
        one.fit(progress=False)
        for mine, others in zip(one.model.parameters(), whole.model.parameters(), strict=True):
            np.testing.assert_array_equal(mine.detach().numpy(), others.detach().numpy())
        assert [row["train_loss"] for row in one.history] == [row["train_loss"] for row in whole.history]


@pytest.mark.parametrize("where", ["evaluate", "write_checkpoint"])
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
def test_ctrl_c_anywhere_leaves_a_checkpoint_to_go_on_from(where, twice, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    whole = trainer()
    whole.fit(progress=False)
    run, original, calls = trainer(path), getattr(training, where), []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 1:
            for _ in range(1 + twice):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
        return original(*arguments)

    monkeypatch.setattr(training, where, interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.fit(progress=False)
    modes = {part.training for part in run.model.modules()}
    assert len(modes) == 1, "all parts are in one mode"
    assert mt.is_grad_enabled()
    other = trainer(path)
    if path.exists():
        other.resume()
    assert path.exists() == (not twice)
    other.fit(progress=False)
    for mine, others in zip(other.model.parameters(), whole.model.parameters(), strict=True):
        np.testing.assert_array_equal(mine.detach().numpy(), others.detach().numpy())


def test_an_interrupt_on_any_line_leaves_a_file_to_go_on_from(tmp_path, rng):
    """As a second Ctrl-C does, at once: on lines by chance of the modules that train and write."""
    path = tmp_path / "checkpoint.safetensors"
    watched = {module.__file__ for module in (training, files, checkpoint)}
    lines = [0, 0]  # seen, and when to stop

    def trace(frame, event, argument):
        if frame.f_code.co_filename not in watched:
            return None
        if event == "line":
            lines[0] += 1
            if lines[0] == lines[1]:
                raise KeyboardInterrupt
        return trace

    def traced(run):
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            run.fit(progress=False)
        finally:
            sys.settrace(before)

    whole = trainer(path, checkpoint_every=1)
    traced(whole)
    total = lines[0]
    for stop in sorted(rng.choice(total, 15, replace=False) + 1):
        path.unlink(missing_ok=True)
        lines[:] = 0, stop
        with pytest.raises(KeyboardInterrupt):
            traced(trainer(path, checkpoint_every=1))
        run = trainer(path)
        if path.exists():
            run.resume()
        run.fit(progress=False)
        assert [row["epoch"] for row in run.history] == [1, 2]
        for mine, others in zip(run.model.parameters(), whole.model.parameters(), strict=True):
            np.testing.assert_array_equal(mine.detach().numpy(), others.detach().numpy())


def test_the_train_command_after_every_kind_of_end(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("mytensor.__main__.synthetic", lambda n, seed: TEST)
    command = ["train", "--synthetic", "--device", "cpu", "--out", str(tmp_path)]
    assert main([*command, "--epochs", "2"]) == 0
    first = json.loads((tmp_path / "history.json").read_text())
    # A crash between the checkpoint and the history: the finished run is resumed and writes it.
    for name in ("history.json", "curve.png"):
        (tmp_path / name).unlink()
    capsys.readouterr()
    assert main([*command, "--resume"]) == 0
    assert "all 2 epochs done" in capsys.readouterr().out
    assert json.loads((tmp_path / "history.json").read_text())["history"] == first["history"]
    assert {file.name for file in tmp_path.iterdir()} == {"checkpoint.safetensors", "history.json", "curve.png"}
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    assert main([*command, "--resume", "--epochs", "1"]) == 1
    assert "has done 2 epochs already, more than --epochs 1" in capsys.readouterr().err
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert main([*command, "--resume", "--epochs", "3"]) == 0
    assert len(json.loads((tmp_path / "history.json").read_text())["history"]) == 3
    (tmp_path / "checkpoint.safetensors").unlink()
    assert main([*command, "--resume"]) == 1
    assert "there is no checkpoint" in capsys.readouterr().err


def test_a_run_that_leaves_the_numbers_writes_json(monkeypatch, tmp_path):
    monkeypatch.setattr("mytensor.__main__.synthetic", lambda n, seed: TEST)
    command = ["train", "--synthetic", "--device", "cpu", "--epochs", "2", "--lr", "1e30", "--out", str(tmp_path)]
    assert main(command) == 0
    history = json.loads((tmp_path / "history.json").read_text(), parse_constant=pytest.fail)["history"]
    assert history[-1]["test_loss"] in ("NaN", "Infinity")
    assert main([*command[:-4], "--out", str(tmp_path), "--resume"]) in (0, 1)
