"""Every command and option, as argparse lists them: what can't be done is said in a sentence before it is begun."""

import argparse
import ast
import copy
import dataclasses
import json
import pathlib
import subprocess
import sys

import mytensor_backend as backend
import numpy as np
import pytest

import mytensor as mt
from mytensor import __main__ as command_line
from mytensor import bench, compare, files, optional, training
from mytensor.__main__ import main
from mytensor.compare import ablation, results
from mytensor.compare import ablation_causes as causes
from mytensor.data import synthetic
from mytensor.training import Recipe, Trainer

PARSER = command_line._parser()
COMMANDS = next(
    action.choices for action in PARSER._actions if isinstance(action, argparse._SubParsersAction)
)  # fmt: skip
OPTIONS = [
    (command, action)
    for command, parser in COMMANDS.items()
    for action in parser._actions
    if action.nargs != 0 and action.option_strings
]
FLAGS = {"--help", "--debug"}
PACKAGE = pathlib.Path(mt.__file__).parent
SMALL = synthetic(40, seed=0), synthetic(20, seed=1)


class Begun(BaseException):
    """The work has begun: what was said on the command line was taken."""


@pytest.fixture
def nothing_begins(monkeypatch):
    """Data are small, and the first thing that would cost time raises Begun."""

    def begin(*arguments, **options):
        raise Begun

    monkeypatch.setattr(command_line, "synthetic", lambda n, seed: SMALL[seed])
    monkeypatch.setattr("mytensor.data.cifar10_files.download_cifar10", _no_download)
    monkeypatch.setattr(training.Trainer, "fit", begin)
    monkeypatch.setattr(training, "train_step", begin)
    monkeypatch.setattr(causes._Run, "train_epoch", begin)
    monkeypatch.setattr("mytensor.bench.contest.measured_ceilings", begin)
    monkeypatch.setattr("mytensor.compare.side_by_side._audit", begin)
    before = mt.get_num_threads()
    yield
    mt.set_num_threads(before)
    mt.use_kernel("conv2d", None)


def _no_download(*arguments):
    raise OSError("no network here")


def ran(arguments, capsys):
    """(status or "begun", the last line on stderr). No traceback, ever."""
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    except Begun:
        status = "begun"
    told = capsys.readouterr().err.strip()
    assert "Traceback" not in told
    return status, (told.splitlines() or [""])[-1]


def base(command):
    """The least that a command needs so as not to look for CIFAR-10."""
    return [
        command,
        *(["--synthetic"] if any("--synthetic" in a.option_strings for a in COMMANDS[command]._actions) else []),
    ]


# Which bad-looking numbers an option takes; all others refuse all of them.
NUMBERS = ["0", "-1", "nan", "inf", "-inf", "1e400", "x", "", "2.5e", "99999999999999999999999", "9" * 5000]
TAKES = {
    "--lr": {"0", "99999999999999999999999"},
    "--momentum": {"0", "99999999999999999999999"},
    "--weight-decay": {"0", "99999999999999999999999"},
    "--budget": {"99999999999999999999999"},
    "--seed": {"0"},
    "--seeds": {"0"},
    "--dataloader-epochs": {"0", "99999999999999999999999"},
    "--dataloader-workers": {"0"},
    "--epochs": {"99999999999999999999999"},
    "--batch-size": {"99999999999999999999999"},
    "--checkpoint-every": {"99999999999999999999999"},
}


def bad_values(command, action, folder):
    """(values on the command line, whether they may be taken) for an option, by its kind."""
    (folder / "a_file").write_text("x")
    (folder / "a_folder").mkdir(exist_ok=True)
    name = action.option_strings[-1]
    if action.choices is not None:
        return [(["x"], False), ([""], False)]
    if name == "--range":
        pairs = [("1", "0"), ("0", "0"), ("nan", "1"), ("0", "inf"), ("-inf", "0"), ("x", "1"), ("", "")]
        return [(list(pair), False) for pair in pairs] + [(["1"], False), ([], False), (["-1", "0"], True)]
    if name in ("--ops", "--sizes"):
        return [(["nothing"], False), (["relu", "nothing"], False), ([], False)]
    if name == "--kernel":
        return [([value], False) for value in ("x", "", "=", "conv2d=", "x=y", "conv2d=x", "conv2d", "=loops")]
    if name in ("--out", "--json"):
        wrong = ["a_file/x/y.json"] + (["a_file"] if name == "--out" else ["a_folder"])
        return [([str(folder / value)], False) for value in wrong]
    if name == "--data":
        return [([str(folder / value)], False) for value in ("nowhere", "a_file", "a_folder", "nowhere/at/all")]
    assert action.type is not None, f"{command} {name}: say here what its bad values are"
    repeated = [(["1", "1"], False), (["1", "-1"], False), (["0", "1"], True)] if action.nargs == "+" else []
    return [([value], value in TAKES.get(name, ())) for value in NUMBERS] + repeated


