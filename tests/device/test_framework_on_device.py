"""The framework follows its tensors: creation, batches, optimizer, trainer and checkpoints on a device."""

import json

import mytensor_backend as backend
import numpy as np
import pytest

import mytensor as mt
from mytensor.__main__ import main
from mytensor.data import Batches, synthetic
from mytensor.training import Recipe, Trainer, evaluate, predict

TRAIN, TEST = synthetic(40, 0), synthetic(12, 1)
RECIPE = Recipe(epochs=1, batch_size=16, augment=True)


def numbers(tensor: mt.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def trained(device: str, checkpoint=None, **options) -> Trainer:
    mt.manual_seed(3)
    return Trainer(mt.models.LeNet(), TRAIN, TEST, RECIPE, checkpoint, device=device, **options)


@pytest.mark.parametrize("make", (mt.rand, mt.randn, mt.zeros, mt.ones), ids=lambda make: make.__name__)
@pytest.mark.parametrize("dtype", (mt.float32, mt.float64), ids=lambda dtype: dtype.name)
def test_new_tensors_hold_the_same_bits_on_every_device(make, dtype, device):
    results = []
    for where in ("cpu", device):
        mt.manual_seed(11)
        results.append(make(3, 7, dtype=dtype, device=where))
    assert results[1].device == device
    np.testing.assert_array_equal(numbers(results[0]), numbers(results[1]))


def test_what_is_made_like_a_tensor_is_made_beside_it(device):
    x = mt.ones(2, 3, device=device)
    made = [mt.rand_like(x), mt.randn_like(x), mt.zeros_like(x), mt.full_like(x, 2.0), mt.where(x > 0, x, 0.0)]
    made += [mt.arange(4, device=device), mt.eye(3, device=device), x[mt.tensor([1, 0])], x * 2 + 1]
    assert {tensor.device for tensor in made} == {device}


def test_a_tensor_of_a_tensor_stays_where_it_is(device):
    x = mt.ones(2, 3, device=device)
    assert mt.tensor(x).device == mt.tensor(x, dtype=mt.int64).device == mt.Tensor(x).device == device
    assert mt.tensor(x, device="cpu").device == mt.tensor([1.0]).device == "cpu"


def test_numpy_arrays_that_a_function_returns_go_to_the_device_of_its_inputs(device):
    class Twice(mt.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.cpu().numpy() * 2

        @staticmethod
        def backward(ctx, upstream):
            return upstream.cpu().numpy() * 2

    x = mt.ones(3, device=device, requires_grad=True)
    y = Twice.apply(x)
    (y * mt.arange(3, device=device).float()).sum().backward()
    assert y.device == x.grad.device == device
    np.testing.assert_array_equal(numbers(x.grad), [0, 2, 4])


def test_outputs_that_nothing_used_get_zeros_on_the_device(device):
    class Halves(mt.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return backend.narrow(x, 0, 0, 2), backend.narrow(x, 0, 2, 2)

        @staticmethod
        def backward(ctx, first, second):
            assert (first.device, second.device) == (device, device)
            return backend.cat([first, second], 0)

    x = mt.ones(4, device=device, requires_grad=True)
    Halves.apply(x)[1].sum().backward()
    np.testing.assert_array_equal(numbers(x.grad), [0, 0, 1, 1])


def test_batches_are_the_same_bits_on_every_device(device):
    ours, theirs = (Batches(TRAIN, 16, seed=5, augment=True, device=where) for where in ("cpu", device))
    for (images, labels), (other_images, other_labels) in zip(ours.epoch(2), theirs.epoch(2), strict=True):
        assert other_images.device == other_labels.device == device
        np.testing.assert_array_equal(numbers(images), numbers(other_images))
        np.testing.assert_array_equal(numbers(labels), numbers(other_labels))


def test_a_run_that_is_resumed_ends_in_the_same_bits_and_goes_on_elsewhere(device, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    whole = trained(device)
    whole.fit(progress=False)
    assert {parameter.device for parameter in whole.model.parameters()} == {device}

    class Stop(Exception):
        pass

    def stop_after_two(model, *_):
        if cut.step == 2:
            raise Stop

    cut = trained(device, path, checkpoint_every=1)
    cut.train_step = lambda images, labels, step=cut.train_step: (stop_after_two(cut), step(images, labels))[1]
    with pytest.raises(Stop):
        cut.fit(progress=False)
    resumed = trained(device, path)
    resumed.resume()
    assert resumed.step == 2
    resumed.fit(progress=False)
    for ours, theirs in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        np.testing.assert_array_equal(numbers(ours), numbers(theirs))
    assert whole.history[0]["test_loss"] == resumed.history[0]["test_loss"]

    on_cpu = trained("cpu", path)
    on_cpu.resume()
    assert on_cpu.model.conv1.weight.device == "cpu"
    np.testing.assert_allclose(evaluate(on_cpu.model, TEST), evaluate(resumed.model, TEST), rtol=1e-5)
    np.testing.assert_allclose(predict(on_cpu.model, TEST), predict(resumed.model, TEST), rtol=1e-3, atol=1e-6)


def test_the_train_command_on_a_device(device, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mytensor.__main__.synthetic", lambda count, seed: synthetic(24, seed))
    arguments = ["train", "--synthetic", "--epochs", "1", "--device", device, "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert f"device {device}" in capsys.readouterr().out
    record = json.loads((tmp_path / "history.json").read_text(encoding="utf-8"))
    assert record["device"] == device
    assert np.isfinite(record["history"][0]["test_loss"])
