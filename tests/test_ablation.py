"""Which cause costs what: each switch does what it says, and the tables say only what the runs show."""

import json
import math

import mytensor_backend as backend
import numpy as np
import pytest

import mytensor as mt
from mytensor import compare, plots
from mytensor.__main__ import main
from mytensor.compare import ablation
from mytensor.compare import ablation_causes as causes
from mytensor.data import synthetic
from mytensor.nn import functional as F
from mytensor.training import Recipe


@pytest.fixture(scope="module")
def small():
    return synthetic(320, seed=0), synthetic(100, seed=1)


RECIPE = Recipe(epochs=2, seed=3)
# The untuned kernels of the CPU take a quarter of a second a step; they have a test of their own.
FAST = tuple(cause for cause in causes.CAUSES if cause != "kernels")


def test_without_causes_it_is_our_training(small):
    from mytensor.training import Trainer

    run = causes.train(frozenset(), *small, RECIPE)
    mt.manual_seed(3)
    history = Trainer(mt.models.LeNet(), *small, RECIPE).fit(progress=False)
    assert run["test_accuracy"] == [row["test_accuracy"] for row in history]
    assert run["test_loss"] == [row["test_loss"] for row in history]
    assert run["diverged"] is None and run["scaling"] == "right" and run["low"] is None


@pytest.mark.parametrize("cause", ["host_copy", "allocator"])
def test_a_slower_way_gives_the_same_bits(cause, small):
    ours, other = (causes.train(chosen, *small, RECIPE) for chosen in (frozenset(), frozenset({cause})))
    for key in ("train_loss", "test_loss", "test_accuracy", "shown"):
        assert ours[key] == other[key]


def test_the_host_copy_is_a_copy_that_went_through_numpy(small, monkeypatch):
    copies = []

    def counted(images, labels, device):
        moved = causes_through_numpy(images, labels, device)
        assert moved[0].array.data_ptr != images.array.data_ptr
        np.testing.assert_array_equal(moved[0].numpy(), images.numpy())
        np.testing.assert_array_equal(moved[1].numpy(), labels.numpy())
        copies.append(device)
        return moved

    causes_through_numpy = causes.through_numpy
    monkeypatch.setattr(causes, "through_numpy", counted)
    causes.train({"host_copy"}, *small, Recipe(epochs=1))
    assert copies == ["cpu"] * 5, "each of the five batches"


def test_plain_allocation_keeps_nothing(small):
    caching, plain = (causes.train(chosen, *small, Recipe(epochs=1)) for chosen in (set(), {"allocator"}))
    assert plain["peak_reserved"] == plain["peak_allocated"] <= caching["peak_reserved"]
    assert mt.memory_mode() == "caching", "the mode is what it was"


def test_the_kernels_in_force(small):
    with causes.in_force(frozenset(causes.CAUSES), "cpu"):
        assert backend.selected_kernel("conv2d") == "im2col_naive" and backend.selected_kernel("matmul") == "naive"
        assert backend.selected_kernel("cross_entropy") == "naive" and mt.memory_mode() == "plain"
    assert all(backend.selected_kernel(op) is None for op in ("conv2d", "matmul", "im2col", "cross_entropy"))
    tiny = small[0].subset(32), small[1].subset(20)
    ours, untuned = (causes.train(chosen, *tiny, Recipe(epochs=1)) for chosen in (set(), {"kernels"}))
    assert ours["train_loss"] == pytest.approx(untuned["train_loss"], rel=1e-5)
    for device, kernels in causes.UNTUNED_KERNELS.items():
        for op, name in kernels.items():
            if device != "cuda":  # the emulator has its kernels
                assert name in [kernel["name"] for kernel in backend.kernels(op, device)]


def test_the_causes_on_a_device(small):
    tiny = small[0].subset(32), small[1].subset(20)
    on_cpu, on_device = (
        causes.train(causes.CAUSES.keys(), *tiny, Recipe(epochs=1), device, causes.Assumptions(scaling="batch_twice"))
        for device in ("cpu", "simt")
    )
    assert on_device["train_loss"] == pytest.approx(on_cpu["train_loss"], rel=1e-5)
    assert on_device["shown"] == pytest.approx(on_cpu["shown"], rel=1e-5)
    assert on_device["peak_allocated"] > 0


def test_uniform_weights_fill_their_range():
    model = mt.models.LeNet()
    causes.draw_uniformly(model, 0.25, 0.5)
    for parameter in model.parameters():
        values = parameter.detach().numpy()
        assert values.min() >= 0.25 and values.max() < 0.5
    assert model.fc1.weight.detach().numpy().min() < 0.2501 and model.fc1.weight.detach().numpy().max() > 0.4999