@pytest.mark.parametrize(
    ("command", "action"), OPTIONS, ids=[f"{command} {action.option_strings[-1]}" for command, action in OPTIONS]
)
def test_bad_values_of_each_option(command, action, nothing_begins, tmp_path, capsys):
    name = action.option_strings[-1]
    for values, may_be_taken in bad_values(command, action, tmp_path):
        arguments = base(command) if name != "--data" else [command]
        if command == "train" and name != "--out":
            arguments += ["--out", str(tmp_path / "out"), "--device", "cpu"]
        status, told = ran([*arguments, name, *values], capsys)
        if may_be_taken:
            assert status == "begun", (values, told)
        else:
            assert status in (1, 2), (values, status, told)
            assert told.count(" ") > 2 or command == "doctor", f"a sentence is wanted: {told!r}"
    assert not (tmp_path / "out" / "checkpoint.safetensors").exists()


def test_images_beyond_the_data(nothing_begins, tmp_path, capsys):
    for command in ("train", "ablate"):
        extra = ["--out", str(tmp_path), "--device", "cpu"] if command == "train" else []
        assert ran([command, "--synthetic", "--images", "41", *extra], capsys) == (
            1, "mytensor: subset(count=41): this data set has 40 images; ask for 1 to 40",
        )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--synthetic", "--resume", "--overwrite"],
        ["compare", "--synthetic", "--resume"],
        ["bench", "--step", "--ops", "relu"],
        ["train", "--synthetic", "--out", "OUT", "--resume"],
        ["compare", "--synthetic", "--resume", "--json", "OUT/none.json"],
        ["x"],
        [],
    ],
    ids=" ".join,
)
def test_what_does_not_go_together(arguments, nothing_begins, tmp_path, capsys):
    status, told = ran([word.replace("OUT", str(tmp_path)) for word in arguments], capsys)
    assert status in (1, 2) and told.count(" ") > 2


@pytest.mark.parametrize("command", [name for name, action in OPTIONS if "--json" in action.option_strings])
def test_a_results_file_is_one_runs(command, nothing_begins, tmp_path, capsys):
    file = tmp_path / "results.json"
    with files.claimed(file):
        status, told = ran([*base(command), "--json", str(file)], capsys)
        assert status == 1 and "results.json is being written by another run" in told
    assert ran([*base(command), "--json", str(file)], capsys)[0] == "begun"
    assert not list(tmp_path.iterdir())


DAMAGED = [b"", b"{", b"\xff", b"[]", b"NaN", b'{"format": "FORMAT"}', b'{"format": "FORMAT", "runs": 3}', b"[" * 10**5]


@pytest.mark.parametrize(("command", "found"), [("compare", results), ("ablate", ablation)])
def test_a_damaged_results_file_is_not_gone_on_with(command, found, nothing_begins, tmp_path, capsys):
    file = tmp_path / "results.json"
    for content in DAMAGED:
        file.write_bytes(content.replace(b"FORMAT", found.FORMAT.encode()))
        extra = ["--resume"] if command == "compare" else []
        status, told = ran([*base(command), "--json", str(file), *extra], capsys)
        assert status == 1 and "results.json" in told, (content, status, told)


def places_in(value, path=()):
    """The path to each value within dicts and lists; of long lists the first two."""
    yield path
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value[:2]):
            yield from places_in(part, (*path, key))


def _continue_comparison(held, fresh, monkeypatch):
    from mytensor.compare import side_by_side

    monkeypatch.setattr(side_by_side, "load_results", lambda path: held)
    results.table(side_by_side._resumed("results.json", fresh))


def _continue_ablation(held, fresh, monkeypatch):
    monkeypatch.setattr(ablation, "load_ablation", lambda path: held)
    runs = ablation._runs_of_the_same(held, fresh, "results.json")
    ablation.rows({**held, "runs": runs})
    assert len({ablation._key(run) for run in runs}) == len(runs)


