"""The training loop: it learns, repeats itself bit for bit, survives kills and says what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import mytensor as mt
from mytensor import training
from mytensor.__main__ import main
from mytensor.checkpoint import read_checkpoint, write_checkpoint
from mytensor.data import synthetic
from mytensor.devices import choose_device
from mytensor.training import Recipe, Trainer, audit, evaluate, predict

TRAIN, TEST = synthetic(600, seed=0), synthetic(200, seed=1)
SHORT = Recipe(epochs=2, milestones=(1,))


def trainer(recipe=SHORT, checkpoint=None, **options):
    mt.manual_seed(recipe.seed)
    return Trainer(mt.models.LeNet(), TRAIN, TEST, recipe, checkpoint, **options)


def weights(model):
    return {name: value.array.numpy().copy() for name, value in model.state_dict().items()}


def without_times(history):
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in history]


def assert_same_run(a, b):
    ours, others = weights(a.model), weights(b.model)
    for name in ours:
        assert np.array_equal(ours[name], others[name]), f"{name} differs"
    assert without_times(a.history) == without_times(b.history)


def test_training_learns_and_keeps_history():
    run = trainer(Recipe(epochs=8, batch_size=16, milestones=(6,)))
    history = run.fit(progress=False)
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert [row["lr"] for row in history] == pytest.approx([0.01] * 6 + [0.001] * 2)
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]
    assert history[-1]["train_accuracy"] > 0.3, "ten classes: chance is 0.1"
    loss, accuracy = evaluate(run.model, TEST)
    assert (loss, accuracy) == (history[-1]["test_loss"], history[-1]["test_accuracy"])
    probabilities = predict(run.model, TEST)
    assert probabilities.shape == (200, 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities.argmax(1) == TEST.labels).mean() == pytest.approx(accuracy)
    assert loss == pytest.approx(-np.log(probabilities[np.arange(200), TEST.labels]).mean(), rel=1e-4)


def test_the_learning_rate_follows_the_report():
    recipe = Recipe()
    assert [recipe.lr_at(epoch) for epoch in (0, 9)] == [0.01, 0.01]
    assert [recipe.lr_at(epoch) for epoch in (10, 19)] == pytest.approx([0.001, 0.001])


@pytest.mark.parametrize("augment", [False, True])
def test_two_runs_give_the_same_bits_for_any_number_of_threads(augment):
    runs, before = [], mt.get_num_threads()
    try:
        for threads in (1, 2, 3):
            mt.set_num_threads(threads)
            runs.append(trainer(Recipe(epochs=1, augment=augment)))
            runs[-1].fit(progress=False)
    finally:
        mt.set_num_threads(before)
    assert_same_run(runs[0], runs[1])
    assert_same_run(runs[0], runs[2])


class Watched(mt.nn.Module):
    """A model of several parts that notes in which modes it is called, and can fail there."""

    def __init__(self, fails=False):
        super().__init__()
        self.body = mt.nn.Sequential(mt.nn.Flatten(), mt.nn.Sequential(mt.nn.Linear(3072, 10), mt.nn.ReLU()))
        self.fails, self.seen = fails, []

    def forward(self, x):
        self.seen.append((any(part.training for part in self.modules()), mt.is_grad_enabled()))
        if self.fails:
            raise RuntimeError("planted")
        return self.body(x)


@pytest.mark.parametrize("measure", [evaluate, predict], ids=["evaluate", "predict"])
@pytest.mark.parametrize("fails", [False, True], ids=["well", "fails"])
@pytest.mark.parametrize("of_whole", [True, False], ids=["training", "evaluating"])
def test_measuring_leaves_every_part_in_its_mode(measure, fails, of_whole, rng):
    """Each part has a mode of its own, which a failure doesn't change either; nor does it leave gradients off."""
    model = Watched(fails).train(of_whole)
    for part in list(model.modules())[1:]:
        part.training = bool(rng.integers(2))
    model.body.training = not of_whole
    before = [part.training for part in model.modules()]
    if fails:
        with pytest.raises(RuntimeError, match="planted"):
            measure(model, TEST)
    else:
        measure(model, TEST)
    assert model.seen == [(False, False)], "it was called in evaluation mode, without a graph"
    assert [part.training for part in model.modules()] == before
    assert mt.is_grad_enabled()


def test_seeds_matter():
    a, b = trainer(Recipe(epochs=1)), trainer(Recipe(epochs=1, seed=1))
    a.fit(progress=False), b.fit(progress=False)
    assert a.history[0]["train_loss"] != b.history[0]["train_loss"]


