"""`python -m mytensor bench`: nothing wrong is timed, and the table says what was measured."""

import dataclasses
import json

import mytensor_backend as backend
import numpy as np
import pytest

import mytensor as mt
from mytensor import bench
from mytensor.__main__ import main

torch = pytest.importorskip("torch")
from mytensor.bench import cases as cases_module  # noqa: E402
from mytensor.bench import clock, contest, step  # noqa: E402
from mytensor.bench.cases import CASES  # noqa: E402
from mytensor.compare import fastest  # noqa: E402
from mytensor.compare.fastest import Mode  # noqa: E402

SMALL = [
    cases_module.matmul_case("small", 37, 65, 41, (True, False)),
    cases_module.matmul_case("small", 37, 65, 41, (False, True)),
    *cases_module.conv_cases("small", 2, 3, 6, 9, 3),
    *cases_module.conv_cases("small, stride 2", 2, 5, 7, 9, 3, stride=2),
    cases_module.bias_gradient_case("small", 3, 4, 7),
    *cases_module.im2col_cases("small", 2, 3, 8, 3),
    *cases_module.pooling_cases("small", 2, 3, 8),
    *cases_module.average_cases("small", 2, 3, 8),
    *cases_module.elementwise_cases("small", (3, 71)),
    *cases_module.relu_cases("small", (3, 71)),
    *cases_module.softmax_cases("small", 7, 33),
    *cases_module.cross_entropy_cases("small", 9, 13),
    *cases_module.reduction_cases("small, all", (37, 41), None),
    *cases_module.reduction_cases("small, rows", (37, 41), 1),
    *cases_module.reduction_cases("small, columns", (37, 41), 0),
    cases_module.permute_case("small", (35, 41), (1, 0)),
    *cases_module.slab_cases("small", 5, 8),
    cases_module.select_case("small", 7, 30, 5),
    cases_module.rows_case("small", 7, 30, 5),
    cases_module.batch_case("small", 20, 6),
    cases_module.sgd_case("small", [(3, 5), (7,)]),
    cases_module.losses_case("small", 300),
    *cases_module.nll_cases("small", 9, 13),
]


@pytest.fixture
def few_samples(monkeypatch):
    """One reading of the clock of each contestant."""
    monkeypatch.setattr(clock, "ROUNDS", 1)
    monkeypatch.setattr(clock, "SAMPLES", 1)
    monkeypatch.setattr(clock, "MOST_CALLS", {"cpu": 2, "cuda": 2})


def test_every_op_is_measured():
    draws = {"uniform", "normal"}  # torch's are other numbers
    assert set(backend.ops_with_kernels()) - draws == {case.op for case in CASES}
    assert {case.op for case in CASES} == {case.op for case in SMALL}
    names = [(case.op, case.size) for case in CASES]
    assert len(set(names)) == len(names), "a row is found by op and size"


@pytest.mark.parametrize("device", ("cpu", "simt"))
@pytest.mark.parametrize("case", SMALL, ids=lambda case: f"{case.op}-{case.size}")
def test_every_kernel_passes_its_check_and_a_wrong_result_does_not(case, device, rng):
    if device == "simt" and (problem := backend.simt_problem()):
        pytest.skip(problem)
    reference = contest.Reference(case, case.draw(rng), device)
    for kernel in backend.kernels(case.op, device):
        with mt.use_kernel(case.op, kernel["name"]):
            assert reference.check(kernel["name"]) <= 1

    # One element is off by a hundredth of the largest, or by three times its bound where that is more: numbers that
    # cancel out in a sum may leave less than what rounding may do to it.
    reference = contest.Reference(case, case.draw(rng), device)
    wanted = reference.wanted[0]
    allowed = 0.0
    if wanted.is_floating_point():
        bound = torch.as_tensor(case.bound(0.0, wanted, reference.exact), dtype=torch.float64)
        allowed = float(bound.expand(wanted.shape).reshape(-1)[-1])

    def spoiled(*arrays):
        call = case.ours(*arrays)

        def wrong():
            results = list(call()) if isinstance(result := call(), list | tuple) else [result]
            values = results[0].cpu().numpy().copy()
            flat = values.reshape(-1)
            error = max(1e-2 * np.abs(values).max(), 1e-3, 3 * allowed) if values.dtype.kind == "f" else 1
            flat[-1] += np.asarray(error, values.dtype)
            results[0] = backend.from_numpy(values)
            return results

        return wrong

    reference.case = dataclasses.replace(case, ours=spoiled)
    with pytest.raises(contest.WrongKernel, match=case.op):
        reference.check("spoiled")