@pytest.mark.parametrize(
    ("name", "go_on"), [("compare_cpu", _continue_comparison), ("ablation_cpu", _continue_ablation)]
)
def test_results_damaged_anywhere_are_gone_on_with_or_refused(name, go_on, monkeypatch):
    """Each entry of a real file in turn missing or of another kind: taken (where it says nothing) or a ValueError."""
    fresh = json.loads((compare.results_folder() / f"{name}.json").read_text(encoding="utf-8"))
    fresh["runs"] = fresh["runs"][:1]
    refused = 0
    for path in places_in(fresh):
        for value in (None, "x", -1, [], {}, [{}], "missing"):
            if not path:
                continue
            held = copy.deepcopy(fresh)
            holder = held
            for key in path[:-1]:
                holder = holder[key]
            if value == "missing":
                holder.pop(path[-1])
            else:
                holder[path[-1]] = value
            try:
                go_on(held, fresh, monkeypatch)
            except ValueError as error:
                assert type(error) is ValueError and "results.json" in str(error)
                refused += 1
    assert refused > 100


# Devices

WITH_DEVICE = [command for command, action in OPTIONS if "--device" in action.option_strings]
no_gpu = pytest.mark.skipif(bool(backend.cuda_info()["gpus"]), reason="there is a GPU")


