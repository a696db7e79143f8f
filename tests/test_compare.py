"""Beside PyTorch: the twin is the same network, the training goes the same way, and the tables say what was
measured."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import mytensor as mt
from mytensor import compare
from mytensor.__main__ import main
from mytensor.data import cifar10, find, synthetic
from mytensor.training import Recipe, train_step

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def small():
    return synthetic(640, seed=0), synthetic(200, seed=1)


@pytest.fixture(scope="module")
def results(small):
    return compare.run(small, epochs=2, seeds=[0, 3], threads=1, dataloader_epochs=1, trajectory_steps=20)


def test_the_twin_is_the_same_network():
    mt.manual_seed(4)
    ours, twin = mt.models.LeNet(), compare.TorchLeNet()
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in twin.state_dict().items()
    }
    compare.copy_weights(ours, twin)
    x = np.random.default_rng(1).standard_normal((5, 3, 32, 32)).astype(np.float32)
    got, wanted = ours(mt.tensor(x)), twin.double()(torch.from_numpy(x).double())
    np.testing.assert_allclose(got.detach().numpy(), wanted.detach().numpy(), rtol=0, atol=1e-5)


def test_both_sides_see_the_same_batches(small):
    from mytensor.compare.sides import Ours, Torch
    from mytensor.compare.twin import normalised

    recipe = Recipe(seed=7, batch_size=50)
    ours = Ours(recipe, *small)
    twin = Torch(recipe, *small, ours.trainer.model, normalised(small[0], recipe), normalised(small[1], recipe))
    for epoch in (0, 1):
        pairs = list(zip(ours.trainer.batches.epoch(epoch), twin.batches(epoch), strict=True))
        assert len(pairs) == 13
        for (x, labels), (torch_x, torch_labels) in pairs:
            np.testing.assert_array_equal(labels.numpy(), torch_labels.numpy())
            # (x/255 - mean)/std, the division done as a multiplication or not: an ulp or two of numbers up to 1.
            np.testing.assert_allclose(x.numpy(), torch_x.numpy(), rtol=0, atol=5e-7)


def test_a_run_records_both_sides(results):
    assert [run["seed"] for run in results["runs"]] == [0, 3]
    for run in results["runs"]:
        for side in ("ours", "torch"):
            for key in ("seconds", "train_loss", "test_loss", "test_accuracy"):
                assert len(run[side][key]) == 2
            assert len(run[side]["first_losses"]) == 10
        # The same start and the same batches: after ten steps the losses still agree to rounding.
        np.testing.assert_allclose(run["ours"]["first_losses"], run["torch"]["first_losses"], rtol=1e-4)
        assert run["ours"]["test_loss"] == pytest.approx(run["torch"]["test_loss"], rel=1e-3)
    assert "torch_dataloader" in results["runs"][0] and "torch_dataloader" not in results["runs"][1]
    assert results["runs"][0]["ours"]["first_losses"] != results["runs"][1]["ours"]["first_losses"]
    assert results["data"]["source"] == "synthetic stand-in"
    assert len(results["audit"]) == 10 and len(results["trajectory"]["ours"]) == 20


def test_results_survive_the_file(results, tmp_path):
    compare.save_results(results, tmp_path / "deep" / "results.json")
    assert compare.load_results(tmp_path / "deep" / "results.json") == json.loads(json.dumps(results))
    for content in ("{", "[]", '{"format": "other"}'):
        (tmp_path / "other.json").write_text(content)
        with pytest.raises(ValueError, match=r"other\.json"):
            compare.load_results(tmp_path / "other.json")


def made_up(ours, torch_side, loader=None):
    """A run with these accuracies and 1, 2, 3 ... seconds (torch: tenfold)."""
    run = {"seed": 0}
    for name, accuracies, factor in (("ours", ours, 1), ("torch", torch_side, 10), ("torch_dataloader", loader, 20)):
        if accuracies is not None:
            seconds = [factor * (epoch + 1) for epoch in range(len(accuracies))]
            run[name] = {"test_accuracy": accuracies, "seconds": seconds}
    return run


def test_a_comparison_goes_on_with_what_it_lacks(results, small, tmp_path):
    path = tmp_path / "part.json"
    first = compare.run(small, epochs=2, seeds=[0], threads=1, dataloader_epochs=0, trajectory_steps=20, json=path)
    whole = compare.run(small, epochs=2, seeds=[0, 3], threads=1, trajectory_steps=20, json=path, resume=True)
    assert [run["seed"] for run in whole["runs"]] == [0, 3]
    assert whole["runs"][0] == first["runs"][0] and whole["created"] == first["created"]
    assert whole["runs"][1]["ours"]["test_accuracy"] == results["runs"][1]["ours"]["test_accuracy"]
    assert len(whole["resumed"]) == 1 and compare.load_results(path)["resumed"] == whole["resumed"]
    with pytest.raises(ValueError, match="another comparison, its recipe"):
        compare.run(small, epochs=3, seeds=[0], threads=1, json=path, resume=True)
    with pytest.raises(ValueError, match="name the file"):
        compare.run(small, epochs=2, seeds=[0], threads=1, resume=True)


def test_the_table_computes_what_it_says(results):
    fake = results | {
        "runs": [made_up([0.5, 0.7, 0.6], [0.4, 0.55, 0.65], [0.1]), made_up([0.5, 0.6, 0.7], [0.4, 0.5, 0.6])],
        "recipe": results["recipe"] | {"epochs": 3},
        "memory": {"ours": {"what": "ours", "bytes": 300 * 2**20}},
    }
    assert compare.differences(fake) == pytest.approx([-5, 10])
    assert compare.differences(fake, max) == pytest.approx([5, 10])
    text = compare.table(fake)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}
    assert rows["mean"] == ["65.00", "70.00", "62.50", "62.50", "+2.50", "+7.50"]
    assert rows["std."][1:] == ["7.07", "0.00", "3.54", "3.54", "10.61", "3.54"]
    assert rows["one"][-3:] == ["2.00", "20.00", "10.00"]
    assert rows["3"][-3:] == ["6.00", "60.00", "10.00"]
    assert "synthetic stand-in" in text and "300" in text


def test_the_trajectory_stays_as_close_to_float64_as_torch_does():
    """200 steps of the report's recipe; on real data where it is found, else on the stand-in."""
    dataset = cifar10(find()) if find() else synthetic(12_800, seed=0)
    path = compare.trajectory(dataset, steps=200)
    print(f"{dataset.source}: loss ratio {path.loss_ratio:.2f}, weight ratio {path.weight_ratio:.2f}")
    assert len(path.ours) == 200 and np.isfinite(path.ours).all()
    assert path.torch64[-20:].mean() < path.torch64[:20].mean(), "the losses fall, so the steps do something"
    assert path.loss_ratio <= 4, f"on {dataset.source}"
    assert path.weight_ratio <= 4, f"on {dataset.source}"


