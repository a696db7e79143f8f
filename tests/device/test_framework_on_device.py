"""The framework follows its tensors: creation, batches, optimizer, trainer and checkpoints on a device."""

import json

import mytensor_backend as backend
import numpy as np
import pytest
import torch

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


# What torch takes beside the commonest arguments: a function of a library and its F, and the arrays it is called with.
LOGITS = np.random.default_rng(3).normal(size=(4, 5, 3))
SHARES = np.random.default_rng(4).uniform(size=(4, 5, 3))
IMAGES = np.random.default_rng(5).normal(size=(2, 3, 7, 8))
KERNELS = np.random.default_rng(6).normal(size=(4, 3, 3, 2))
WHOLE = np.random.default_rng(7).integers(-(2**62), 2**62, (2, 3, 6, 5))
FEW = np.arange(1, 6)
TAKEN = {
    "probabilities": (lambda t, F, x, p: F.cross_entropy(x, p), LOGITS, SHARES),
    "smoothed probabilities": (
        lambda t, F, x, p: F.cross_entropy(x, p, label_smoothing=0.2, reduction="none"),
        LOGITS,
        SHARES,
    ),
    "weighted probabilities": (
        lambda t, F, x, p, w: F.cross_entropy(x, p, w, reduction="sum"),
        LOGITS,
        SHARES,
        np.linspace(0.1, 2, 5),
    ),
    "sizes of one element": (lambda t, F, x, w: F.conv2d(x, w, None, (2,), [1], (2,)), IMAGES, KERNELS),
    "no stride": (lambda t, F, x: F.avg_pool2d(x, (3,), ()) + F.max_pool2d(x, [3], []), IMAGES),
    "cat beside nothing": (lambda t, F, x, nothing: t.cat([nothing, x, nothing], 1), LOGITS, np.zeros(0)),
    "a single number": (lambda t, F, x: x.transpose(0, -1).permute(()) * 2, np.array(1.5)),
    "cut quotients": (lambda t, F, x, y: x.div(y, rounding_mode="trunc") + x, LOGITS, SHARES),
    "quotients below": (lambda t, F, x, y: x.div(y, rounding_mode="floor") + x, LOGITS, SHARES),
    "fractions of integers": (lambda t, F, a: a / 7, WHOLE),
    "fractions of two integers": (lambda t, F, a, b: a / b, WHOLE, FEW),
    "integers cut": (lambda t, F, a, b: a.div(b, rounding_mode="trunc"), WHOLE, FEW),
    "integers below": (lambda t, F, a, b: a // b, WHOLE, FEW),
    "powers of integers": (lambda t, F, a, b: a**b, WHOLE, FEW),
    "largest integers": (lambda t, F, a: F.max_pool2d(a, 2, ceil_mode=True), WHOLE),
    "largest bytes": (lambda t, F, a: F.max_pool2d(a, 3, 1, 1), WHOLE.astype(np.uint8)),
    "averages of integers": (lambda t, F, a: F.avg_pool2d(a, (2, 3)), WHOLE // 8),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_torch_takes(name, device):
    """The value and every gradient, in float64."""
    function, *arrays = TAKEN[name]
    is_floating = [array.dtype.kind == "f" for array in arrays]
    ours = [mt.tensor(a, device=device, requires_grad=flag) for a, flag in zip(arrays, is_floating, strict=True)]
    theirs = [torch.tensor(a, requires_grad=flag) for a, flag in zip(arrays, is_floating, strict=True)]
    output, wanted = function(mt, mt.nn.functional, *ours), function(torch, torch.nn.functional, *theirs)
    assert output.device == device
    if not wanted.requires_grad:
        np.testing.assert_array_equal(numbers(output), wanted.numpy(), strict=True)
        return
    upstream = np.random.default_rng(8).normal(size=tuple(wanted.shape))
    output.backward(mt.tensor(upstream, device=device))
    wanted.backward(torch.tensor(upstream))
    pairs = [(output, wanted), *((a.grad, b.grad) for a, b in zip(ours, theirs, strict=True))]
    for got, exact in pairs:
        np.testing.assert_allclose(numbers(got), exact.detach().numpy(), rtol=1e-13, atol=1e-13)


def test_no_integer_is_divided_by_zero_on_a_device(device):
    x = mt.tensor([1, 2], device=device)
    for zero in (0, mt.tensor([3, 0], device=device)):
        with pytest.raises(ValueError, match="holds a 0"):
            x // zero


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
