"""The training loop: batches in, weights out, with progress, history, checkpoints and exact resume.

    mt.manual_seed(0)
    trainer = Trainer(mt.models.LeNet(), train_set, test_set, Recipe(), checkpoint="runs/lenet/checkpoint.safetensors")
    trainer.fit()

A run's whole state is the weights, the optimizer's velocities, the running sums of the epoch and two numbers: epoch and
step. Order, flips and crops follow from the seed and the epoch, so a run that is killed and resumed ends in the same
bits as one that never stopped.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import mytensor_backend as backend
import numpy as np
from tqdm.auto import tqdm

from mytensor._tensor import Tensor, tensor
from mytensor.autograd import no_grad
from mytensor.checkpoint import HISTORY, read_run, write_checkpoint
from mytensor.data import CIFAR10_MEAN, CIFAR10_STD, Batches, ImageDataset
from mytensor.files import claimed
from mytensor.nn import Module
from mytensor.nn import functional as F
from mytensor.optim import SGD
from mytensor.recipe import Recipe
from mytensor.settings import whole
from mytensor.timing import Stopwatch

EVALUATION_BATCH = 500  # images; larger ones are no faster and take more memory
REPORT_EVERY = 50  # steps between two readings of the loss for the progress bar


def quick() -> bool:
    """Whether MYTENSOR_QUICK asks for a short run: 2 epochs on 5,000 images, for tests of the notebooks."""
    return os.environ.get("MYTENSOR_QUICK", "") not in ("", "0")


def train_step(model: Module, optimizer: SGD, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """One step of gradient descent; returns the logits and the batch's mean loss."""
    optimizer.zero_grad()
    logits = model(images)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    optimizer.step()
    return logits, loss


