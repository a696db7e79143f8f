"""python -m mytensor train | compare | ablate | bench | doctor"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from mytensor_backend import CudaError

import mytensor as mt
from mytensor import doctor
from mytensor.checkpoint import read_checkpoint
from mytensor.compare.causes import CAUSES, SCALINGS
from mytensor.data import ImageDataset, cifar10, synthetic
from mytensor.devices import choose_device
from mytensor.training import Recipe, Trainer

CHECKPOINT = "checkpoint.safetensors"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except KeyboardInterrupt as stopped:
        print(f"\n{stopped}", file=sys.stderr)
        return 130
    except (ImportError, OSError, TypeError, ValueError, NotImplementedError, MemoryError, CudaError) as error:
        if options.debug:
            raise
        print(f"mytensor: {error}", file=sys.stderr)
        return 1


def train(options: argparse.Namespace) -> int:
    """Train LeNet and write checkpoint, history and curve to the output folder."""
    _set_threads(options.threads)
    for op, kernel in options.kernel:
        mt.use_kernel(op, kernel)
    checkpoint = options.out / CHECKPOINT
    if checkpoint.exists() and not (options.resume or options.overwrite):
        raise ValueError(
            f"{checkpoint} holds an earlier run: --resume continues it, --overwrite starts afresh, "
            f"--out names another folder"
        )
    device, why = _device(options)
    recipe = _recipe(options, read_checkpoint(checkpoint)[1]["recipe"] if options.resume else {})
    train_set, test_set = _data(options)
    mt.manual_seed(recipe.seed)
    trainer = Trainer(mt.models.LeNet(), train_set, test_set, recipe, checkpoint, options.checkpoint_every, device)
    if options.resume:
        trainer.resume()
    print(
        f"LeNet on {train_set.source}: {len(train_set):,} training and {len(test_set):,} test images, "
        f"epochs {trainer.epoch + 1} to {recipe.epochs}, device {trainer.device} ({why}), "
        f"{mt.get_num_threads()} threads; saving to {options.out}"
    )
    history = trainer.fit()
    record: dict[str, Any] = {
        "source": train_set.source,
        "recipe": dataclasses.asdict(recipe),
        "device": trainer.device,
        "device_because": why,
        "versions": doctor.versions(),
    }
    record |= {"commit": doctor.git_commit(), "cpu": doctor.cpu_model(), "threads": mt.get_num_threads()}
    (options.out / "history.json").write_text(
        json.dumps(record | {"history": history}, indent=1) + "\n", encoding="utf-8"
    )
    _save_curve(history, train_set.source, options.out / "curve.png")
    print(f"test accuracy {history[-1]['test_accuracy']:.2%} on {test_set.source} after {len(history)} epochs, "
          f"{sum(row['seconds'] for row in history):.1f} s of training")  # fmt: skip
    return 0


def compare(options: argparse.Namespace) -> int:
    """Train LeNet and its PyTorch twin side by side and print the tables."""
    from mytensor.compare import run, table

    _set_threads(options.threads)
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
    from mytensor.bench import run, table

    _set_threads(options.threads)
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
    from mytensor.compare import Assumptions, ablation

    _set_threads(options.threads)
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
    default = Assumptions()
    low, high = options.range or (default.low, default.high)
    assumptions = Assumptions(low, high, options.scaling or default.scaling)
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
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", metavar="DIR", help="CIFAR-10's folder (else MYTENSOR_DATA, data/, or a download)")

    command = commands.add_parser(
        "train", parents=[data], help="train LeNet on CIFAR-10", description=train.__doc__,
        epilog="The defaults are the report's recipe. Ctrl-C saves; the same command with --resume goes on.",
    )  # fmt: skip
    command.set_defaults(command=train)
    command.add_argument("--synthetic", action="store_true", help="train on drawn pictures, the synthetic stand-in")
    command.add_argument("--images", type=int, metavar="N", help="use the first N training images only")
    report = Recipe()
    command.add_argument("--epochs", type=int, help=f"(default {report.epochs})")
    command.add_argument("--seed", type=int, help=f"of weights and order (default {report.seed})")
    command.add_argument("--lr", type=float, help=f"learning rate (default {report.lr}, a tenth after epoch 10)")
    command.add_argument("--batch-size", type=int, metavar="N", help=f"images a step (default {report.batch_size})")
    command.add_argument("--momentum", type=float, help=f"(default {report.momentum})")
    command.add_argument("--weight-decay", type=float, metavar="W", help=f"(default {report.weight_decay})")
    command.add_argument(
        "--augment", action="store_true", default=None, help="flip and shift images (not in the report)"
    )
    command.add_argument(
        "--threads", type=int, metavar="N", help="processor threads (the result doesn't depend on them)"
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
    command.add_argument("--resume", action="store_true", help="go on with the run in --out, with its recipe")
    command.add_argument("--overwrite", action="store_true", help="start afresh where --out holds a run")
    command.add_argument("--checkpoint-every", type=int, default=200, metavar="STEPS", help="(default 200)")

    command = commands.add_parser(
        "compare", parents=[data], help="the same training beside PyTorch", description=compare.__doc__
    )
    command.set_defaults(command=compare)
    command.add_argument("--synthetic", action="store_true", help="compare on the synthetic stand-in")
    command.add_argument("--epochs", type=int, default=20, help="(default 20)")
    command.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], metavar="SEED", help="(default 0 1 2 3 4)"
    )
    command.add_argument("--threads", type=int, metavar="N", help="processor threads of each side")
    command.add_argument("--dataloader-epochs", type=int, default=2, metavar="N",
                         help="epochs of the first seed also timed with torch's DataLoader (default 2)")  # fmt: skip
    command.add_argument("--dataloader-workers", type=int, metavar="N",
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
        "--budget", type=float, default=0.5, metavar="S", help="seconds for each kernel at each size (default 0.5)"
    )
    command.add_argument("--threads", type=int, metavar="N", help="processor threads of each side")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the results here, after each size")
    command = commands.add_parser(
        "ablate", parents=[data], help="which cause of the report costs what", description=ablate.__doc__
    )
    command.set_defaults(command=ablate)
    command.add_argument("--synthetic", action="store_true", help="train on the synthetic stand-in")
    command.add_argument("--images", type=int, metavar="N", help="use the first N training images only")
    command.add_argument("--epochs", type=int, default=20, help="(default 20)")
    command.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], metavar="SEED", help="(default 0 1 2 3 4)"
    )
    command.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train (default cpu)")
    command.add_argument("--threads", type=int, metavar="N", help="processor threads")
    command.add_argument("--causes", nargs="+", choices=tuple(CAUSES), default=tuple(CAUSES), metavar="CAUSE",
                         help=f"the causes that the reconstruction has (default all: {', '.join(CAUSES)})")  # fmt: skip
    command.add_argument("--combinations", action="store_true", help="every set of the causes, not one at a time")
    command.add_argument("--range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="of the uniform draw")
    command.add_argument("--scaling", choices=tuple(SCALINGS), help="how the loss is scaled wrongly")
    command.add_argument("--sweep", action="store_true",
                         help="try ranges and scalings beside the report's losses and accuracy instead")  # fmt: skip
    command.add_argument("--no-times", action="store_true", help="keep no seconds: the machine is busy")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the results here, after each run")

    command = commands.add_parser("doctor", parents=[data], help="what was built, what is off and why")
    command.set_defaults(command=examine)
    return parser


def _op_and_kernel(text: str) -> tuple[str, str]:
    op, separator, kernel = text.partition("=")
    if not (op and separator and kernel):
        raise argparse.ArgumentTypeError(f"{text!r}: OP=NAME is wanted, such as conv2d=im2col_naive")
    return op, kernel


def _recipe(options: argparse.Namespace, saved: dict) -> Recipe:
    """The recipe: what the command line says, else what the resumed run had, else the report's."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in saved.items()}
    named = {field.name: getattr(options, field.name, None) for field in dataclasses.fields(Recipe)}
    return Recipe(**values | {key: value for key, value in named.items() if value is not None})


def _data(options: argparse.Namespace) -> tuple[ImageDataset, ImageDataset]:
    if options.synthetic:
        train_set, test_set = synthetic(50_000, seed=0), synthetic(10_000, seed=1)
    else:
        train_set, test_set = cifar10(options.data, train=True), cifar10(options.data, train=False)
    return (train_set if options.images is None else train_set.subset(options.images)), test_set


def _device(options: argparse.Namespace) -> tuple[str, str]:
    """Where to train, and why there."""
    return (options.device, "as --device says") if options.device else choose_device()


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        mt.set_num_threads(threads)


def _save_curve(history: list[dict], source: str, path: Path) -> None:
    try:
        from mytensor.plots import training_curves

        training_curves(history, source).savefig(path, dpi=120)
    except ImportError:
        print("no curve was drawn: matplotlib is not installed (pip install matplotlib)", file=sys.stderr)


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
