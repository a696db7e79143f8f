"""python -m mytensor train | compare | ablate | bench | doctor"""

from __future__ import annotations

import argparse
import dataclasses
import io
import math
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mytensor as mt
from mytensor.data import ImageDataset, cifar10, synthetic
from mytensor.devices import choose_device, require_device
from mytensor.files import claimed, write_json, write_whole
from mytensor.lab import doctor
from mytensor.lab.compare.ablation_causes import CAUSES, SCALINGS
from mytensor.lab.record import circumstances, data_facts
from mytensor.settings import real, whole
from mytensor.training import Recipe, Trainer, read_run

CHECKPOINT, HISTORY, CURVE = "checkpoint.safetensors", "history.json", "curve.png"
HISTORY_FORMAT = "mytensor history 1"
MOST_THREADS = 1024


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        _check(options)
        return options.command(options)
    except KeyboardInterrupt as stopped:
        print(f"\n{str(stopped) or 'stopped'}", file=sys.stderr)
        return 130
    except (ImportError, OSError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        if options.debug:
            raise
        print(f"mytensor: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1


def train(options: argparse.Namespace) -> int:
    """Train LeNet and write checkpoint, history and curve to the output folder."""
    with claimed(options.out / HISTORY):
        return _train(options)


def _train(options: argparse.Namespace) -> int:
    for op, kernel in options.kernel:
        mt.use_kernel(op, kernel)
    checkpoint = options.out / CHECKPOINT
    if checkpoint.exists() and not (options.resume or options.overwrite):
        raise ValueError(
            f"{checkpoint} holds an earlier run: --resume continues it, --overwrite starts afresh, "
            f"--out names another folder"
        )
    device, why = _device(options)
    recipe = _recipe(options, read_run(checkpoint)[1]["recipe"] if options.resume else Recipe())
    train_set, test_set = _data(options)
    mt.manual_seed(recipe.seed)
    trainer = Trainer(mt.models.LeNet(), train_set, test_set, recipe, checkpoint, options.checkpoint_every, device)
    if options.resume:
        trainer.resume()
        if trainer.epoch > recipe.epochs:
            raise ValueError(
                f"the run in {options.out} has done {trainer.epoch} epochs already, more than --epochs {recipe.epochs}"
            )
    print(
        f"LeNet on {train_set.source}: {len(train_set):,} training and {len(test_set):,} test images, "
        f"{_epochs_left(trainer)}, device {trainer.device} ({why}), "
        f"{mt.get_num_threads()} threads; saving to {options.out}"
    )
    history = trainer.fit()
    record = circumstances(HISTORY_FORMAT, trainer.device) | data_facts(train_set, test_set)
    record |= {"recipe": dataclasses.asdict(recipe), "device": trainer.device, "device_because": why}
    write_json(record | {"history": history}, options.out / HISTORY)
    _save_curve(history, train_set.source, options.out / CURVE)
    print(f"test accuracy {history[-1]['test_accuracy']:.2%} on {test_set.source} after {len(history)} epochs, "
          f"{sum(row['seconds'] for row in history):.1f} s of training")  # fmt: skip
    return 0


def compare(options: argparse.Namespace) -> int:
    """Train LeNet and its PyTorch twin side by side and print the tables."""
    from mytensor.lab.compare import run, table

    data = (synthetic(50_000, 0), synthetic(10_000, 1)) if options.synthetic else options.data
    results = run(
        data,
        epochs=options.epochs,
        seeds=options.seeds,
        threads=options.threads,
        json=options.json,
        dataloader_epochs=options.dataloader_epochs,
        memory=not options.no_memory,
        command=_command_for_the_record(options),
        device=options.device,
        dataloader_workers=options.dataloader_workers,
        resume=options.resume,
    )
    print("\n" + table(results))
    return 0


def bench(options: argparse.Namespace) -> int:
    """Time every kernel of every op beside PyTorch, after comparing its results with float64, and print the tables.
    Status 1 where a kernel was wrong; it is not timed."""
    from mytensor.lab.bench import run, table

    results = run(
        device=options.device,
        ops=options.ops,
        sizes=options.sizes,
        json=options.json,
        step=options.step,
        budget=options.budget,
        command=_bench_command(options),
    )
    print("\n" + table(results))
    return 1 if any(row["problem"] for row in results["rows"]) else 0


def ablate(options: argparse.Namespace) -> int:
    """Train LeNet with the causes that the report names, one change at a time, and print the table.

    From a reconstruction of the report's framework to ours (each cause repaired), and from ours back (each put back).
    A file that holds a part of the same ablation is continued.
    """
    from mytensor.lab.compare import Assumptions, ablation

    default = Assumptions()
    low, high = options.range or (default.low, default.high)
    assumptions = Assumptions(low, high, options.scaling or default.scaling)
    data = (synthetic(50_000, 0), synthetic(10_000, 1)) if options.synthetic else options.data
    if options.images is not None:
        train_set, test_set = data if isinstance(data, tuple) else (cifar10(data, True), cifar10(data, False))
        data = train_set.subset(options.images), test_set
    shared = {
        "epochs": options.epochs,
        "seeds": options.seeds,
        "device": options.device,
        "json": options.json,
        "times": not options.no_times,
        "command": _ablation_for_the_record(options),
    }
    if options.sweep:
        print("\n" + ablation.fits_table(ablation.sweep(data, **shared)))
        return 0
    results = ablation.ablate(
        data, assumptions=assumptions, causes=options.causes, combinations=options.combinations, **shared
    )
    print("\n" + ablation.ablation_table(results))
    return 0


def examine(options: argparse.Namespace) -> int:
    """Print the doctor's report; status 1 where something needed is wrong."""
    findings = doctor.examine(options.data)
    print(doctor.report(findings))
    return 0 if doctor.usable(findings) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mytensor", description="A small deep-learning framework to learn from."
    )
    parser.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="name")
    positive, a_seed, some_threads = _whole(1), _whole(0, 2**64 - 1), _whole(1, MOST_THREADS)
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", metavar="DIR", help="CIFAR-10's folder (else MYTENSOR_DATA, data/, or a download)")

    command = commands.add_parser(
        "train", parents=[data], help="train LeNet on CIFAR-10", description=train.__doc__,
        epilog="The defaults are the report's recipe. Ctrl-C saves; the same command with --resume goes on.",
    )  # fmt: skip
    command.set_defaults(command=train)
    command.add_argument("--synthetic", action="store_true", help="train on drawn pictures, the synthetic stand-in")
    command.add_argument("--images", type=positive, metavar="N", help="use the first N training images only")
    report = Recipe()
    command.add_argument("--epochs", type=positive, help=f"(default {report.epochs})")
    command.add_argument("--seed", type=a_seed, help=f"of weights and order (default {report.seed})")
    command.add_argument("--lr", type=_real(), help=f"learning rate (default {report.lr}, a tenth after epoch 10)")
    command.add_argument(
        "--batch-size", type=positive, metavar="N", help=f"images a step (default {report.batch_size})"
    )
    command.add_argument("--momentum", type=_real(), help=f"(default {report.momentum})")
    command.add_argument("--weight-decay", type=_real(), metavar="W", help=f"(default {report.weight_decay})")
    command.add_argument(
        "--augment", action="store_true", default=None, help="flip and shift images (not in the report)"
    )
    command.add_argument(
        "--threads",
        type=some_threads,
        metavar="N",
        help="processor threads (the result doesn't depend on them)",
    )
    command.add_argument(
        "--device", choices=("cpu", "cuda", "simt"),
        help="where to train: on the CPU, a GPU, or the emulator that runs the GPU's kernels, slowly (default: cuda "
             "where there is a GPU, else cpu)",
    )  # fmt: skip
    kernel_help = "compute an op by another kernel, such as conv2d=im2col_naive (doctor lists them)"
    command.add_argument(
        "--kernel", type=_op_and_kernel, action="append", default=[], metavar="OP=NAME", help=kernel_help
    )
    command.add_argument("--out", type=Path, default=Path("runs/lenet"), metavar="DIR", help="(default runs/lenet)")
    either = command.add_mutually_exclusive_group()
    either.add_argument("--resume", action="store_true", help="go on with the run in --out, with its recipe")
    either.add_argument("--overwrite", action="store_true", help="start afresh where --out holds a run")
    command.add_argument("--checkpoint-every", type=positive, default=200, metavar="STEPS", help="(default 200)")

    command = commands.add_parser(
        "compare", parents=[data], help="the same training beside PyTorch", description=compare.__doc__
    )
    command.set_defaults(command=compare)
    command.add_argument("--synthetic", action="store_true", help="compare on the synthetic stand-in")
    command.add_argument("--epochs", type=positive, default=20, help="(default 20)")
    command.add_argument(
        "--seeds",
        type=a_seed,
        nargs="+",
        default=[0, 1, 2, 3, 4],
        metavar="SEED",
        help="(default 0 1 2 3 4)",
    )
    command.add_argument("--threads", type=some_threads, metavar="N", help="processor threads of each side")
    command.add_argument("--dataloader-epochs", type=_whole(0), default=2, metavar="N",
                         help="epochs of the first seed also timed with torch's DataLoader (default 2)")  # fmt: skip
    command.add_argument("--dataloader-workers", type=_whole(0, MOST_THREADS), metavar="N",
                         help="processes of that loader (default: none on the CPU, 2 beside a GPU)")  # fmt: skip
    command.add_argument("--device", choices=("cpu", "cuda"), default="cpu",
                         help="where both compute; on a GPU also PyTorch in its fastest way (default cpu)")  # fmt: skip
    command.add_argument("--no-memory", action="store_true", help="don't measure peak memory")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the results here, after each seed")
    command.add_argument("--resume", action="store_true", help="measure only what the comparison in FILE lacks")

    command = commands.add_parser("bench", help="how fast each kernel is, beside PyTorch", description=bench.__doc__)
    command.set_defaults(command=bench)
    command.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default cpu)")
    command.add_argument("--ops", nargs="+", metavar="OP", help="only these, such as matmul conv2d (default: all)")
    command.add_argument(
        "--sizes", nargs="+", metavar="TEXT", help="only sizes whose name holds one of these texts, such as LeNet"
    )
    command.add_argument("--step", action="store_true", help="LeNet's training step in place of the kernels")
    command.add_argument(
        "--budget",
        type=_real(above=0),
        default=0.5,
        metavar="S",
        help="seconds for each kernel at each size (default 0.5)",
    )
    command.add_argument("--threads", type=some_threads, metavar="N", help="processor threads of each side")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the results here, after each size")
    command = commands.add_parser(
        "ablate", parents=[data], help="which cause of the report costs what", description=ablate.__doc__
    )
    command.set_defaults(command=ablate)
    command.add_argument("--synthetic", action="store_true", help="train on the synthetic stand-in")
    command.add_argument("--images", type=positive, metavar="N", help="use the first N training images only")
    command.add_argument("--epochs", type=positive, default=20, help="(default 20)")
    command.add_argument(
        "--seeds",
        type=a_seed,
        nargs="+",
        default=[0, 1, 2, 3, 4],
        metavar="SEED",
        help="(default 0 1 2 3 4)",
    )
    command.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train (default cpu)")
    command.add_argument("--threads", type=some_threads, metavar="N", help="processor threads")
    command.add_argument("--causes", nargs="+", choices=tuple(CAUSES), default=tuple(CAUSES), metavar="CAUSE",
                         help=f"the causes that the reconstruction has (default all: {', '.join(CAUSES)})")  # fmt: skip
    command.add_argument("--combinations", action="store_true", help="every set of the causes, not one at a time")
    command.add_argument("--range", type=_real(-math.inf), nargs=2, metavar=("LOW", "HIGH"), help="of the uniform draw")
    command.add_argument("--scaling", choices=tuple(SCALINGS), help="how the loss is scaled wrongly")
    command.add_argument("--sweep", action="store_true",
                         help="try ranges and scalings beside the report's losses and accuracy instead")  # fmt: skip
    command.add_argument("--no-times", action="store_true", help="keep no seconds: the machine is busy")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the results here, after each run")

    command = commands.add_parser("doctor", parents=[data], help="what was built, what is off and why")
    command.set_defaults(command=examine)
    return parser


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """An option's type: a whole number in a range."""
    return _number(int, lambda number: whole("it", number, least, most))


