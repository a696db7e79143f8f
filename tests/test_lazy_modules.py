"""Every module of the package is there after `import mytensor`, and that import stays small. Which floor uses which."""

import ast
import importlib
import importlib.util
import json
import pathlib
import pkgutil
import subprocess
import sys

import pytest

import mytensor as mt
from mytensor._lazy import SHORT_NAMES
from mytensor.optional import PLACES

MODULES = [
    found.name
    for found in pkgutil.walk_packages(mt.__path__, "mytensor.")
    if not found.name.rpartition(".")[2].startswith("_")
]
OPTIONAL = {path.partition(".")[0] for path, _ in PLACES.values()}
# A function of the same name stands before these modules; both are public.
FUNCTIONS = {f"mytensor.{name}" for name in ("gradcheck", "ops.matmul", "ops.softmax", "workbook.exercise.progress")}


def in_a_fresh_process(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_every_module_is_there(rng):
    """In an order that is drawn anew each time, so that now one and now the other is asked for first."""
    order = rng.permutation(MODULES).tolist()
    code = f"""
import json, types
import mytensor
kinds = {{}}
for name in {order}:
    try:
        found = mytensor
        for part in name.split(".")[1:]:
            found = getattr(found, part)
        kinds[name] = "module" if isinstance(found, types.ModuleType) else "function" if callable(found) else "other"
    except ModuleNotFoundError as error:
        kinds[name] = f"wants {{error.name}}"
    except Exception as error:
        kinds[name] = repr(error)
print(json.dumps(kinds))
"""
    assert {"mytensor.data", "mytensor.training", "mytensor.workbook.inspect.tiles"} < set(MODULES)
    kinds = in_a_fresh_process(code)
    absent = {f"wants {package}" for package in OPTIONAL if importlib.util.find_spec(package) is None}
    for name in MODULES:
        assert kinds[name] in absent or kinds[name] == ("function" if name in FUNCTIONS else "module"), name


def test_the_import_stays_small():
    loaded = in_a_fresh_process("import json, sys, mytensor; print(json.dumps(sorted(sys.modules)))")
    for module in ("torch", "matplotlib", "ipywidgets", "IPython", "anywidget", "tqdm", "safetensors", "difflib"):
        assert module not in loaded, module
    eager = {"autograd", "creation", "cuda", "devices", "ladders", "models", "nn", "optim", "ops", "random", "simt"}
    others = {name.split(".")[1] for name in MODULES} - eager - {"gradcheck", "arguments"}
    assert not [name for name in loaded if name.startswith("mytensor.") and name.split(".")[1] in others]


@pytest.mark.parametrize("name", ["lab", "workbook", "compare", "bench", "inspect", "exercise", ""])
def test_dir_and_near_names(name):
    package = getattr(mt, name) if name else mt
    listed = dir(package)
    assert {found.name for found in pkgutil.iter_modules(package.__path__) if found.name[0] != "_"} <= set(listed)
    assert set(getattr(package, "__all__", ())) <= set(listed)
    for known in listed:
        if known.startswith("_") or len(known) < 4:
            continue
        wrong = known[:-2] + known[-1] + known[-2] if known[-1] != known[-2] else known + "e"
        if wrong not in listed:
            with pytest.raises(AttributeError, match=f"has no attribute '{wrong}'; did you mean "):
                getattr(package, wrong)


@pytest.mark.parametrize("name", ["__wrapped__", "_private", "a.b", "", " ", "xyzzy", "data.batches", "__path"])
def test_what_is_not_there(name):
    with pytest.raises(AttributeError, match=f"module 'mytensor' has no attribute '{name}'"):
        getattr(mt, name)


def test_a_missing_package_is_named():
    code = """
import json, sys
sys.modules["tqdm"] = sys.modules["tqdm.auto"] = None  # as if it were not installed
import mytensor as mt
try:
    mt.training
except ImportError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
    kind, words = in_a_fresh_process(code)
    assert kind == "ImportError" and "mytensor.training needs the package tqdm" in words and "pip install tqdm" in words


# ---------------------------------------------------------------------------------------------------------------------
# Short names
# ---------------------------------------------------------------------------------------------------------------------

# Every name by which a module of lab/ or workbook/ can be asked for besides its own.
SHORT = [f"mytensor.inspect.{name}" for name in ("ledger", "step_times", "training")] + sorted(
    short + module.removeprefix(place)
    for short, place in SHORT_NAMES.items()
    for module in MODULES
    if module == place or module.startswith(f"{place}.")
)


@pytest.mark.parametrize("first", ["short", "own"])
def test_a_short_name_is_the_same_module(rng, first):
    """Whichever is imported first, in an order drawn anew; and as an attribute of `mytensor` too."""
    assert {"mytensor.check", "mytensor.inspect.im2col", "mytensor.compare.results", "mytensor.plots"} < set(SHORT)
    pairs = [(name, own_name(name)) for name in rng.permutation(SHORT).tolist()]
    code = f"""
import importlib, json, sys
import mytensor
wrong = []
for short, own in {pairs}:
    try:
        names = (short, own) if {first == "short"} else (own, short)
        one, other = [importlib.import_module(name) for name in names]
    except ImportError as error:
        if error.name not in {sorted(OPTIONAL)}:
            wrong.append([short, repr(error)])
        continue
    if not (one is other is sys.modules[short] is sys.modules[own] and one.__name__ == one.__spec__.name == own):
        wrong.append([short, repr(one), repr(other), one.__spec__.name])
    found = mytensor
    for part in short.split(".")[1:]:
        found = getattr(found, part)
    if found is not one and short not in {sorted(FUNCTIONS)} and own not in {sorted(FUNCTIONS)}:
        wrong.append([short, repr(found)])
print(json.dumps(wrong))
"""
    assert in_a_fresh_process(code) == []


def own_name(name):
    for short, place in [*SHORT_NAMES.items()] * 2:
        if name == short or name.startswith(f"{short}."):
            name = place + name[len(short) :]
    return name


def test_short_names_in_import_lines():
    code = """
import json, sys
from mytensor import check, exercise
import mytensor.inspect.im2col as a
from mytensor.compare.results import FORMAT
import mytensor.optim.lr_scheduler, mytensor.checkpoint, mytensor.workbook.inspect.im2col as b, mytensor as mt
from mytensor.inspect import step_times
assert a is b and check is mt.check is mt.workbook.check and mt.lab.step_times is step_times
print(json.dumps([callable(check), callable(exercise), FORMAT == mt.compare.results.FORMAT]))
"""
    assert in_a_fresh_process(code) == [True, True, True]


@pytest.mark.parametrize("name", ["mytensor.inspect.xyzzy", "mytensor.compare.results.xyzzy", "mytensor.inspector"])
def test_what_no_short_name_leads_to(name):
    with pytest.raises(ModuleNotFoundError, match=name.rpartition(".")[2]):
        importlib.import_module(name)


# ---------------------------------------------------------------------------------------------------------------------
# Floors
# ---------------------------------------------------------------------------------------------------------------------

FLOORS = ["framework", "lab", "workbook"]


def floor_of(module):
    for short, place in SHORT_NAMES.items():
        if module == short or module.startswith(f"{short}."):
            module = place
    part = f"{module}.".split(".")[1]
    return FLOORS.index(part) if part in FLOORS else 0


def modules_imported_in(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("mytensor."))
        elif isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "mytensor":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_floor_uses_one_above_it():
    """The framework uses neither lab nor workbook, the lab no workbook. __main__.py, which runs all, stands above;
    __init__.py names them for editors."""
    top = pathlib.Path(mt.__file__).parent
    upward = []
    for file in sorted(top.rglob("*.py")):
        path = file.relative_to(top)
        own = FLOORS.index(path.parts[0]) if path.parts[0] in FLOORS else 0
        for module in modules_imported_in(ast.parse(file.read_text(encoding="utf-8"))):
            if floor_of(module) > own and path.as_posix() not in ("__init__.py", "__main__.py"):
                upward.append((path.as_posix(), module))
    assert not upward
    assert floor_of("mytensor.check.op") == 2 and floor_of("mytensor.lab.plots") == 1 and floor_of("mytensor.nn") == 0
