"""A training step of LeNet on a device: forward, gradients and update, each number of them.

Every operation of the step is held to what float64 makes of the numbers that this operation was given on the device,
with the bound of its own rounding: sums of K products are within (K + 2) eps of the sum of the products' magnitudes, in
any order of the additions (Higham, "Accuracy and Stability of Numerical Algorithms", 3.1; eps is twice the unit
roundoff); what only selects (ReLU, pooling and their derivatives) is exact. The CPU's step passes the same test. A
worst-case bound carried through the whole step would say nothing: after ten operations it is larger than the gradients.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

import mytensor as mt
from mytensor.check.comparison import within
from mytensor.lab.bounds import sum_of_products_bound

EPS = float(np.finfo(np.float32).eps)
IMAGES, LR = 5, 0.1


class Step:
    """One step of LeNet from the weights of seed 1.

    value, gradient: of "x" (the images), "conv1", "relu1", "pool1", ... "fc3" (outputs of the operations) and of the
    parameters. moved: the parameters after the step.
    """

    def __init__(self, device: str, images: np.ndarray, labels: np.ndarray):
        mt.manual_seed(1)
        model = mt.models.LeNet().to(device)
        optimizer = mt.optim.SGD(model.parameters(), lr=LR, momentum=0.9)
        x = mt.tensor(images, device=device, requires_grad=True)
        conv1 = model.conv1(x)
        relu1 = conv1.relu()
        pool1 = mt.nn.functional.max_pool2d(relu1, 2)
        conv2 = model.conv2(pool1)
        relu2 = conv2.relu()
        pool2 = mt.nn.functional.max_pool2d(relu2, 2)
        flat = pool2.flatten(1)
        fc1 = model.fc1(flat)
        relu3 = fc1.relu()
        fc2 = model.fc2(relu3)
        relu4 = fc2.relu()
        fc3 = model.fc3(relu4)
        tensors = {"x": x, "conv1": conv1, "relu1": relu1, "pool1": pool1, "conv2": conv2, "relu2": relu2}
        tensors |= {"pool2": pool2, "flat": flat, "fc1": fc1, "relu3": relu3, "fc2": fc2, "relu4": relu4, "fc3": fc3}
        for tensor in tensors.values():
            tensor.retain_grad()
        assert (model(x).detach() == fc3.detach()).sum().item() == fc3.numel()  # what stands here is the model
        self.labels = torch.from_numpy(labels)
        self.loss = mt.nn.functional.cross_entropy(fc3, mt.tensor(labels, device=device))
        self.loss.backward()
        tensors |= dict(model.named_parameters())
        assert {tensor.grad.device for tensor in tensors.values()} == {device}
        self.value = {name: exact(tensor.detach()) for name, tensor in tensors.items()}
        self.gradient = {name: exact(tensor.grad) for name, tensor in tensors.items()}
        optimizer.step()
        self.moved = {name: exact(parameter.detach()) for name, parameter in model.named_parameters()}


def exact(tensor: mt.Tensor) -> torch.Tensor:
    """A copy in float64."""
    return torch.from_numpy(tensor.cpu().numpy().astype(np.float64))


def check_products(got: torch.Tensor, of, a: torch.Tensor, b: torch.Tensor, length: int, what: str, added=None) -> None:
    """got is of(a, b) + added: sums of `length` products."""
    added = torch.zeros(()) if added is None else added
    bound = sum_of_products_bound(length, np.float32) * (of(a.abs(), b.abs()) + added.abs())
    within(got, of(a, b) + added, bound, what)


def check_linear(step: Step, name: str, before: str) -> None:
    """(N, in) -> (N, out): value and gradients of one fully connected layer."""
    x, weight, bias = step.value[before], step.value[f"{name}.weight"], step.value[f"{name}.bias"]
    u = step.gradient[name]
    check_products(step.value[name], F.linear, x, weight, x.shape[1], name, bias)
    check_products(step.gradient[f"{name}.weight"], lambda u, x: u.T @ x, u, x, len(x), f"{name}.weight")
    check_sum(step.gradient[f"{name}.bias"], u, (0,), f"{name}.bias")
    check_products(step.gradient[before], torch.matmul, u, weight, u.shape[1], f"gradient of {before}")


def check_conv(step: Step, name: str, before: str) -> None:
    """(N, C, H, W) -> (N, K, H, W): value and gradients of one convolution."""
    x, weight, bias = step.value[before], step.value[f"{name}.weight"], step.value[f"{name}.bias"]
    u = step.gradient[name]
    terms = weight[0].numel()
    check_products(
        step.value[name], lambda x, w: F.conv2d(x, w, padding=1), x, weight, terms, name, bias[:, None, None]
    )
    check_products(
        step.gradient[f"{name}.weight"],
        lambda u, x: conv2d_weight(x, weight.shape, u, padding=1),
        u,
        x,
        u[:, 0].numel(),
        f"{name}.weight",
    )
    check_sum(step.gradient[f"{name}.bias"], u, (0, 2, 3), f"{name}.bias")
    check_products(
        step.gradient[before],
        lambda u, w: conv2d_input(x.shape, w, u, padding=1),
        u,
        weight,
        weight[:, 0].numel(),
        f"gradient of {before}",
    )


def check_sum(got: torch.Tensor, x: torch.Tensor, dims: tuple[int, ...], what: str) -> None:
    terms = x.numel() // got.numel()
    within(got, x.sum(dims), terms * EPS * x.abs().sum(dims), what)


def check_selection(step: Step, name: str, before: str, function) -> None:
    """What only selects is exact: torch's value and derivative at the device's numbers."""
    x = step.value[before].clone().requires_grad_()
    y = function(x)
    y.backward(step.gradient[name])
    within(step.value[name], y.detach(), 0, name)
    within(step.gradient[before], x.grad, 0, f"gradient of {before}")


def check_loss(step: Step) -> None:
    """x - maximum is rounded by eps / 2 of it, a relative error of its exponential; then sums of `classes` terms."""
    logits = step.value["fc3"].clone().requires_grad_()
    classes, size = logits.shape[1], logits.detach().abs().max()
    loss = F.cross_entropy(logits, step.labels)
    loss.backward()
    relative = (2 * classes + 20 + 4 * size) * EPS
    within(exact(step.loss.detach()), loss.detach(), relative * (1 + loss.detach()), "loss")
    p = torch.softmax(logits.detach(), 1)
    within(step.gradient["fc3"], logits.grad, relative * p / IMAGES + 4 * EPS * logits.grad.abs(), "gradient of fc3")


def check_step(step: Step) -> None:
    check_conv(step, "conv1", "x")
    check_selection(step, "relu1", "conv1", F.relu)
    check_selection(step, "pool1", "relu1", lambda x: F.max_pool2d(x, 2))
    check_conv(step, "conv2", "pool1")
    check_selection(step, "relu2", "conv2", F.relu)
    check_selection(step, "pool2", "relu2", lambda x: F.max_pool2d(x, 2))
    check_selection(step, "flat", "pool2", lambda x: x.flatten(1))
    check_linear(step, "fc1", "flat")
    check_selection(step, "relu3", "fc1", F.relu)
    check_linear(step, "fc2", "relu3")
    check_selection(step, "relu4", "fc2", F.relu)
    check_linear(step, "fc3", "relu4")
    check_loss(step)
    for name, moved in step.moved.items():  # the first step: the velocity is the gradient
        before, gradient = step.value[name], step.gradient[name]
        within(moved, before - LR * gradient, 2 * EPS * (before.abs() + LR * gradient.abs()), f"{name} after the step")


def draw_batch(rng) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(IMAGES, 3, 32, 32)).astype(np.float32), rng.integers(0, 10, IMAGES)


def test_a_step_is_right_operation_by_operation(device, rng):
    check_step(Step(device, *draw_batch(rng)))


def test_the_cpu_is_held_to_the_same_bounds(rng):
    check_step(Step("cpu", *draw_batch(rng)))


def test_device_and_cpu_agree(device):
    """A fixed batch without near ties: the two differ by rounding, a few units of the largest element's last place."""
    batch = draw_batch(np.random.default_rng(0))
    ours, cpu = Step(device, *batch), Step("cpu", *batch)
    for kind in ("value", "gradient", "moved"):
        for name, wanted in getattr(cpu, kind).items():
            within(getattr(ours, kind)[name], wanted, 64 * EPS * wanted.abs().max(), f"{kind} of {name}")


def test_a_step_on_simt_has_the_same_bits_in_every_order(rng):
    batch, steps = draw_batch(rng), []
    for order in ("ascending", "descending"):
        with mt.simt.order(order):
            steps.append(Step("simt", *batch))
    for kind in ("value", "gradient", "moved"):
        for name, first in getattr(steps[0], kind).items():
            within(getattr(steps[1], kind)[name], first, 0, f"{kind} of {name}")