def test_a_wrong_step_leaves_the_trajectory(small):
    """One image of each batch forgotten, and a loss that is no number."""

    def forgetful(model, optimizer, images, labels):
        return train_step(model, optimizer, images[:-1], labels[:-1])

    def broken(model, optimizer, images, labels):
        logits, loss = train_step(model, optimizer, images, labels)
        return logits, loss * float("nan")

    train_set = small[0]
    assert compare.trajectory(train_set, steps=5).agrees
    wrong = compare.trajectory(train_set, steps=5, step=forgetful)
    assert not wrong.agrees and min(wrong.loss_ratio, wrong.weight_ratio) > 100
    assert not compare.trajectory(train_set, steps=5, step=broken).agrees


def test_a_device_beside_torch(small):
    """All that the comparison on a GPU does but for CUDA itself: ours on the emulator, torch on the CPU."""
    tiny = small[0].subset(80), small[1].subset(20)  # a whole batch and a smaller one
    results = compare.run(tiny, epochs=1, seeds=[1], device="simt", best=False, dataloader_epochs=0, trajectory_steps=2)
    ours, theirs = (results["runs"][0][side] for side in ("ours", "torch"))
    np.testing.assert_allclose(ours["first_losses"], theirs["first_losses"], rtol=1e-5)
    assert ours["test_loss"] == pytest.approx(theirs["test_loss"], rel=1e-5)
    assert results["machine"]["device"] == "simt" and results["trajectory"]["loss_ratio"] < 10


def test_torch_at_its_best_starts_where_the_others_do(small, monkeypatch):
    """The best step is warmed up and tried before the race: nothing of that may be left in weights or velocities."""
    from mytensor.compare import fastest

    modes = (fastest.Mode(), fastest.Mode(channels_last=True), fastest.Mode(graph=True))
    monkeypatch.setattr(fastest.fastest, "__defaults__", (modes,))
    monkeypatch.setattr(fastest, "TIMED", 3)
    results = compare.run(small, epochs=2, seeds=[0, 3], best=True, dataloader_epochs=0, trajectory_steps=2)
    for run in results["runs"]:
        np.testing.assert_allclose(run["torch_best"]["first_losses"], run["torch"]["first_losses"], rtol=1e-4)
        assert run["torch_best"]["train_loss"][1] == pytest.approx(run["torch"]["train_loss"][1], rel=1e-3)
    trials = results["torch"]["best"]["trials"]
    assert [trial["name"] for trial in trials] == ["eager", "eager, channels_last"], "no CUDA graph on the CPU"
    assert all(trial["right"] for trial in trials)
    assert results["torch"]["best"]["name"] == min(trials, key=lambda trial: trial["milliseconds"])["name"]
    text = compare.table(results)
    assert "PyTorch at its best" in text and "TF32 off" in text