class Trainer:
    """Trains a classifier and keeps its history.

    checkpoint: the file to save to (its folder is made), after each epoch and every ``checkpoint_every`` steps; None:
    none. device: where to train, "cpu", "cuda" or "simt"; the model is moved there. None: where the model is. A
    checkpoint may be resumed on another device.

    history: one dict an epoch: epoch (from 1), train_loss, train_accuracy (both averaged over the epoch, while the
    weights change), test_loss, test_accuracy, lr, seconds (of training) and images_per_second.
    """

    def __init__(
        self,
        model: Module,
        train_set: ImageDataset,
        test_set: ImageDataset,
        recipe: Recipe | None = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 200,
        device: str | None = None,
    ):
        for what, images in (("train_set", train_set), ("test_set", test_set)):
            if len(images) == 0:
                raise ValueError(f"Trainer: {what} holds no image; at least one is wanted")
        self.checkpoint_every = whole("checkpoint_every", checkpoint_every, 1)
        self.model, self.train_set, self.test_set = model, train_set, test_set
        self.recipe = recipe = recipe or Recipe()
        if device is not None:
            model.to(device)
        self.device = device_of(model)
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.optimizer = SGD(
            model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        self.batches = Batches(
            train_set,
            recipe.batch_size,
            recipe.seed,
            augment=recipe.augment,
            mean=recipe.mean,
            std=recipe.std,
            device=self.device,
        )
        self.history: list[dict[str, Any]] = []
        self.epoch = 0  # epochs finished
        self.step = 0  # steps finished in the epoch under way
        self._running = _RunningSums(self.device)
        self._seconds = 0.0  # spent on the epoch under way

    def fit(self, progress: bool = True, on_epoch: Callable[[Trainer], None] | None = None) -> list[dict[str, Any]]:
        """Train until ``recipe.epochs`` are done, from wherever the run stands; returns the history.

        progress: show a bar with loss, accuracy and speed. on_epoch: called after each epoch, for live plots.

        Ctrl-C (or the notebook's stop button) ends the run after the step under way, saves, and raises
        KeyboardInterrupt with a sentence that says how to go on.

        OSError, before the first step, where the checkpoint can't be written or another run writes it.
        """
        if self.epoch >= self.recipe.epochs:
            return self.history
        total = self.recipe.epochs * len(self.batches)
        done = self.epoch * len(self.batches) + self.step
        with (
            nullcontext() if self.checkpoint is None else claimed(self.checkpoint),
            tqdm(total=total, initial=done, disable=not progress, unit="step") as bar,
            _deferred_interrupt() as stop,
        ):
            while self.epoch < self.recipe.epochs:
                self._train_epoch(bar, stop)
                row = self._finish_epoch()
                if progress:
                    bar.write(
                        f"epoch {row['epoch']:>2}: train loss {row['train_loss']:.4f}, "
                        f"test loss {row['test_loss']:.4f}, test accuracy {row['test_accuracy']:.2%}, "
                        f"{row['images_per_second']:,.0f} images/s"
                    )
                if on_epoch is not None:
                    on_epoch(self)
                self._stop_if(stop)
        return self.history

    def train_step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One step with the run's model and optimizer; see the function of this name."""
        return train_step(self.model, self.optimizer, images, labels)

    def _train_epoch(self, bar: tqdm, stop: threading.Event) -> None:
        self.model.train()
        set_lr(self.optimizer, self.recipe.lr_at(self.epoch))
        bar.set_description(f"epoch {self.epoch + 1}/{self.recipe.epochs}")
        seconds_before, seen_before = self._seconds, self._running.count
        with Stopwatch(self.device) as watch:
            for images, labels in self.batches.epoch(self.epoch, start=self.step):
                logits, loss = self.train_step(images, labels)
                self._running.add(logits, loss, labels)
                self.step += 1
                bar.update()
                self._seconds = seconds_before + watch.seconds
                if self.step % REPORT_EVERY == 0:
                    mean_loss, accuracy = self._running.means()
                    speed = (self._running.count - seen_before) / watch.seconds
                    bar.set_postfix_str(f"loss {mean_loss:.3f}, accuracy {accuracy:.1%}, {speed:,.0f} images/s")
                if self.step % self.checkpoint_every == 0:
                    self.save()
                self._stop_if(stop)

    def _finish_epoch(self) -> dict[str, Any]:
        """Measure, note and save the epoch whose steps are done."""
        train_loss, train_accuracy = self._running.means()
        test_loss, test_accuracy = evaluate(self.model, self.test_set, self.recipe.mean, self.recipe.std)
        lr, speed = self.recipe.lr_at(self.epoch), len(self.train_set) / self._seconds
        values = (self.epoch + 1, train_loss, train_accuracy, test_loss, test_accuracy, lr, self._seconds, speed)
        row = dict(zip(HISTORY, values, strict=True))
        history, sums = [*self.history, row], _RunningSums(self.device)
        # In one statement, so that nothing comes between: an epoch that is counted has its row.
        self.history, self.epoch, self.step, self._seconds, self._running = history, self.epoch + 1, 0, 0.0, sums
        self.save()
        return row

    def _stop_if(self, stop: threading.Event) -> None:
        if not stop.is_set() or self.epoch == self.recipe.epochs:  # nothing is left to stop
            return
        where = f"stopped in epoch {self.epoch + 1}, after {self.step} of its {len(self.batches)} steps"
        if self.checkpoint is None:
            raise KeyboardInterrupt(
                f"{where}; nothing was saved (no checkpoint file was named), fit() goes on from here"
            )
        self.save()
        raise KeyboardInterrupt(
            f"{where}; saved to {self.checkpoint}. To go on: fit() again here, or trainer.resume() and fit() in a new "
            f"session, or python -m mytensor train --resume --out {self.checkpoint.parent}"
        )

    # Checkpoints

    def save(self) -> None:
        """Write the checkpoint file, if one was named; all of it or nothing."""
        if self.checkpoint is None:
            return
        tensors = {f"model.{name}": value.array.cpu().numpy() for name, value in self.model.state_dict().items()}
        tensors |= {
            f"velocity.{name}": self.optimizer.state[parameter]["momentum_buffer"].array.cpu().numpy()
            for name, parameter in self.model.named_parameters()
            if parameter in self.optimizer.state
        }
        write_checkpoint(self.checkpoint, tensors, self._state())

    def resume(self) -> None:
        """Take up the run that the checkpoint file holds: weights, velocities, history and place in the epoch.

        Raises FileNotFoundError where there is none, and ValueError where the file is damaged or belongs to another
        model, another recipe (``epochs`` may differ) or other data.
        """
        if self.checkpoint is None:
            raise ValueError(
                "resume() needs the checkpoint file: Trainer(..., checkpoint='runs/lenet/checkpoint.safetensors')"
            )
        tensors, state = read_run(self.checkpoint)
        self._check_same_run(state)
        weights, velocities = self._check_tensors(tensors)
        numbers = {name: number for number, (name, _) in enumerate(self.model.named_parameters())}
        running = _RunningSums(self.device, **state["running"])
        # All has been looked at: a checkpoint that is refused has changed nothing.
        self.optimizer.load_state_dict(
            {
                "state": {numbers[name]: {"momentum_buffer": tensor(array)} for name, array in velocities.items()},
                "param_groups": self.optimizer.state_dict()["param_groups"],
            }
        )
        self.model.load_state_dict(weights)
        self.history = state["history"]
        self.epoch, self.step, self._seconds = state["epoch"], state["step"], state["seconds"]
        self._running = running

    def _state(self) -> dict[str, Any]:
        return {
            "model": type(self.model).__name__,
            "recipe": dataclasses.asdict(self.recipe),
            "source": self.train_set.source,
            "checksum": self.train_set.checksum,
            "kernels": selected_kernels(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self._seconds,
            "running": self._running.state(),
            "history": self.history,
        }

    def _check_same_run(self, state: dict[str, Any]) -> None:
        """ValueError unless the checkpoint's recipe and data are this run's; a warning where its kernels were
        others."""
        ours, theirs = dataclasses.asdict(self.recipe), dataclasses.asdict(state["recipe"])
        differing = [key for key in ours if key != "epochs" and ours[key] != theirs[key]]
        if differing:
            came = ", ".join(f"{key}={theirs[key]}" for key in differing)
            wanted = ", ".join(f"{key}={ours[key]}" for key in differing)
            raise ValueError(f"{self.checkpoint} was trained with {came}; this run has {wanted}. Use the same recipe.")
        if state["checksum"] != self.train_set.checksum:
            raise ValueError(
                f"{self.checkpoint} was trained on other data ({state['source']}, checksum {state['checksum']}); "
                f"this run has {self.train_set.source}, checksum {self.train_set.checksum}. Name the same data."
            )
        step, count, steps = state["step"], state["running"]["count"], len(self.batches)
        if step > steps or count != min(step * self.recipe.batch_size, len(self.train_set)):
            raise ValueError(
                f"{self.checkpoint} stands after {step} steps and {count} images of an epoch of {steps} steps, which "
                "can't be; delete it and train afresh"
            )
        if state["kernels"] != selected_kernels():
            warnings.warn(
                f"{self.checkpoint} was trained with the kernels {state['kernels'] or 'selected by default'}, now "
                f"{selected_kernels() or 'the default ones'} are selected: the run goes on, in other bits.",
                stacklevel=3,
            )

    def _check_tensors(self, tensors: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """(weights, velocities) by the parameters' names; ValueError unless they are this model's."""
        parts: dict[str, dict[str, np.ndarray]] = {"model": {}, "velocity": {}}
        for name, array in tensors.items():
            part, _, rest = name.partition(".")
            if part not in parts:
                raise ValueError(
                    f"{self.checkpoint} holds {name!r}, which is no weight and no velocity of a training run"
                )
            parts[part][rest] = array
        weights, velocities = parts.values()
        check_same_architecture(self.checkpoint or "", weights, self.model)
        values = {name: value.cpu().numpy() for name, value in self.model.state_dict().items()}
        for name, array in velocities.items():
            if name not in dict(self.model.named_parameters()) or array.shape != values[name].shape:
                raise ValueError(f"{self.checkpoint} holds a velocity {name} {array.shape}, which no parameter has")
        for name, array in (*weights.items(), *velocities.items()):
            if array.dtype != values[name].dtype:
                raise ValueError(f"{self.checkpoint} holds {name} as {array.dtype}; the model has {values[name].dtype}")
        return weights, velocities


def selected_kernels() -> dict[str, str]:
    """The kernels chosen by ``use_kernel``, by op; empty where all are the default."""
    chosen = {op: backend.selected_kernel(op) for op in backend.ops_with_kernels()}
    return {op: kernel for op, kernel in chosen.items() if kernel is not None}


def set_lr(optimizer: Any, lr: float) -> None:
    """Give all parameter groups of an optimizer, ours or torch's, one learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


class _RunningSums:
    """Sums over an epoch's batches, kept on the device: a step adds to them, nobody waits for their values."""

    def __init__(self, device: str, loss: float = 0.0, correct: float = 0.0, count: int = 0):
        self._loss = backend.full((), loss, backend.float32, device)
        self._correct = backend.full((), correct, backend.float32, device)
        self.count = count  # images

    def add(self, logits: Tensor, loss: Tensor, labels: Tensor) -> None:
        """A batch's logits (B, classes), its mean loss () and its labels (B,)."""
        size = labels.shape[0]
        right = backend.eq(backend.argmax(logits.array, 1), labels.array)
        backend.add_(self._loss, loss.array, alpha=size)
        backend.add_(self._correct, backend.sum(right.astype(backend.float32)))
        self.count += size

    def means(self) -> tuple[float, float]:
        """(mean loss, accuracy) over the images so far."""
        return self._loss.item() / self.count, self._correct.item() / self.count

    def state(self) -> dict[str, Any]:
        """The sums as numbers: ``_RunningSums(device, **state)`` goes on from them exactly."""
        return {"loss": self._loss.item(), "correct": self._correct.item(), "count": self.count}


def evaluate(
    model: Module, dataset: ImageDataset, mean: tuple[float, ...] = CIFAR10_MEAN, std: tuple[float, ...] = CIFAR10_STD
) -> tuple[float, float]:
    """(mean loss, accuracy) of a model on a whole data set, without gradients."""
    sums = _RunningSums(device_of(model))
    with _evaluation(model):
        for logits, labels in _outputs(model, dataset, mean, std):
            sums.add(logits, F.cross_entropy(logits, labels), labels)
    return sums.means()


def predict(
    model: Module, dataset: ImageDataset, mean: tuple[float, ...] = CIFAR10_MEAN, std: tuple[float, ...] = CIFAR10_STD
) -> np.ndarray:
    """The probability of each class for each image, float32 (N, classes), in the data set's order."""
    with _evaluation(model):
        outputs = _outputs(model, dataset, mean, std)
        return np.concatenate([F.softmax(logits, 1).array.cpu().numpy() for logits, _ in outputs])


@contextmanager
def _evaluation(model: Module) -> Iterator[None]:
    """Inside, the model is in evaluation mode and records no graph; after it every part is in the mode that it had."""
    modes = [(part, part.training) for part in model.modules()]
    try:
        with no_grad():
            model.eval()
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def _outputs(model: Module, dataset: ImageDataset, mean, std) -> Iterator[tuple[Tensor, Tensor]]:
    """(logits, labels) batch by batch, in the data set's order."""
    batches = Batches(dataset, EVALUATION_BATCH, shuffle=False, mean=mean, std=std, device=device_of(model))
    for images, labels in batches.epoch(0):
        yield model(images), labels


def device_of(model: Module) -> str:
    """Where a model's parameters are."""
    return next((parameter.device for parameter in model.parameters()), "cpu")


def check_same_architecture(path: str | os.PathLike, weights: dict[str, np.ndarray], model: Module) -> None:
    """ValueError that lists what differs unless ``weights`` have the names and shapes of the model's."""
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    came = {name: tuple(value.shape) for name, value in weights.items()}
    differing = [
        f"{name}: the file has {came.get(name, 'none')}, the model {wanted.get(name, 'none')}"
        for name in sorted(wanted.keys() | came.keys())
        if wanted.get(name) != came.get(name)
    ]
    if differing:
        raise ValueError(f"{path} belongs to another architecture than {type(model).__name__}: " + "; ".join(differing))


def audit(model: Module, step: Callable[[], object]) -> list[dict[str, Any]]:
    """Check that one training step reaches every parameter: each gets a finite, nonzero gradient, and moves.

    step: runs forward, backward and the optimizer once. For convolutions every single filter must get a gradient: a net
    with dead filters still learns, so accuracy doesn't show them.

    Returns one dict a parameter: name, shape, gradient (its largest absolute value), moved (the largest change).
    Raises AssertionError that names the parameters at fault.
    """
    before = {name: parameter.array.cpu().numpy().copy() for name, parameter in model.named_parameters()}
    step()
    rows: list[dict[str, Any]] = []
    faults: list[str] = []
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            faults.append(f"{name} got no gradient")
            continue
        gradient = parameter.grad.array.cpu().numpy()
        change = np.abs(parameter.array.cpu().numpy() - before[name])
        rows.append(
            {
                "name": name,
                "shape": gradient.shape,
                "gradient": float(np.abs(gradient).max()),
                "moved": float(change.max()),
            }
        )
        if not np.isfinite(gradient).all():
            faults.append(f"{name} got a gradient with NaN or infinity")
        elif not gradient.any():
            faults.append(f"{name} got a gradient of zeros")
        elif gradient.ndim == 4 and (dead := ~gradient.any(axis=(1, 2, 3))).any():
            faults.append(f"{name}: filters {np.flatnonzero(dead).tolist()} got a gradient of zeros")
        if not change.max() > 0:
            faults.append(f"{name} did not move")
    if faults:
        raise AssertionError("the training step does not reach every parameter: " + "; ".join(faults))
    return rows


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Inside, the first Ctrl-C only sets the event, so that no step is left half done; a second one interrupts at
    once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread only
        yield stop
        return

    def note(signum, frame):
        signal.signal(signal.SIGINT, previous)
        stop.set()

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)