def _real(least: float = 0.0, above: float | None = None) -> Callable[[str], float]:
    """An option's type: a finite number in a range."""
    return _number(float, lambda number: real("it", number, least, above))


def _number(kind: Callable[[str], Any], check: Callable[[Any], Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            number = kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None
        try:
            return check(number)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _op_and_kernel(text: str) -> tuple[str, str]:
    op, separator, kernel = text.partition("=")
    if not (op and separator and kernel):
        raise argparse.ArgumentTypeError(f"{text!r}: OP=NAME is wanted, such as conv2d=im2col_naive")
    return op, kernel


def _recipe(options: argparse.Namespace, saved: Recipe) -> Recipe:
    """The recipe: what the command line says, else what the resumed run had, else the report's."""
    named = {field.name: getattr(options, field.name, None) for field in dataclasses.fields(Recipe)}
    return dataclasses.replace(saved, **{key: value for key, value in named.items() if value is not None})


def _epochs_left(trainer: Trainer) -> str:
    epochs = trainer.recipe.epochs
    return f"all {epochs} epochs done" if trainer.epoch == epochs else f"epochs {trainer.epoch + 1} to {epochs}"


def _data(options: argparse.Namespace) -> tuple[ImageDataset, ImageDataset]:
    if options.synthetic:
        train_set, test_set = synthetic(50_000, seed=0), synthetic(10_000, seed=1)
    else:
        train_set, test_set = cifar10(options.data, train=True), cifar10(options.data, train=False)
    return (train_set if options.images is None else train_set.subset(options.images)), test_set


def _device(options: argparse.Namespace) -> tuple[str, str]:
    """Where to train, and why there."""
    return (options.device, "as --device says") if options.device else choose_device()


def _check(options: argparse.Namespace) -> None:
    """What commands have in common, before anything is begun: a device that is there, and the number of threads."""
    if getattr(options, "device", None) is not None:
        require_device(options.device, options.name, "train" if options.name == "train" else "measure")
    if getattr(options, "threads", None) is not None:
        mt.set_num_threads(options.threads)


def _save_curve(history: list[dict], source: str, path: Path) -> None:
    try:
        from mytensor.lab.plots import training_curves

        curves = training_curves(history, source)
    except ImportError as error:
        print(f"no curve was drawn: {error}", file=sys.stderr)
        return
    picture = io.BytesIO()
    curves.savefig(picture, format="png", dpi=120)
    write_whole(path, picture.getvalue())


def _command_for_the_record(options: argparse.Namespace) -> str:
    """The command without the places of files on this machine, which would tell a reader nothing."""
    words = ["python -m mytensor compare", "--synthetic" if options.synthetic else "--data DIR"]
    words += ["--epochs", str(options.epochs), "--seeds", *map(str, options.seeds)]
    words += ["--threads", str(options.threads)] if options.threads else []
    words += ["--device", options.device] if options.device != "cpu" else []
    words += ["--dataloader-epochs", str(options.dataloader_epochs)]
    words += ["--dataloader-workers", str(options.dataloader_workers)] if options.dataloader_workers is not None else []
    words += ["--no-memory"] if options.no_memory else []
    words += ["--json", options.json.name] if options.json else []
    words += ["--resume"] if options.resume else []
    return " ".join(words)


def _bench_command(options: argparse.Namespace) -> str:
    words = ["python -m mytensor bench --device", options.device]
    for name, values in (("--ops", options.ops), ("--sizes", options.sizes)):
        words += [name, *(shlex.quote(value) for value in values)] if values else []
    words += ["--step"] if options.step else []
    words += ["--budget", f"{options.budget:g}"]
    words += ["--threads", str(options.threads)] if options.threads else []
    words += ["--json", options.json.name] if options.json else []
    return " ".join(words)


def _ablation_for_the_record(options: argparse.Namespace) -> str:
    """As ``_command_for_the_record``."""
    words = ["python -m mytensor ablate", "--synthetic" if options.synthetic else "--data DIR"]
    words += ["--images", str(options.images)] if options.images is not None else []
    words += ["--epochs", str(options.epochs), "--seeds", *map(str, options.seeds), "--device", options.device]
    words += ["--threads", str(options.threads)] if options.threads else []
    words += ["--causes", *options.causes] if tuple(options.causes) != tuple(CAUSES) else []
    words += ["--range", *map(str, options.range)] if options.range else []
    words += ["--scaling", options.scaling] if options.scaling else []
    for name in ("combinations", "sweep", "no_times"):
        words += [f"--{name.replace('_', '-')}"] if getattr(options, name) else []
    words += ["--json", options.json.name] if options.json else []
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main())