# Checkpoints


def test_resume_between_epochs(tmp_path):
    whole = trainer()
    whole.fit(progress=False)
    first = trainer(Recipe(epochs=1, milestones=(1,)), tmp_path / "a.safetensors")
    first.fit(progress=False)
    second = trainer(SHORT, tmp_path / "a.safetensors")
    second.model.fc1.weight.detach().fill_(7.0)
    second.resume()
    second.fit(progress=False)
    assert_same_run(whole, second)


KILLED_RUN = """
import sys
import mytensor as mt
from mytensor.data import synthetic
from mytensor.training import Recipe, Trainer

mt.manual_seed(0)
recipe = Recipe(epochs=2, milestones=(1,), batch_size=8)
trainer = Trainer(mt.models.LeNet(), synthetic(600, 0), synthetic(200, 1), recipe, sys.argv[1], checkpoint_every=1)
if sys.argv[2] == "resume":
    trainer.resume()
    print(trainer.epoch, trainer.step, flush=True)
print("started", flush=True)
trainer.fit(progress=False)
"""


def killed_run(checkpoint, mode="start"):
    """The training run above as a process; its first lines have been read when this returns."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(mt.__file__).parents[1]), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_RUN, str(checkpoint), mode], stdout=subprocess.PIPE, text=True, env=environment
    )
    while process.stdout.readline() not in ("started\n", ""):
        pass
    return process


def test_resume_after_kills_at_any_moment_gives_the_same_bits(tmp_path):
    checkpoint = tmp_path / "killed.safetensors"
    recipe = Recipe(epochs=2, milestones=(1,), batch_size=8)
    whole = trainer(recipe)
    whole.fit(progress=False)
    random = np.random.default_rng()
    process = killed_run(checkpoint)
    for _ in range(3):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
        deadline = time.monotonic() + 20
        while (checkpoint.stat().st_mtime_ns if checkpoint.exists() else None) == before and process.poll() is None:
            assert time.monotonic() < deadline, "the run writes no checkpoint"
        time.sleep(random.uniform(0, 0.02))  # and now at any moment
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run was over before it could be killed"
        process = killed_run(checkpoint, "resume")
    assert process.wait() == 0
    resumed = trainer(recipe, checkpoint)
    resumed.resume()
    assert resumed.epoch == 2
    assert_same_run(whole, resumed)


def test_ctrl_c_saves_and_says_where(tmp_path):
    checkpoint = tmp_path / "stopped.safetensors"
    whole = trainer(Recipe(epochs=3))
    whole.fit(progress=False)
    run = trainer(Recipe(epochs=3), checkpoint)
    step = run.train_step

    def interrupted_step(images, labels):
        if run.epoch == 1 and run.step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return step(images, labels)

    run.train_step = interrupted_step
    with pytest.raises(KeyboardInterrupt) as stopped:
        run.fit(progress=False)
    assert "epoch 2, after 5 of its 10 steps" in str(stopped.value)
    assert str(checkpoint) in str(stopped.value) and "--resume" in str(stopped.value)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "Ctrl-C works as before"
    resumed = trainer(Recipe(epochs=3), checkpoint)
    resumed.resume()
    assert (resumed.epoch, resumed.step) == (1, 5)
    resumed.fit(progress=False)
    assert_same_run(whole, resumed)
    run.train_step = step
    run.fit(progress=False)  # and the interrupted one goes on where it stands
    assert_same_run(whole, run)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    path = tmp_path / "lenet.safetensors"
    trainer(Recipe(epochs=1), path).fit(progress=False)
    other = mt.nn.Sequential(mt.nn.Flatten(), mt.nn.Linear(3072, 10))
    run = Trainer(other, TRAIN, TEST, Recipe(epochs=1), path)
    before = weights(other)
    with pytest.raises(ValueError, match=r"another architecture than Sequential: .*conv1.*\(6, 3, 3, 3\).*none"):
        run.resume()
    for name, value in weights(other).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "lenet.safetensors"
    trainer(Recipe(epochs=1), path).fit(progress=False)
    with pytest.raises(ValueError, match=r"trained with lr=0.01; this run has lr=0.02"):
        trainer(Recipe(epochs=1, lr=0.02), path).resume()
    with pytest.raises(ValueError, match="trained on other data"):
        Trainer(mt.models.LeNet(), TEST, TEST, Recipe(epochs=1), path).resume()
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*nothing\.safetensors"):
        trainer(SHORT, tmp_path / "nothing.safetensors").resume()
    with pytest.raises(ValueError, match="needs the checkpoint file"):
        trainer().resume()


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, -1])
def test_a_truncated_checkpoint_is_refused(tmp_path, keep):
    path = tmp_path / "lenet.safetensors"
    run = trainer(SHORT, path)
    run.save()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(ValueError, match=r"lenet\.safetensors is truncated"):
        run.resume()


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="no checkpoint of a mytensor"):
        read_checkpoint(tmp_path / "foreign.safetensors")


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, {"x": np.arange(3)}, {"epoch": 1})

    def full_disk(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_checkpoint(path, {"x": np.arange(4)}, {"epoch": 2})
    tensors, state = read_checkpoint(path)
    assert state == {"epoch": 1} and tensors["x"].tolist() == [0, 1, 2]


# The audit


def one_step(run):
    images, labels = next(iter(run.batches.epoch(0)))
    return lambda: run.train_step(images, labels)


def test_every_parameter_gets_a_gradient_and_moves():
    run = trainer()
    rows = audit(run.model, one_step(run))
    assert [row["name"] for row in rows] == [name for name, _ in run.model.named_parameters()]
    assert all(row["gradient"] > 0 and row["moved"] > 0 for row in rows)


def test_the_audit_finds_what_is_dead():
    run = trainer()
    run.model.conv1.bias.detach().numpy()[2] = -1e6  # ReLU never lets filter 2 through
    with pytest.raises(AssertionError, match=r"conv1.weight: filters \[2\] got a gradient of zeros"):
        audit(run.model, one_step(run))

    run = trainer()
    run.model.fc2.bias.requires_grad = False
    with pytest.raises(AssertionError, match=r"fc2.bias got no gradient"):
        audit(run.model, one_step(run))

    run = trainer(Recipe(lr=0.0))
    with pytest.raises(AssertionError, match=r"fc3.weight did not move"):
        audit(run.model, one_step(run))

    run = trainer()
    run.model.fc1.weight.detach().numpy()[0, 0] = np.nan
    with pytest.raises(AssertionError, match="NaN or infinity"):
        audit(run.model, one_step(run))


# Surroundings


def test_quick(monkeypatch):
    for value, wanted in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("MYTENSOR_QUICK", value)
        assert training.quick() is wanted


def test_curves_and_their_sentence():
    pytest.importorskip("matplotlib")
    from mytensor.inspect.figure import figure
    from mytensor.plots import training_curves, training_sentence

    run = trainer()
    run.fit(progress=False)
    sentence = training_sentence(run.history, TRAIN.source)
    assert "synthetic stand-in, 2 epochs" in sentence
    fig = training_curves(run.history, TRAIN.source)
    lines = fig.axes[0].lines
    assert len({line.get_marker() for line in lines}) == len({line.get_linestyle() for line in lines}) == 2
    data, _ = figure(fig, sentence)._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG") and data["text/plain"] == sentence


def test_the_train_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mytensor.__main__.synthetic", lambda n, seed: synthetic(n // 100, seed))
    out = tmp_path / "run"
    arguments = ["train", "--synthetic", "--images", "320", "--batch-size", "32", "--out", str(out)]
    assert main([*arguments, "--epochs", "1"]) == 0
    told = capsys.readouterr().out
    assert "on synthetic stand-in after 1 epochs" in told
    device, why = choose_device()
    assert f"device {device} ({why})" in told
    assert main([*arguments, "--epochs", "2"]) == 1
    assert "--resume continues it" in capsys.readouterr().err
    assert main(["train", "--synthetic", "--images", "320", "--out", str(out), "--epochs", "2", "--resume"]) == 0
    record = json.loads((out / "history.json").read_text())
    assert len(record["history"]) == 2 and record["source"] == "synthetic stand-in"
    assert (record["device"], record["device_because"]) == (device, why)
    assert record["recipe"]["batch_size"] == 32, "a resumed run keeps its recipe"
    assert main([*arguments, "--epochs", "3", "--resume", "--lr", "1"]) == 1
    assert "lr=0.01; this run has lr=1.0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "--kernel", "conv2d"])
    assert "OP=NAME is wanted" in capsys.readouterr().err


def test_a_run_resumed_with_another_kernel_says_so(tmp_path):
    run = trainer(SHORT, tmp_path / "lenet.safetensors")
    run.save()
    try:
        mt.use_kernel("conv2d", "im2col_naive")
        with pytest.warns(UserWarning, match="im2col_naive.*in other bits"):
            run.resume()
    finally:
        mt.use_kernel("conv2d", None)
