"""Cases of training: the batch gathered, the optimizer's step, a whole step of a network, and its evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from mytensor.workbook.check import mutants, references
from mytensor.workbook.check.cases.case import Arrays, Call, Case, Draw, Options
from mytensor.workbook.check.cases.family import family
from mytensor.workbook.check.comparison import CheckFailed

_SGD_OPTIONS: tuple[Options, ...] = (
    {"lr": 0.1},
    {"lr": 0.05, "momentum": 0.9},
    {"lr": 0.1, "weight_decay": 0.2},
    {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1, "nesterov": True},
    {"lr": 0.05, "momentum": 0.9, "dampening": 0.5},
)


@family(
    "sgd",
    "three steps, |error| <= 2·K·eps·(|a| op |b|)",
    mutants.MOMENTUM_FORGOTTEN,
    mutants.WEIGHT_DECAY_FORGOTTEN,
    mutants.DAMPENING_FORGOTTEN,
    mutants.NESTEROV_FORGOTTEN,
)
def _sgd(draw: Draw) -> Iterator[Case]:
    """function: the optimizer class, called as torch.optim.SGD; it takes three steps with drawn gradients."""
    from mytensor.optional import torch

    shapes: tuple[tuple[int, ...], ...] = ((5, 7), (67,))
    for options in _SGD_OPTIONS:
        for shape in shapes:
            arguments = {name: draw.normal(*shape) for name in ("parameter", "first", "second", "third")}
            yield Case(arguments, torch.optim.SGD, options, 12, _sgd_magnitude, trainable=[], call=_three_steps)


def _three_steps(optimizer_class: Callable[..., Any], tensors: list, options: Options) -> Any:
    """The parameter after a step with each of the gradients."""
    parameter, *gradients = tensors
    parameter = parameter.requires_grad_()
    optimizer = optimizer_class([parameter], **options)
    for gradient in gradients:
        parameter.grad = gradient
        optimizer.step()
    return parameter.detach()


def _sgd_magnitude(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    """Every term of the three steps in absolute value; none has a factor above 2, as (1 + momentum)^3 comes with lr."""
    total = np.zeros_like(wanted["output"])
    for values in arguments.values():
        total += np.abs(values.astype(np.float64))
    return {"output": 2 * total}


@family("gather_batch", "|error| <= 6·eps·(|x| + |mean|) / std")
def _gather_batch(draw: Draw) -> Iterator[Case]:
    """function(images uint8 (N, C, H, W), index, mean, std, flip, crop, padding), NDArrays, -> float32."""
    if draw.dtype != np.float32:
        return
    for count, flip, crop, padding in (
        (5, False, False, 0),
        (7, True, False, 0),
        (6, True, True, 2),
        (0, False, False, 0),
    ):
        arguments = {
            "images": draw.integers(0, 256, 9, 3, 6, 7).astype(np.uint8),
            "index": draw.integers(0, 9, count),
            "mean": draw.positive(3) / 2,
            "std": draw.positive(3),
            "flip": draw.integers(0, 2, count).astype(np.uint8),
            "crop": draw.integers(0, 2 * padding + 1, count, 2),
        }
        call = _gather_call(flip, crop, padding)
        yield Case(arguments, references.gather_batch, {}, 3, _gather_magnitude, trainable=[], call=call)


def _gather_call(flip: bool, crop: bool, padding: int) -> Call:
    """A call with the drawn flips and crops, or with None in their place."""

    def call(function: Callable[..., Any], tensors: list, options: Options) -> Any:
        if function is references.gather_batch:
            arrays = [tensor.numpy() for tensor in tensors]
        else:
            arrays = [getattr(tensor, "array", tensor) for tensor in tensors]
        images, index, mean, std, flips, crops = arrays
        return function(images, index, mean, std, flips if flip else None, crops if crop else None, padding)

    return call


def _gather_magnitude(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    mean, std = (arguments[name].astype(np.float64)[:, None, None] for name in ("mean", "std"))
    return {"output": np.broadcast_to((1 + np.abs(mean)) / std, wanted["output"].shape)}


# ---------------------------------------------------------------------------------------------------------------------
# A step of LeNet
# ---------------------------------------------------------------------------------------------------------------------

# The layers of mytensor.models.LeNet, which is also torch's TorchLeNet: the weight's shape and the fan-in.
_LENET: dict[str, tuple[tuple[int, ...], int]] = {
    "conv1": ((6, 3, 3, 3), 27),
    "conv2": ((16, 6, 3, 3), 54),
    "fc1": ((120, 1024), 1024),
    "fc2": ((84, 120), 120),
    "fc3": ((10, 84), 84),
}
_STEP_BATCH = 5


def _lenet_weights(start: int) -> Arrays:
    """Weights in float64 that keep the signal's size (He et al., 2015), and biases that are not 0."""
    rng = np.random.default_rng(start)
    weights = {}
    for layer, (shape, fan_in) in _LENET.items():
        weights[f"{layer}.weight"] = rng.standard_normal(shape) * np.sqrt(2 / fan_in)
        weights[f"{layer}.bias"] = rng.standard_normal(shape[0]) / 10
    return weights


