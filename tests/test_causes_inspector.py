"""What notebook 11 looks into: the switches over recorded runs, the memory ledger, the operations under the clock."""

import pathlib

import mytensor_backend as backend
import numpy as np
import pytest

pytest.importorskip("anywidget")

from test_ablation import ABOUT, made_up

import mytensor as mt
from mytensor import compare
from mytensor.inspect.causes import CausesInspector, key_of
from mytensor.inspect.ledger import Entry, activation_shapes, ledger_table, memory_ledger
from mytensor.inspect.step_times import step_times
from mytensor.nn import functional as F

RESULTS = pathlib.Path(__file__).resolve().parent.parent / "results"


def recorded():
    runs = [made_up(("init", "scale"), 0.5), made_up(("init", "scale"), 0.54, seed=1), made_up(("scale",), 0.6)]
    return ABOUT | {"runs": [*runs, made_up((), 0.66, shown=(0.2, 2.3))]}


def test_the_switches_show_what_was_recorded():
    switches = CausesInspector(recorded())
    assert switches.names == ["init", "scale"] and switches.chosen == ["init", "scale"]
    assert set(switches.runs) == {"init+scale", "scale", ""}
    assert switches.runs["init+scale"]["accuracy"] == pytest.approx(0.52)
    assert switches.runs[""]["shown"] == [0.2, 2.3] and switches.runs[""]["spread"] is None
    assert "2 of 2 causes on" in repr(switches) and "52.00 ± 2.83 %" in repr(switches)
    switches.chosen = []
    assert "ours" in switches.sentence() and "66.00 %" in switches.sentence()
    switches.chosen = ["init"]
    assert switches.sentence().endswith("this set was not run.")
    data, _ = switches._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG") and data["text/plain"] == switches.sentence()
    assert key_of({"scale", "init"}) == "init+scale"


def test_losses_that_are_no_numbers_do_not_reach_the_browser():
    """NaN is not in JSON: the widget would stay empty."""
    run = made_up(("init",), 0.1, shown=(float("nan"), None))
    assert CausesInspector(ABOUT | {"runs": [run]}).runs["init"]["shown"] == [None, None]


@pytest.mark.parametrize(("device", "batch"), [("cpu", 64), ("cpu", 7), ("simt", 3)])
def test_the_ledger_agrees_with_the_allocator(device, batch):
    entries = memory_ledger(batch, device)
    assert [entry.name for entry in entries][:4] == ["parameters", "gradients", "velocities", "activations"]
    for entry in entries:
        assert entry.agrees, (entry.name, entry.counted, entry.measured)
    if device == "simt":  # there an array takes just its bytes
        assert [entry.counted for entry in entries] == [entry.measured for entry in entries]
    assert entries[0].counted == 4 * sum(int(np.prod(p.shape)) for p in mt.models.LeNet().parameters())


def test_a_forgotten_array_is_noticed():
    shapes = activation_shapes(64)
    measured = sum(int(np.prod(shape)) * size for _, shape, size in shapes)
    forgotten = Entry("activations", shapes[1:], measured)
    assert Entry("activations", shapes, measured).agrees and not forgotten.agrees
    assert f"says {measured:,}" in ledger_table([forgotten])
    assert not Entry("activations", shapes, measured // 2).agrees


def test_the_operations_under_the_clock():
    model, x, y = mt.models.LeNet(), mt.randn(2, 3, 32, 32), mt.tensor([1, 2])
    before = dict(vars(backend))
    times = step_times(lambda: F.cross_entropy(model(x), y).backward(), steps=3)
    assert dict(vars(backend)) == before, "the backend is as it was"
    assert len(times.calls["conv2d"]) == 2 * 3 and len(times.calls["linear"]) == 3 * 3
    *parts, rest = times.shares()
    assert [row[2] for row in parts] == sorted((row[2] for row in parts), reverse=True)
    assert rest[0] == "Python and the rest" and rest[2] > 0
    assert sum(row[2] for row in [*parts, rest]) == pytest.approx(np.mean(times.whole))

    with pytest.raises(ZeroDivisionError):
        step_times(lambda: 1 / 0)
    assert dict(vars(backend)) == before


def test_the_reports_table_takes_the_gpus_results_where_they_are(tmp_path):
    results = compare.load_results(RESULTS / "compare_cpu.json")
    assert compare.latest_file(tmp_path, "compare") is None
    with pytest.raises(FileNotFoundError, match="compare_cuda"):
        compare.latest_results(tmp_path)
    compare.save_results(results, tmp_path / "compare_cpu.json")
    assert compare.latest_results(tmp_path) == results
    on_gpu = results | {"machine": results["machine"] | {"gpu": "a GPU"}}
    compare.save_results(on_gpu, tmp_path / "compare_cuda.json")
    text = compare.report_table(compare.latest_results(tmp_path))
    assert "a GPU" in text and "54.07 %" in text and "327 s" in text
    first = next(line for line in text.splitlines() if line.startswith("ours"))
    finals = [run["ours"]["test_accuracy"][-1] for run in results["runs"]]
    assert f"{100 * np.mean(finals):.2f} %" in first