def test_a_wrong_kernel_is_named_and_not_timed(few_samples, monkeypatch):
    case = SMALL[0]
    check = contest.Reference.check

    def check_but_naive(self, kernel):
        if kernel == "naive":
            raise contest.WrongKernel("element (0, 0) is 1")
        return check(self, kernel)

    monkeypatch.setattr(contest.Reference, "check", check_but_naive)
    results = bench.run(cases=[case], budget=0.01)
    rows = {row["kernel"]: row for row in results["rows"]}
    assert rows["naive"]["problem"] == "element (0, 0) is 1" and "seconds" not in rows["naive"]
    assert rows["blocked"]["seconds"]["median"] > 0 and rows["torch"]["seconds"]["samples"] >= 1
    assert "WRONG, so not timed: element (0, 0) is 1" in bench.table(results)


def test_the_command_writes_what_it_measured(few_samples, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contest, "CASES", SMALL[:2])
    monkeypatch.setattr(contest, "measured_ceilings", lambda device: CEILINGS)
    path = tmp_path / "new" / "bench.json"
    assert main(["bench", "--ops", "matmul", "--sizes", "small", "--budget", "0.01", "--json", str(path)]) == 0
    results = bench.load_results(path)
    assert results["command"] == (
        "python -m mytensor bench --device cpu --ops matmul --sizes small --budget 0.01 --json bench.json"
    )
    assert {"commit", "versions", "machine", "created", "build"} <= results.keys()
    row = bench.find_row(results, "matmul", "small", "blocked")
    assert row["flops"] == 2 * 37 * 65 * 41 and row["bytes"] == 4 * (37 * 65 + 65 * 41 + 37 * 41)
    assert row["gflops"] == pytest.approx(row["flops"] / row["seconds"]["median"] / 1e9)
    assert row["of_peak"] == pytest.approx(row["gflops"] / 100)
    assert row["of_bandwidth"] == pytest.approx(row["gbytes_per_second"] / 10)
    assert bench.find_row(results, "matmul", "small", "another") is None
    assert "matmul, small" in capsys.readouterr().out

    assert main(["bench", "--ops", "nothing"]) == 1
    assert "no op nothing is measured; these are: matmul" in capsys.readouterr().err


CEILINGS = {
    "copy": {"what": "made up", "bytes_per_second": 10e9},
    "float32": {"what": "made up", "flops": 100e9},
    "tf32": {"what": "made up", "flops": 400e9},
    "bfloat16": {"what": "made up", "flops": 800e9},
}


def test_rates_are_of_the_gpus_own_time_and_of_the_right_ceiling():
    row = {"flops": 4e9, "bytes": 2e9, "seconds": {"median": 4.0}, "device_seconds": {"median": 2.0}}
    for kernel, ceiling, part in (
        ("tiled", "float32", 0.02),
        ("torch", "float32", 0.02),
        ("torch tf32", "tf32", 0.005),
        ("tensor_core", "tf32", 0.005),
        ("tensor_core_bf16", "bfloat16", 0.0025),
    ):
        rates = contest._rates(row | {"kernel": kernel}, CEILINGS)
        assert (rates["gflops"], rates["peak"]) == (2.0, ceiling)
        assert rates["of_peak"] == pytest.approx(part) and rates["of_bandwidth"] == pytest.approx(0.1)
    assert contest._rates(row | {"kernel": "tiled", "device_seconds": None}, CEILINGS)["gflops"] == 1.0