@pytest.mark.parametrize("name", causes.SCALINGS)
def test_a_scaling_trains_and_prints_what_it_says(name, small, monkeypatch):
    """One step of plain gradient descent: the change of the weights is divided by `trained`, the loss by `shown`."""
    one_batch = small[0].subset(64), small[1].subset(20)
    divided = {"right": (1, 1), "batch_twice": (64, 64), "classes": (10, 10), "batch_shown": (1, 64)}
    trained, shown = divided.get(name, (1, 10))
    start = mt.models.LeNet()
    changes, losses = [], []
    for chosen in ("right", name):
        run = causes._Run(
            {"scale"}, *one_batch, Recipe(epochs=1, momentum=0.0), "cpu", causes.Assumptions(scaling=chosen)
        )
        run.model.load_state_dict(start.state_dict())
        run.train_epoch(0)
        changes.append(run.model.fc3.weight.detach().numpy() - start.fc3.weight.detach().numpy())
        losses.append(run.record["shown"][0])
    assert losses[1] == pytest.approx(losses[0] / shown)
    np.testing.assert_allclose(
        changes[1] * trained, changes[0], atol=64 * 2**-23 * abs(start.fc3.weight.detach().numpy()).max()
    )
    assert abs(changes[0]).max() > 1e-5


def test_a_training_that_leaves_the_numbers_is_ended_and_said(small, tmp_path):
    huge = causes.Assumptions(-30.0, 30.0, "right")
    run = causes.train({"init", "log_sum_exp"}, *small, Recipe(epochs=4), assumptions=huge)
    assert run["diverged"] == 1 and len(run["test_accuracy"]) == 1
    assert not all(math.isfinite(loss) for loss in run["train_loss"])
    results = compare.ablate(
        small, epochs=1, seeds=[0], causes=("init", "log_sum_exp"), assumptions=huge, json=tmp_path / "a.json"
    )
    assert "diverged: 1 of 1" in compare.ablation_table(results)
    assert "NaN" not in (tmp_path / "a.json").read_text()
    compare.ablation_table(compare.load_ablation(tmp_path / "a.json"))


def test_one_at_a_time_and_all_combinations():
    chosen = ablation.one_at_a_time()
    assert len(chosen) == 14 and chosen[0] == frozenset(causes.CAUSES) and chosen[7] == frozenset()
    assert [len(one) for one in chosen[1:7]] == [5] * 6 and [len(one) for one in chosen[8:]] == [1] * 6
    assert len(set(ablation.all_combinations())) == 64
    assert set(chosen) <= set(ablation.all_combinations())
    assert len(ablation.one_at_a_time(("init", "scale"))) == 4, "two causes: repaired and put back are the same"


def test_a_file_is_continued_and_a_foreign_one_refused(small, tmp_path):
    file = tmp_path / "ablation.json"
    first = compare.ablate(small, epochs=1, seeds=[0], causes=("init", "scale"), json=file, times=False)
    assert len(first["runs"]) == 4 and all(run["seconds"] == [None] for run in first["runs"])
    both = compare.ablate(small, epochs=1, seeds=[0, 1], causes=("init", "scale"), json=file, times=False)
    assert both["runs"][:4] == json.loads(json.dumps(first["runs"])) and len(both["runs"]) == 8
    assert compare.load_ablation(file)["runs"] == json.loads(json.dumps(both["runs"]))
    with pytest.raises(ValueError, match="another recipe"):
        compare.ablate(small, epochs=2, seeds=[0], causes=("init",), json=file, times=False)
    file.write_text('{"format": "other"}')
    with pytest.raises(ValueError, match=r"ablation\.json"):
        compare.load_ablation(file)


def made_up(chosen, accuracy, seed=0, shown=(0.04, 0.08), scaling="classes", low=-0.1, high=0.1, seconds=2.0):
    return {
        "causes": sorted(chosen), "seed": seed, "scaling": scaling, "low": low, "high": high, "diverged": None,
        "seconds": [seconds, 3 * seconds, seconds], "train_loss": [1.0], "test_loss": [1.0],
        "test_accuracy": [accuracy - 0.1, accuracy + 0.1, accuracy - 0.1, accuracy + 0.1, accuracy],
        "shown": list(shown), "peak_allocated": 3 * 2**20, "peak_reserved": 2**22,
        "assumptions": {"low": low, "high": high, "scaling": scaling},
    }  # fmt: skip


ABOUT = {
    "format": ablation.FORMAT, "commit": "abc", "machine": {"device": "cpu", "cpu": "made up"},
    "data": {"source": "made up", "train_images": 10}, "recipe": {"epochs": 2, "batch_size": 64},
}  # fmt: skip