@family(
    "training_step",
    "one step, rounding followed from layer to layer",
    mutants.GRADIENTS_NOT_CLEARED,
    mutants.STEP_FORGOTTEN,
    mutants.LABELS_OF_OTHER_IMAGES,
    mutants.STEP_OF_A_SMALLER_LOSS,
    mutants.WEIGHT_DECAY_FORGOTTEN,
)
def _training_step(draw: Draw) -> Iterator[Case]:
    """function(model, optimizer, images, labels) trains LeNet by one step, with gradients left from a step before.

    Judged, a case each: every parameter's gradient and its new value. In float64 alone: in float32 a ReLU or a maximum
    may tip the other way by rounding, and then no bound holds.
    """
    if draw.dtype != np.float64:
        return
    images, labels = draw.normal(_STEP_BATCH, 3, 32, 32), draw.integers(0, 10, _STEP_BATCH)
    labels[:2] = 3, 7  # not all the same: labels of other images must make a difference
    start = int(draw.integers(0, 2**31))
    sizes = _gradient_sizes(images, labels, start)
    for name in _lenet_weights(start):
        options: Options = {"of": name, "start": start, "lr": 0.1, "weight_decay": 0.2}
        magnitude = partial(_step_magnitude, sizes[name])
        arguments = {"images": images, "labels": labels}
        yield Case(arguments, _torch_step, options, 1, magnitude, trainable=[], call=_one_step)


def _torch_step(model: Any, optimizer: Any, images: Any, labels: Any) -> None:
    from mytensor.optional import torch

    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()


def _one_step(function: Callable[..., Any], tensors: list, options: Options) -> np.ndarray:
    """(2, *shape): the gradient of the parameter `of` and its value after the step."""
    images, labels = tensors
    model, optimizer = _lenet_and_sgd(images, options)
    function(model, optimizer, images, labels)
    parameter = dict(model.named_parameters())[options["of"]]
    if parameter.grad is None:
        raise CheckFailed(f"training_step: {options['of']} got no gradient")
    return np.stack([parameter.grad.detach().numpy(), parameter.detach().numpy()])


def _lenet_and_sgd(images: Any, options: Options) -> tuple[Any, Any]:
    """LeNet of the framework that the images are of, and its SGD; every parameter has an old gradient of ones."""
    import mytensor
    from mytensor import models, random
    from mytensor.lab.compare.twin import TorchLeNet
    from mytensor.optional import torch

    state = random.get_state()
    with torch.random.fork_rng(devices=[]):
        is_torch = isinstance(images, torch.Tensor)
        library: Any = torch if is_torch else mytensor
        model: Any = (TorchLeNet() if is_torch else models.LeNet()).double()
    random.set_state(state)  # the weights that were just drawn are replaced: the caller's numbers go on as if undrawn
    model.load_state_dict({name: library.tensor(values) for name, values in _lenet_weights(options["start"]).items()})
    for parameter in model.parameters():
        parameter.grad = library.ones(*parameter.shape, dtype=library.float64)
    return model, library.optim.SGD(model.parameters(), lr=options["lr"], weight_decay=options["weight_decay"])


