"""PyTorch at its best: the ways in which it can run the same training step, tried on this machine, the fastest kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import mytensor as mt
from mytensor.data import ImageDataset
from mytensor.lab.compare.sides import Torch
from mytensor.lab.compare.twin import TorchLeNet, copy_weights, torch_recipe
from mytensor.optional import torch
from mytensor.timing import Stopwatch
from mytensor.training import Recipe, set_lr

WARM_UP = 11  # steps before a step is captured or timed: compiling, cuDNN's choice of kernels, the velocities
CHECKED = 20  # first steps whose losses must be those of the eager mode
CHECK_TOLERANCE = 1e-3  # relative: float32 rounding grows to about 1e-5 in so many steps, a wrong step shows at once
TIMED, REPEATS = 200, 3


@dataclass(frozen=True)
class Mode:
    """A way to run PyTorch's step. compiled: torch.compile's mode, None: eager; graph: captured by hand into a CUDA
    graph, which replays gathering, forward, backward and the optimizer's step in one launch; fused: the optimizer."""

    compiled: str | None = None
    channels_last: bool = False
    graph: bool = False
    fused: bool = True

    @property
    def name(self) -> str:
        parts = [f"torch.compile ({self.compiled})" if self.compiled else "eager"]
        parts += ["channels_last"] * self.channels_last + ["CUDA graph"] * self.graph
        return ", ".join(parts + ["optimizer not fused"] * (not self.fused))

    def runs_on(self, device: str) -> bool:
        return device == "cuda" or not self.graph


MODES = (
    Mode(),
    Mode(channels_last=True),
    Mode(graph=True),
    Mode(graph=True, channels_last=True),
    Mode("default"),
    Mode("reduce-overhead"),
    Mode("default", graph=True),
)


class Step:
    """One training step of the twin in a mode. images: float32 (N, 3, 32, 32), labels: (N,), both on the device.

    ``step(index)`` trains on the images of these numbers and returns the mean loss, a tensor of its own on the device.
    A batch of another size than the recipe's (an epoch's last) takes the eager way.
    """

    def __init__(self, mode: Mode, recipe: Recipe, images: torch.Tensor, labels: torch.Tensor):
        self.mode, self.recipe, self.labels = mode, recipe, labels
        self.device = images.device
        if not mode.runs_on(self.device.type):
            raise ValueError(f"{mode.name}: a CUDA graph needs a GPU, the images are on {self.device}")
        # Channels last is a view of (N, rows, columns, channels); gathered in that form, since index_select doesn't
        # keep a view's layout.
        self.images = images.permute(0, 2, 3, 1).contiguous() if mode.channels_last else images
        self.model = TorchLeNet().to(self.device)
        if mode.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch forgot it there
        self.optimizer = torch_recipe(self.model, recipe, fused=mode.fused)
        self.loss_of = torch.compile(self._loss, mode=mode.compiled, dynamic=False) if mode.compiled else self._loss
        self.index = torch.zeros(recipe.batch_size, dtype=torch.int64, device=self.device)
        self.graph: torch.cuda.CUDAGraph | None = None
        self._captured_lr: float | None = None
        self._warm_up()

    def start_from(self, start: mt.nn.Module) -> None:
        """Give the model the weights of ours and forget the velocities: all in place, as the captured step writes to
        the same memory."""
        copy_weights(start, self.model)
        for state in self.optimizer.state.values():
            state["momentum_buffer"].zero_()  # then the next step makes it the gradient, as the first one does

    def set_lr(self, lr: float) -> None:
        """The learning rate from now on. It is a constant of a captured step, which is captured again."""
        set_lr(self.optimizer, lr)
        if self.mode.graph and lr != self._captured_lr:
            self._capture(lr)

    def step(self, index: torch.Tensor) -> torch.Tensor:
        if len(index) != len(self.index):
            return self._train(index, self._loss)
        if self.graph is not None:
            self.index.copy_(index)
            self.graph.replay()
            return self.loss.clone()
        if self.mode.compiled == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()
            return self._train(index, self.loss_of).clone()  # its memory is used again by the next step
        return self._train(index, self.loss_of)

    def _loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.model(images), labels)

    def _train(self, index: torch.Tensor, loss_of) -> torch.Tensor:
        images = self.images.index_select(0, index)
        if self.mode.channels_last:
            images = images.permute(0, 3, 1, 2)
        self.optimizer.zero_grad()
        loss = loss_of(images, self.labels.index_select(0, index))
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _warm_up(self) -> None:
        """Steps that don't count: `start_from` undoes what they did to weights and velocities."""
        self.stream = torch.cuda.Stream() if self.mode.graph else None
        if self.stream is None:
            for _ in range(WARM_UP):
                self.step(self.index)
            return
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):  # a capture may not run on the default stream, nor may what it relies on
            for _ in range(WARM_UP):
                self._train(self.index, self.loss_of)
        torch.cuda.current_stream().wait_stream(self.stream)

    def _capture(self, lr: float) -> None:
        """Record the step with this learning rate; nothing is computed."""
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.loss = self._train(self.index, self.loss_of)
        self._captured_lr = lr


