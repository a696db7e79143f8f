"""The SGD step against torch.optim.SGD, and batches against the formula, element by element."""

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from arrays import FLOATING, draw, for_all_threads, nd, same

pytestmark = pytest.mark.usefixtures("poisoned_memory")

SETTINGS = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.01},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.02},
    {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02},
    {"lr": 0.0, "momentum": 0.5},
]
SHAPES = [(6, 3, 5, 5), (6,), (), (0, 4), (33, 17), (1,)]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("dtype", FLOATING)
def test_sgd_steps(dtype, settings, rng):
    ours = [draw(rng, shape, dtype) for shape in SHAPES]
    theirs = [torch.from_numpy(array.astype(np.float64)).requires_grad_() for array in ours]
    optimizer = torch.optim.SGD(theirs, **settings)
    parameters = [nd(array) for array in ours]
    momentum = settings.get("momentum", 0.0)
    velocities = [backend.empty(shape, parameters[0].dtype) for shape in SHAPES] if momentum else []
    for step in range(4):
        gradients = [draw(rng, shape, dtype) for shape in SHAPES]
        for tensor, gradient in zip(theirs, gradients, strict=True):
            tensor.grad = torch.from_numpy(gradient.astype(np.float64))
        optimizer.step()
        backend.sgd_step_(
            parameters,
            [nd(gradient) for gradient in gradients],
            velocities,
            settings["lr"],
            momentum,
            settings.get("dampening", 0.0),
            settings.get("weight_decay", 0.0),
            settings.get("nesterov", False),
            step == 0,
        )
        # Numbers of order 10 at most, a dozen roundings a step.
        bound = 12 * 10 * (step + 1) * np.finfo(dtype).eps
        for parameter, tensor in zip(parameters, theirs, strict=True):
            wanted = tensor.detach().numpy()
            got = parameter.numpy()
            assert got.shape == wanted.shape
            assert (np.abs(got - wanted) <= bound).all()
            assert parameter.version == step + 1
        for velocity, tensor in zip(velocities, theirs, strict=bool(velocities)):
            wanted = optimizer.state[tensor]["momentum_buffer"].numpy()
            assert (np.abs(velocity.numpy() - wanted) <= bound).all()
            assert velocity.version == step + 1


def test_gradients_stay_and_nan_spreads():
    gradient = np.array([1.0, np.nan, np.inf], np.float32)
    parameter = nd(np.ones(3, np.float32))
    backend.sgd_step_([parameter], [nd(gradient)], [], 0.5)
    same(parameter, np.array([0.5, np.nan, -np.inf], np.float32))
    np.testing.assert_array_equal(gradient, np.array([1.0, np.nan, np.inf], np.float32))


def test_sgd_errors():
    def arrays(*shapes, dtype=np.float32):
        return [nd(np.zeros(shape, dtype)) for shape in shapes]

    two = arrays((2, 3), (5,))
    cases = [
        ((two, arrays((2, 3)), [], 0.1), ValueError),
        ((two, arrays((2, 3), (4,)), [], 0.1), ValueError),
        ((two, arrays((2, 3), (5,), dtype=np.float64), [], 0.1), TypeError),
        ((two, arrays((2, 3), (5,)), [], 0.1, 0.9), ValueError),
        ((two, arrays((2, 3), (5,)), arrays((2, 3), (6,)), 0.1, 0.9), ValueError),
        ((two, arrays((2, 3), (5,)), [], -0.1), ValueError),
        ((two, arrays((2, 3), (5,)), [], float("nan")), ValueError),
        ((two, arrays((2, 3), (5,)), [], 0.1, 0.0, 0.0, -0.1), ValueError),
        ((two, arrays((2, 3), (5,)), [], 0.1, 0.0, 0.0, 0.0, True), ValueError),
        ((arrays(3, dtype=np.int64), arrays(3, dtype=np.int64), [], 0.1), TypeError),
        (([two[0], two[0]], arrays((2, 3), (2, 3)), [], 0.1), ValueError),
        (([two[0]], arrays((2, 3)), [two[0]], 0.1, 0.9), ValueError),
    ]
    for arguments, error in cases:
        with pytest.raises(error):
            backend.sgd_step_(*arguments)
    assert two[0].version == 0
    backend.sgd_step_([], [], [], 0.1)