def _step_magnitude(size: np.ndarray, arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    gradient, parameter = wanted["output"]
    return {"output": np.stack([size, size + 4 * (np.abs(parameter) + np.abs(gradient))])}


def _gradient_sizes(images: np.ndarray, labels: np.ndarray, start: int) -> Arrays:
    """By parameter: how far its gradient may be off, in units of eps, followed through the network in both directions.

    A layer hands the error of its input on by its weights' absolute values, and adds the rounding of its own sums: K
    times the sum of the terms' absolute values (Higham, section 3.1). ReLU and maximum hand on what they let through.
    """
    from mytensor.optional import torch

    F, vjp = torch.nn.functional, torch.func.vjp

    def let_through(layer: str, z: Any, values: Any) -> Any:
        """What ReLU and maximum, at this layer's sums z, let through of `values`."""
        if layer == "fc3":
            return values
        values = values * (z > 0)
        if not layer.startswith("conv"):
            return values
        place = F.max_pool2d(z.relu(), 2, return_indices=True)[1]
        values = values.flatten(2).gather(2, place.flatten(2)).view_as(place)
        return values.flatten(1) if layer == "conv2" else values

    weights = {name: torch.tensor(values) for name, values in _lenet_weights(start).items()}
    x, error = torch.tensor(images), torch.zeros(images.shape, dtype=torch.float64)  # of one layer's input
    passed = []
    for layer, (shape, fan_in) in _LENET.items():
        apply: Any = partial(F.conv2d, padding=1) if len(shape) == 4 else F.linear
        own = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
        sizes = own[0].abs(), own[1].abs()
        z = apply(x, *own)
        z_error = apply(error, sizes[0]) + (fan_in + 1) * apply(x.abs(), *sizes)
        passed.append((layer, apply, x, error, own, sizes, z))
        x, error = let_through(layer, z, z), let_through(layer, z, z_error)

    # A probability changes by at most 2 p times the largest change of a logit; exp, sum and quotient round too.
    p, y = torch.softmax(x, 1), F.one_hot(torch.tensor(labels), x.shape[1])
    upstream = (p - y) / len(images)
    error = (2 * p * error.amax(1, keepdim=True) + 20 * (p + y)) / len(images)
    found = {}
    for layer, apply, x, x_error, own, sizes, z in reversed(passed):
        back: Any = vjp(partial(let_through, layer, z), z)[1]
        upstream, error = back(upstream)[0], back(error)[0]
        terms = upstream.numel() // upstream.shape[1] + own[0].numel() // own[0].shape[1]  # of a weight, of an input
        from_input, of_weight, of_bias = vjp(apply, x.abs(), *sizes)[1](error + terms * upstream.abs())
        of_weight = of_weight + vjp(apply, x_error, *sizes)[1](upstream.abs())[1]
        found[f"{layer}.weight"], found[f"{layer}.bias"] = of_weight.numpy(), of_bias.numpy()
        upstream, error = vjp(apply, x, *own)[1](upstream)[0], from_input
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Evaluation
# ---------------------------------------------------------------------------------------------------------------------

_EVALUATED_CLASSES = 4


@family(
    "evaluate",
    "|error| <= 2·K·eps·(|loss| + |logits|)",
    mutants.MEAN_OF_BATCHES,
    mutants.LAST_IMAGE_LEFT_OUT,
)
def _evaluate(draw: Draw) -> Iterator[Case]:
    """function(model, dataset) -> (mean loss, accuracy), called as mytensor.training.evaluate.

    The numbers of images are no multiple of any batch size, and the images at the end are all mistaken: who takes the
    mean of the batches' means, or leaves the rest out, gets other numbers.
    """
    if draw.dtype != np.float32:
        return
    for count, rest in ((1203, 203), (7, 1)):
        images = draw.integers(0, 256, count, 3, 3, 5).astype(np.uint8)
        logits = references.pixel_logits(images, _EVALUATED_CLASSES)
        labels = np.where(draw.integers(0, 2, count) > 0, logits.argmax(axis=1), draw.integers(0, 4, count))
        labels[-rest:] = logits[-rest:].argmin(axis=1)
        images[0].reshape(-1)[:3] = 9, 200, 200  # of equal logits the first counts, as in torch
        labels[0] = 1
        yield Case(
            {"images": images, "labels": labels},
            references.evaluate,
            length=count + _EVALUATED_CLASSES + 4,  # the losses are added up in float32
            magnitude=_evaluation_magnitude,
            trainable=[],
            call=_evaluate_by,
            dtype=np.dtype(np.float64),
        )


def _evaluate_by(function: Callable[..., Any], tensors: list, options: Options) -> np.ndarray:
    """(2,): mean loss and accuracy, by a model whose logits are an image's first pixels while it evaluates."""
    images, labels = (tensor.numpy() for tensor in tensors)
    if function is references.evaluate:
        return np.array(function(images, labels, _EVALUATED_CLASSES))
    from mytensor import nn
    from mytensor.data import ImageDataset

    class Pixels(nn.Module):
        """Like dropout, it does something else while it trains."""

        def forward(self, x: Any) -> Any:
            return (x.flatten(1)[:, :_EVALUATED_CLASSES]) * (0 if self.training else 3)

    model = Pixels()
    names = tuple(str(number) for number in range(_EVALUATED_CLASSES))
    result = np.array(function(model, ImageDataset(images, labels, names, "drawn")), np.float64)
    if not model.training:
        raise CheckFailed("evaluate: the model is left in evaluation mode")
    return result


def _evaluation_magnitude(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    """The mean loss and the largest logit; of the accuracy, which is counted, one rounding."""
    loss, accuracy = wanted["output"]
    return {"output": np.array([loss + 3, accuracy])}