class TorchBest(Torch):
    """PyTorch in a mode that `fastest` chose. step: kept from seed to seed, so that nothing is compiled twice."""

    name = "PyTorch at its best"

    def __init__(self, *arguments, step: Step):
        super().__init__(*arguments)
        self.step, self.model = step, step.model
        start = arguments[3]
        step.start_from(start)

    def train_epoch(self, epoch: int) -> Sequence[Any]:
        with cudnn_benchmark():
            self.step.set_lr(self.recipe.lr_at(epoch))
            order = torch.from_numpy(self.order(epoch)).to(self.device)
            losses = [self.step.step(index) for index in order.split(self.recipe.batch_size)]
        return [loss.item() for loss in losses] if self.reads_each_step else losses


class cudnn_benchmark:
    """Inside, cuDNN tries its kernels for a convolution's sizes and keeps the fastest."""

    def __enter__(self):
        self.before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = True

    def __exit__(self, *exception):
        torch.backends.cudnn.benchmark = self.before


def fastest(
    recipe: Recipe, train_set: ImageDataset, images: torch.Tensor, start: mt.nn.Module, modes: Iterable[Mode] = MODES
) -> tuple[Step, list[dict[str, Any]]]:
    """(the fastest right step, what became of each mode): each trains from ``start`` on the same batches.

    Of a mode: name, and either `milliseconds` a step (the best of REPEATS times TIMED steps), `largest_deviation` (of
    the first CHECKED losses from the eager mode's, relative) and `right`; or `problem`, why it can't run here.
    RuntimeError: none is right.
    """
    labels = torch.from_numpy(train_set.labels).to(images.device)
    order = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(0)).to(images.device)
    batches = [index for index in order.split(recipe.batch_size) if len(index) == recipe.batch_size]
    trials: list[dict[str, Any]] = []
    best: tuple[float, Step] | None = None
    wanted = _first_losses(Step(Mode(), recipe, images, labels), start, batches)
    for mode in modes:
        if not mode.runs_on(images.device.type):
            continue
        trial: dict[str, Any] = {"name": mode.name}
        trials.append(trial)
        try:
            with cudnn_benchmark():
                step = Step(mode, recipe, images, labels)
                deviation = largest_deviation(_first_losses(step, start, batches), wanted)
                milliseconds = 1e3 * min(_seconds_a_step(step, batches) for _ in range(REPEATS))
        except Exception as error:  # whatever it is: no Triton, no compiler ... is a finding about this machine
            trial["problem"] = in_one_line(error)
            continue
        right = deviation <= CHECK_TOLERANCE  # nan is wrong
        trial |= {"milliseconds": milliseconds, "largest_deviation": deviation, "right": right}
        if right and (best is None or milliseconds < best[0]):
            best = milliseconds, step
    if best is None:
        raise RuntimeError(f"no mode of PyTorch's step ran rightly here: {trials}")
    return best[1], trials


def mode_named(name: str) -> Mode:
    """The mode of MODES with this name."""
    return next(mode for mode in MODES if mode.name == name)


def _first_losses(step: Step, start: mt.nn.Module, batches: list[torch.Tensor]) -> list[float]:
    step.start_from(start)
    step.set_lr(step.recipe.lr)
    losses = [step.step(batches[number % len(batches)]) for number in range(CHECKED)]
    return [loss.item() for loss in losses]


def largest_deviation(losses: Sequence[float], wanted: Sequence[float]) -> float:
    """Of the losses from those that are right, relative; nan where one is."""
    return float(np.max(np.abs(np.subtract(losses, wanted)) / wanted))


def _seconds_a_step(step: Step, batches: list[torch.Tensor]) -> float:
    _wait(step.device)
    with Stopwatch() as watch:
        for number in range(TIMED):
            step.step(batches[number % len(batches)])
        _wait(step.device)
    return watch.seconds / TIMED


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_one_line(error: Exception) -> str:
    """An error's kind and first line, without this machine's folders."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: " + re.sub(r"/[\w./-]+", "...", lines[0])[:160]