def test_sgd_same_bits_for_any_number_of_threads(rng):
    start, gradient, velocity = (draw(rng, (100_003,), np.float32) for _ in range(3))

    def step():
        parameter = nd(start.copy())
        backend.sgd_step_([parameter], [nd(gradient)], [nd(velocity.copy())], 0.1, 0.9, 0.0, 0.01, True)
        return parameter

    for_all_threads(step)


def expected_batch(images, index, mean, std, flip, crop, padding):
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    out = np.empty((len(index), *images.shape[1:]), np.float32)
    for place, row in enumerate(index):
        top, left = crop[place] if crop is not None else (0, 0)
        window = padded[row, :, top : top + height, left : left + width]
        if flip is not None and flip[place]:
            window = window[:, :, ::-1]
        out[place] = (window.astype(np.float32) / np.float32(255) - mean[:, None, None]) / std[:, None, None]
    return out


@pytest.mark.parametrize("shape", ((9, 3, 5, 7), (4, 1, 8, 3), (2, 2, 1, 1), (20, 3, 32, 32)), ids=str)
def test_gather_batch(shape, rng):
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    mean = rng.uniform(0.2, 0.7, shape[1]).astype(np.float32)
    std = rng.uniform(0.2, 0.7, shape[1]).astype(np.float32)
    for batch in (0, 1, 13):
        index = rng.integers(0, shape[0], batch)
        for padding in (0, 2, 9):  # 9: windows that see nothing but padding
            crop = rng.integers(0, 2 * padding + 1, (batch, 2))
            flip = rng.integers(0, 3, batch, dtype=np.uint8)
            for with_flip in (None, flip):
                for with_crop in (None, crop) if padding == 0 else (crop,):
                    wanted = expected_batch(images, index, mean, std, with_flip, with_crop, padding)
                    ours = backend.gather_batch(
                        nd(images),
                        nd(index),
                        nd(mean),
                        nd(std),
                        None if with_flip is None else nd(with_flip),
                        None if with_crop is None else nd(with_crop),
                        padding,
                    )
                    same(ours, wanted)


def test_gather_batch_errors():
    images, index = nd(np.zeros((4, 3, 5, 7), np.uint8)), nd(np.array([0, 3]))
    mean, std = nd(np.zeros(3, np.float32)), nd(np.ones(3, np.float32))
    good = {"images": images, "index": index, "mean": mean, "std": std}
    for change, error in (
        ({"index": nd(np.array([0, 4]))}, IndexError),
        ({"index": nd(np.array([-1, 0]))}, IndexError),
        ({"index": nd(np.array([0, 1], np.int32))}, TypeError),
        ({"images": nd(np.zeros((4, 3, 5, 7), np.float32))}, TypeError),
        ({"images": nd(np.zeros((4, 3, 35), np.uint8))}, ValueError),
        ({"mean": nd(np.zeros(2, np.float32))}, ValueError),
        ({"mean": nd(np.zeros(3))}, TypeError),
        ({"std": nd(np.array([1, 0, 1], np.float32))}, ValueError),
        ({"std": nd(np.array([1, np.nan, 1], np.float32))}, ValueError),
        ({"flip": nd(np.zeros(3, np.uint8))}, ValueError),
        ({"flip": nd(np.zeros(2, np.int64))}, TypeError),
        ({"padding": 2}, ValueError),
        ({"crop": nd(np.array([[0, 0], [0, 5]])), "padding": 2}, ValueError),
        ({"crop": nd(np.array([[-1, 0], [0, 0]])), "padding": 2}, ValueError),
        ({"crop": nd(np.zeros((2, 3), np.int64)), "padding": 2}, ValueError),
        ({"padding": -1}, ValueError),
    ):
        with pytest.raises(error):
            backend.gather_batch(**{**good, **change})
    with pytest.raises(IndexError, match=r"index\[1\] is 4"):
        backend.gather_batch(images, nd(np.array([0, 4])), mean, std)
