"""Launches every kernel of csrc/cuda at least once, at sizes so small that compute-sanitizer can watch every access.

    compute-sanitizer --tool memcheck python tests/device/every_rung.py        (on a GPU; scripts/gpu.py runs all tools)
    python tests/device/every_rung.py --device simt                            (on the emulator, watched)

The results are compared with float64 like those of the tests, whose cases these are. Status 1: a result was wrong, or a
kernel has no case. --ops: only these.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Callable, Iterator

import mytensor_backend as backend
import numpy as np
from cases import MAKERS, cases
from products import ConvCase, MatmulCase
from test_conv2d import SMALL_GEOMETRIES
from test_matmul import SMALL_SIZES, TRANSPOSED
from test_rungs import compare

import mytensor as mt

SEED = 20
Check = Callable[[str], None]  # raises where the selected kernel is wrong on this device


def checks(op: str, rung: str) -> Iterator[Check]:
    """What an op's kernels are run on."""
    rng = np.random.default_rng(SEED)
    if op == "matmul":
        drawn = [(sizes, transposed, np.float32) for sizes in SMALL_SIZES for transposed in TRANSPOSED]
        for arguments in (*drawn, (SMALL_SIZES[0], (True, False), np.float64)):
            yield functools.partial(MatmulCase(rng, *arguments).check, rung=rung)
    elif op in ("conv2d", "conv2d_bias_grad"):
        for arguments in (*((*g, np.float32) for g in SMALL_GEOMETRIES), (*SMALL_GEOMETRIES[0], np.float64)):
            case = ConvCase(rng, *arguments)
            yield functools.partial(case.check if op == "conv2d" else case.check_bias_grad, rung=rung)
    elif op == "im2col":
        yield check_im2col
    else:
        for dtype in (np.float32, np.float64):
            for case in cases(op, rng, dtype, small=True):
                yield functools.partial(compare, case)


def check_im2col(device: str) -> None:
    """im2col copies: the CPU's bits. col2im adds at most as many numbers as the kernel has elements: 6."""
    rng = np.random.default_rng(SEED)
    image = rng.normal(size=(2, 3, 5, 7)).astype(np.float32)
    geometry = {"kernel_size": (3, 2), "padding": (1, 0), "stride": (2, 1)}
    columns, put = backend.im2col(backend.from_numpy(image), **geometry), backend.from_numpy
    got = backend.im2col(put(image).to(device), **geometry)
    np.testing.assert_array_equal(got.cpu().numpy(), columns.numpy())
    folded = backend.col2im(columns.to(device), (5, 7), **geometry)
    wanted = backend.col2im(columns.astype(backend.float64), (5, 7), **geometry).numpy()
    np.testing.assert_allclose(folded.cpu().numpy(), wanted, rtol=0, atol=8 * 6 * np.finfo(np.float32).eps * 6)


def run(device: str, ops: list[str] | None) -> list[str]:
    """Launches them all; returns what is wrong, in sentences."""
    wrong, launched = [], 0
    for op in ops or backend.ops_with_kernels():
        rungs = [row["name"] for row in backend.kernels(op, device)]
        if rungs and op not in MAKERS and op not in ("matmul", "conv2d", "conv2d_bias_grad", "im2col"):
            wrong.append(f"{op}: nothing is run on it")
            continue
        for rung in rungs:
            with mt.use_kernel(op, rung):
                for check in checks(op, rung):
                    try:
                        check(device)
                    except (AssertionError, RuntimeError) as problem:
                        wrong.append(f"{op}, {rung}: {problem}")
                        break
            launched += 1
    backend.synchronize(device)
    print(f"{launched} kernels of {len(ops or backend.ops_with_kernels())} ops on {device}, {len(wrong)} wrong")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "simt"), default="cuda")
    parser.add_argument("--ops", nargs="+", metavar="OP")
    options = parser.parse_args()
    # Every array its own allocation: what lies just behind it is nobody's, so that the sanitizer sees a step too far.
    backend.set_memory_mode("plain")
    with mt.simt.watch() if options.device == "simt" else contextlib.nullcontext():
        wrong = run(options.device, options.ops)
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
