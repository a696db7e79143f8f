"""Every module of the package is there after `import mytensor`, and that import stays small."""

import importlib.util
import json
import pkgutil
import subprocess
import sys

import pytest

import mytensor as mt
from mytensor.optional import PLACES

MODULES = [
    found.name
    for found in pkgutil.walk_packages(mt.__path__, "mytensor.")
    if not found.name.rpartition(".")[2].startswith("_")
]
OPTIONAL = {path.partition(".")[0] for path, _ in PLACES.values()}
# A function of the same name stands before these modules; both are public.
FUNCTIONS = {f"mytensor.{name}" for name in ("tensor", "kernels", "ops.matmul", "ops.softmax", "exercise.progress")}


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
    assert {"mytensor.data", "mytensor.training", "mytensor.inspect.tiles"} < set(MODULES)
    kinds = in_a_fresh_process(code)
    absent = {f"wants {package}" for package in OPTIONAL if importlib.util.find_spec(package) is None}
    for name in MODULES:
        assert kinds[name] in absent or kinds[name] == ("function" if name in FUNCTIONS else "module"), name


def test_the_import_stays_small():
    loaded = in_a_fresh_process("import json, sys, mytensor; print(json.dumps(sorted(sys.modules)))")
    for module in ("torch", "matplotlib", "ipywidgets", "IPython", "anywidget", "tqdm", "safetensors", "difflib"):
        assert module not in loaded, module
    eager = {"autograd", "creation", "cuda", "devices", "kernels", "models", "nn", "optim", "ops", "random", "simt"}
    others = {name.split(".")[1] for name in MODULES} - eager - {"tensor", "lr_scheduler", "arguments"}
    assert not [name for name in loaded if name.startswith("mytensor.") and name.split(".")[1] in others]


@pytest.mark.parametrize("name", ["compare", "bench", "inspect", "exercise", ""])
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