def test_a_wrong_step_is_never_the_best(small, monkeypatch):
    from mytensor.compare import fastest
    from mytensor.compare.twin import normalised

    monkeypatch.setattr(fastest, "TIMED", 2)
    right = fastest.Step.step

    def skips_every_other_batch(self, index):
        """What a captured step does whose index is never filled in: fast, and wrong."""
        return right(self, self.index if self.mode.channels_last else index)

    monkeypatch.setattr(fastest.Step, "step", skips_every_other_batch)
    modes = (fastest.Mode(channels_last=True), fastest.Mode())
    step, trials = fastest.fastest(Recipe(), small[0], normalised(small[0], Recipe()), mt.models.LeNet(), modes)
    assert [trial["right"] for trial in trials] == [False, True] and step.mode == fastest.Mode()
    with pytest.raises(RuntimeError, match="no mode"):
        fastest.fastest(Recipe(), small[0], normalised(small[0], Recipe()), mt.models.LeNet(), modes[:1])


def test_a_mode_that_cannot_run_is_left_out_and_said(small, monkeypatch):
    from mytensor.compare import fastest
    from mytensor.compare.twin import normalised

    monkeypatch.setattr(fastest, "TIMED", 2)

    def no_compiler(*arguments, **options):
        raise RuntimeError("no compiler at /usr/bin/cc\nand more")

    monkeypatch.setattr(torch, "compile", no_compiler)
    images = normalised(small[0], Recipe())
    step, trials = fastest.fastest(
        Recipe(), small[0], images, mt.models.LeNet(), (fastest.Mode("default"), fastest.Mode())
    )
    assert step.mode == fastest.Mode()
    assert trials[0]["problem"] == "RuntimeError: no compiler at ..."


def test_the_summary_computes_what_it_says(results):
    fake = results | {
        "runs": [made_up([0.5, 0.7, 0.6], [0.4, 0.55, 0.65], [0.1]), made_up([0.5, 0.6, 0.8], [0.4, 0.5, 0.6])],
        "recipe": results["recipe"] | {"epochs": 3},
    }
    ours, theirs, loader = compare.summaries(fake)
    assert (ours.final, ours.best, ours.epoch, ours.total) == pytest.approx((0.7, 0.75, 2, 6))
    assert ours.spread_over_seeds == pytest.approx(0.2 / 2**0.5)
    assert ours.spread_over_epochs == pytest.approx((0.1 + 0.1527525) / 2)
    assert (theirs.epoch, theirs.total) == (20, 60)
    assert (loader.side, loader.epoch, loader.total, loader.spread_over_seeds) == ("torch_dataloader", 20, None, None)


def test_peak_memory_is_measured_in_processes_of_their_own():
    peaks = compare.peak_memory(synthetic_images=2000)
    assert set(peaks) == {"ours", "torch", "torch_uint8"}
    for peak in peaks.values():
        assert 20 * 2**20 < peak["bytes"] < 4 * 2**30
    assert peaks["ours"]["bytes"] < peaks["torch_uint8"]["bytes"]


def test_reading_results_needs_no_torch():
    code = "import sys; from mytensor.compare import load_results, table; assert 'torch' not in sys.modules"
    path = os.pathsep.join([os.path.dirname(os.path.dirname(mt.__file__)), *sys.path])
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": path})


def test_torchs_loader_serves_the_same_pixels(small):
    pytest.importorskip("torchvision")
    from mytensor.compare.twin import PerImage, normalised

    recipe = Recipe(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    loader, whole = PerImage(small[1], recipe), normalised(small[1], recipe)
    for index in (0, 7, 199):
        image, label = loader[index]
        np.testing.assert_allclose(image.numpy(), whole[index].numpy(), rtol=0, atol=1e-6)
        assert label == small[1].labels[index]


def test_the_compare_command(tmp_path, monkeypatch, capsys):
    from mytensor.compare import side_by_side

    monkeypatch.setattr("mytensor.__main__.synthetic", lambda n, seed: synthetic(n // 100, seed))
    short = side_by_side.trajectory
    monkeypatch.setattr(side_by_side, "trajectory", lambda dataset, steps, *rest: short(dataset, 5, *rest))
    file = tmp_path / "results.json"
    assert (
        main(
            [
                "compare",
                "--dataloader-epochs",
                "0",
                "--synthetic",
                "--epochs",
                "1",
                "--seeds",
                "2",
                "--no-memory",
                "--json",
                str(file),
            ]
        )
        == 0
    )
    text = capsys.readouterr().out
    assert (
        "ours - PyTorch" in text
        and "all 10 parameters got a gradient" in text
        and "LeNet on synthetic stand-in, 1 epochs, 1 seed(s)" in text
    )
    saved = compare.load_results(file)
    assert saved["command"].startswith("python -m mytensor compare --synthetic --epochs 1 --seeds 2")
    assert str(tmp_path) not in file.read_text(), "a machine's paths tell a reader nothing"