def test_the_table_computes_what_it_says():
    everything = set(causes.CAUSES)
    runs = [
        made_up(everything, 0.50), made_up(everything, 0.54, seed=1), made_up(everything - {"init"}, 0.60),
        made_up((), 0.66, shown=(0.2, 2.3), seconds=1.0), made_up({"host_copy"}, 0.65, shown=(0.2, 2.3), seconds=5.0),
    ]  # fmt: skip
    text = compare.ablation_table(ABOUT | {"runs": runs})
    lines = {line[:44].strip(): line[44:].split() for line in text.splitlines()[4:]}
    assert lines["the reconstruction"] == ["52.00", "±", "2.83", "10.00", "0.040-0.080", "2.00", "3.0"]
    assert lines["repaired: plain uniform initialisation"][:2] == ["60.00", "+8.00"]
    assert lines["ours"] == ["66.00", "10.00", "0.200-2.300", "1.00", "3.0"]
    assert lines["put back: host copy in each batch"] == ["65.00", "-1.00", "10.00", "0.200-2.300", "5.00", "3.0"]
    assert "repaired: host" not in text, "what was not run has no line"
    _, sentence = plots.ablation_bars(ABOUT | {"runs": runs})
    assert "repaired: 52.00 % as it is, the greatest change is +8.00 points by plain uniform init" in sentence
    assert "put back: 66.00 % as it is, the greatest change is -1.00 points by host copy" in sentence


def test_the_verdict_on_the_scalings_follows_the_runs():
    chosen = ablation.CAUSES_OF_ACCURACY
    runs = [
        made_up(chosen, 0.54, scaling="classes", shown=[0.05] * 10),  # fits both
        made_up(chosen, 0.66, scaling="right", shown=[2.0] * 10),  # by display / 64: 0.031, so its losses fit
        made_up(chosen, 0.55, scaling="batch_twice", shown=[0.05] * 8 + [0.2, math.nan]),  # 8 of 10 losses
    ]
    found = {fit.scaling: fit for fit in ablation.fits(ABOUT | {"runs": runs})}
    assert set(found) == set(causes.SCALINGS)
    verdicts = {name: (fit.fits_losses, fit.fits_accuracy) for name, fit in found.items()}
    assert verdicts == {
        "classes": (True, True), "right": (False, False), "batch_shown": (True, False), "classes_shown": (False, False),
        "batch_twice": (False, True),
    }  # fmt: skip
    assert found["batch_twice"].share == pytest.approx(0.8)
    assert ablation.nearest(list(found.values())).scaling == "classes"
    text = compare.fits_table(ABOUT | {"runs": runs})
    assert "both fit: 1 of 5; [-0.1, 0.1) classes" in text
    assert "not finished: 3 of its 18 trainings" in text
    assert "nearest in accuracy of those: [-0.1, 0.1) classes, 54.00 %" in text
    without = compare.fits_table(ABOUT | {"runs": runs[1:]})
    assert "both fit: 0 of 4" in without
    assert "nearest in accuracy of all wrong scalings: [-0.1, 0.1) batch_twice, 55.00 %" in without


def test_wrong_names_are_said_to_the_caller(small):
    with pytest.raises(ValueError, match="no cause weather; there are: init"):
        causes.train({"weather"}, *small, Recipe(epochs=1))
    with pytest.raises(ValueError, match="low < high"):
        causes.Assumptions(1.0, 1.0)
    with pytest.raises(ValueError, match="no scaling 'wild'"):
        causes.Assumptions(scaling="wild")


def test_the_ablate_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mytensor.__main__.synthetic", lambda n, seed: synthetic(n // 500, seed))
    file = tmp_path / "ablation.json"
    arguments = ["ablate", "--synthetic", "--images", "64", "--epochs", "1", "--seeds", "0", "--no-times"]
    assert main([*arguments, "--causes", *FAST, "--range", "-0.2", "0.2", "--json", str(file)]) == 0
    assert "put back: host copy in each batch" in capsys.readouterr().out
    saved = compare.load_ablation(file)
    assert len(saved["runs"]) == 12 and saved["times"] is False
    assert saved["command"].startswith("python -m mytensor ablate --synthetic --images 64 --epochs 1 --seeds 0")
    assert "--range -0.2 0.2" in saved["command"] and str(tmp_path) not in file.read_text()
    monkeypatch.setattr(ablation, "RANGES", ((-0.1, 0.1),))
    assert main([*arguments, "--sweep"]) == 0
    assert "nearest" in capsys.readouterr().out


def test_the_naive_loss_of_the_causes_is_the_kernel_of_that_name():
    logits = mt.tensor(np.array([[200.0, -200.0]], dtype=np.float32))
    with causes.in_force(frozenset({"log_sum_exp"}), "cpu"):
        assert not math.isfinite(F.cross_entropy(logits, mt.tensor([1])).item())
    assert F.cross_entropy(logits, mt.tensor([1])).item() == 400.0