def test_sets_of_arguments_outgrow_the_cache():
    cache = clock.cache_bytes("cpu")
    count = clock.sets_of_arguments(cache // 4, cache // 8, "cpu")
    assert count * (cache // 4) >= 2 * cache
    assert clock.sets_of_arguments(100 * cache, 100 * cache, "cpu") == 1
    assert clock.sets_of_arguments(1, 1, "cpu") == 32
    used = []
    call = clock._next_of([lambda i=i: used.append(i) for i in range(3)])
    for _ in range(7):
        call()
    assert used == [0, 1, 2, 0, 1, 2, 0]


def test_what_is_slow_is_timed_once_and_the_others_take_turns(monkeypatch):
    seconds = {"slow": 2.0, "fast": 1e-4, "torch": 1e-3}
    order = []

    def fake(call, *, device, repeats=30, warmup=5, inner=1):
        name = call()
        order.append(name)
        return [seconds[name]] * repeats

    monkeypatch.setattr(clock, "measure", fake)
    contestants = {name: clock.Contestant([lambda name=name: name]) for name in seconds}
    clock.take_turns(contestants, "cpu", budget=0.5)
    assert contestants["slow"].seconds == [2.0]
    assert len(contestants["fast"].seconds) == 30 and 5 <= len(contestants["torch"].seconds) <= 30
    assert order[3:] == ["fast", "torch"] * clock.ROUNDS


def test_the_ceilings_of_this_machine(monkeypatch):
    monkeypatch.setattr(clock, "cache_bytes", lambda device: 2**20)
    found = bench.measured_ceilings("cpu", size=1)
    assert found["copy"]["bytes_per_second"] > 1e8 and found["float32"]["flops"] > 1e9
    assert "thread" in found["float32"]["what"]


def test_a_training_step_is_the_same_on_both_sides(few_samples):
    modes = [Mode(fused=False), Mode(), Mode(channels_last=True), Mode(graph=True)]
    rows = bench.time_step("cpu", modes=modes, batch_size=8, budget=0.01)
    assert [(row["side"], row["mode"]) for row in rows] == [
        ("ours", "eager"),
        ("torch", "eager, optimizer not fused"),
        ("torch", "eager"),
        ("torch", "eager, channels_last"),
    ], "no CUDA graph on the CPU"
    for row in rows:
        assert row["problem"] is None and row["seconds"]["median"] > 0
        assert len(set(row["losses"])) == step.BATCHES  # the weights move, the batches differ
        np.testing.assert_allclose(row["losses"], rows[0]["losses"], rtol=1e-4)


def test_a_side_that_trains_otherwise_is_not_timed(few_samples, monkeypatch):
    def uphill(model, recipe, fused):
        return torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum, maximize=True)

    monkeypatch.setattr(fastest, "torch_recipe", uphill)
    ours, eager = bench.time_step("cpu", modes=[Mode()], batch_size=8, budget=0.01)
    assert ours["seconds"] and eager["seconds"] is None and "its losses are not ours" in eager["problem"]

    def breaks(*arguments):
        raise OSError("no compiler here")

    monkeypatch.setattr(step, "_torch_step", breaks)
    rows = bench.time_step("cpu", modes=[Mode()], batch_size=8, budget=0.01)
    assert rows[1]["problem"] == "OSError: no compiler here"
    words = bench.measurements._step(rows)
    assert "torch: eager" in words and "not measured: OSError" in words


def test_results_survive_the_file(tmp_path):
    for content in ("{", "[]", '{"format": "other"}'):
        (tmp_path / "other.json").write_text(content)
        with pytest.raises(ValueError, match=r"other\.json"):
            bench.load_results(tmp_path / "other.json")
    bench.save_results({"format": bench.measurements.FORMAT, "rows": []}, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text())["rows"] == []


@pytest.mark.parametrize("device", ("simt", "gpu"))
def test_the_emulator_has_no_speed(device):
    with pytest.raises(ValueError, match=f"device is '{device}'; wanted 'cpu' or 'cuda'"):
        bench.run(device=device)


@pytest.mark.skipif(bool(backend.cuda_info()["gpus"]), reason="there is a GPU")
def test_no_gpu_is_said_in_a_sentence(capsys):
    assert main(["bench", "--device", "cuda", "--step"]) == 1
    assert "bench: there is no GPU to measure on" in capsys.readouterr().err