@no_gpu
@pytest.mark.parametrize("command", WITH_DEVICE)
def test_a_device_that_is_not_there_is_said_before_anything_is_begun(command, nothing_begins, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")] if command == "train" else []
    for data in (base(command), [command]):
        status, told = ran([*data, "--device", "cuda", *out], capsys)
        assert status == 1 and told.startswith(f"mytensor: {command}: there is no GPU to "), told
    assert not (tmp_path / "out").exists()


@no_gpu
@pytest.mark.parametrize("run", [bench.run, compare.run, compare.ablate, compare.sweep], ids=lambda run: run.__name__)
def test_a_device_that_is_not_there_is_said_to_callers(run, nothing_begins):
    with pytest.raises(NotImplementedError, match="there is no GPU"):
        run(device="cuda")
    with pytest.raises(ValueError, match="device is 'gpu'"):
        run(device="gpu")


# Packages that not every installation has


def test_optional_packages_are_imported_in_one_way():
    """No module asks for one by itself: `optional` says in a sentence what to install."""
    known = {path.partition(".")[0] for path, _ in optional.PLACES.values()}
    wrong = []
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for_types = {id(node) for test in ast.walk(tree) if isinstance(test, ast.If) for node in ast.walk(test)}
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            if id(node) not in for_types and known & {name.partition(".")[0] for name in names}:
                wrong.append(f"{file.relative_to(PACKAGE)}:{node.lineno}")
    assert not wrong, "write `from mytensor.optional import ...`"


@pytest.mark.parametrize("name", optional.PLACES)
def test_a_missing_package_is_said_with_the_command_that_installs_it(name, monkeypatch):
    package = optional.PLACES[name][0].partition(".")[0]
    for loaded in [module for module in sys.modules if module.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf"needs {package}, which is not installed: pip install \w+"):
        getattr(optional, name)


BLOCKED = """
import importlib, pkgutil, sys
for package in sys.argv[1:]:
    sys.modules[package] = None
import mytensor
from mytensor.__main__ import _parser, main
for module in pkgutil.walk_packages(mytensor.__path__, "mytensor."):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        print(module.name, "|", error)
commands = next(action.choices for action in _parser()._actions if hasattr(action.choices, "keys"))
for command in commands:
    try:
        print(command, "|", main([command, "--device", "nowhere"]))
    except SystemExit:
        pass
for command in ("compare --synthetic", "bench --ops relu", "bench --step"):
    sys.stderr = sys.stdout
    print(command, "|", main(command.split()))
"""


def test_without_any_of_them_modules_and_commands_say_what_to_install(tmp_path):
    """All at once, in one process; what needs none of them imports."""
    packages = sorted({path.partition(".")[0] for path, _ in optional.PLACES.values()})
    run = subprocess.run(
        [sys.executable, "-c", BLOCKED, *packages], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert run.returncode == 0, run.stderr
    said = [line for line in run.stdout.splitlines() if line.startswith("mytensor.")]
    assert len(said) > 15 and all("which is not installed: pip install" in line for line in said), run.stdout
    free = {line.split()[0] for line in said}
    needing_none = {"training", "lab.compare.results", "workbook.inspect.source", "lab.plots"}
    assert not free & {f"mytensor.{module}" for module in needing_none}
    commands = [line for line in run.stdout.splitlines() if line.startswith("mytensor: ")]
    assert len(commands) == 3 and all("needs torch, which is not installed: pip install torch" in c for c in commands)


def test_without_matplotlib_the_train_command_says_that_no_curve_was_drawn(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command_line, "synthetic", lambda n, seed: SMALL[seed])
    for loaded in [module for module in sys.modules if module.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["train", "--synthetic", "--epochs", "1", "--device", "cpu", "--out", str(tmp_path)]) == 0
    assert "no curve was drawn: this needs matplotlib" in capsys.readouterr().err
    assert {file.name for file in tmp_path.iterdir()} == {"checkpoint.safetensors", "history.json"}


# The Python side of the same

WRONG_FIELDS = {
    "int": [0, -1, 2.0, 2.5, "3", None, True, float("nan"), [1], np.float64(3)],
    "float": [-1, -0.5, float("nan"), float("inf"), "0.1", None, True, [0.1], 10**400, 1j],
    "bool": [None, 1, "yes", 0.0],
    "tuple[int, ...]": [3, None, "10", [-1], [2.5], ["x"], [True]],
    "tuple[float, ...]": [3, None, "10", [0.5, float("nan")], ["x"], [0.5, 0.5, None]],
}
BUT_RIGHT = {("seed", 0)}


@pytest.mark.parametrize("field", dataclasses.fields(Recipe), ids=lambda field: field.name)
def test_a_recipe_is_checked_where_it_is_declared(field):
    for value in WRONG_FIELDS[field.type]:
        if (field.name, value if np.isscalar(value) else None) in BUT_RIGHT:
            continue
        with pytest.raises((TypeError, ValueError), match=r"must be|want one|several numbers"):
            Recipe(**{field.name: value})


def test_a_recipe_of_numpys_numbers_is_one_of_pythons():
    ours = Recipe(
        epochs=np.int64(3), batch_size=np.uint8(8), lr=np.float32(0.5), milestones=np.array([5, 2]),
        seed=np.uint64(2**64 - 1), augment=np.bool_(True), mean=np.array([0.5] * 3, np.float32),
        std=[1, 1, np.float64(1)], momentum=0, gamma=1,
    )  # fmt: skip
    assert ours == Recipe(3, 8, 0.5, 0.0, 0.0, (2, 5), 1.0, 2**64 - 1, True, (0.5,) * 3, (1.0,) * 3)
    for field in dataclasses.fields(Recipe):
        value = getattr(ours, field.name)
        for one in value if isinstance(value, tuple) else [value]:
            assert type(one) in (int, float, bool)
    assert [ours.lr_at(epoch) for epoch in (1, 2, 5)] == [0.5, 0.5, 0.5]
    assert Recipe(milestones=[]).lr_at(99) == 0.01


@pytest.mark.parametrize("every", [0, -3, 2.5, None, "x", True])
def test_checkpoint_every_is_checked(every):
    with pytest.raises((TypeError, ValueError), match="checkpoint_every must be"):
        Trainer(mt.models.LeNet(), *SMALL, checkpoint_every=every)


def test_a_trainer_without_images_says_so():
    none = dataclasses.replace(SMALL[0], images=SMALL[0].images[:0], labels=SMALL[0].labels[:0])
    for sets in ((none, SMALL[1]), (SMALL[0], none)):
        with pytest.raises(ValueError, match="holds no image"):
            Trainer(mt.models.LeNet(), *sets)


@pytest.mark.parametrize("run", [compare.run, compare.ablate, compare.sweep], ids=lambda run: run.__name__)
@pytest.mark.parametrize(
    "wrong",
    [
        {"seeds": []},
        {"seeds": [1, 1]},
        {"seeds": [-1]},
        {"seeds": [0.5]},
        {"epochs": 0},
        {"epochs": "x"},
        {"seeds": ["0"]},
    ],
    ids=str,
)
def test_measurements_are_checked_before_they_are_begun(run, wrong, nothing_begins):
    with pytest.raises((TypeError, ValueError), match=r"seed|epochs"):
        run(SMALL, **wrong)


@pytest.mark.parametrize(
    "wrong", [{"dataloader_epochs": -1}, {"dataloader_workers": -1}, {"threads": 0}, {"trajectory_steps": 0}], ids=str
)
def test_a_comparison_is_checked_before_it_is_begun(wrong, nothing_begins):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be at least"):
        compare.run(SMALL, **wrong)


def test_an_ablation_is_checked_before_it_is_begun(nothing_begins):
    with pytest.raises(ValueError, match="no cause weather"):
        compare.ablate(SMALL, causes=("init", "weather"))
    for low, high in ((float("-inf"), 0), (0, float("inf")), (float("nan"), 1), (1, 0)):
        with pytest.raises(ValueError, match="uniform draw"):
            compare.Assumptions(low, high)


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf")])
def test_a_measurement_has_a_budget(budget, nothing_begins):
    with pytest.raises(ValueError, match="budget must be"):
        bench.run(budget=budget, ops=["relu"])
