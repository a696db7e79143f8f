"""Runs the checks of the emulated kernels with given builds of them: what test_mutants_device.py starts.

    python run_device_checks.py FOLDER=KERNEL ...

FOLDER holds the extension and, in mytensor/_simt, the kernels to use. KERNEL: as in device_table.py. Each is checked in a process of
its own, forked from this one, which has imported torch once for all. Prints a JSON list: "passed", or the error.
"""

import json
import os
import pathlib
import sys

import hypothesis  # noqa: F401 - imported once, before the forks
import numpy as np
import torch  # noqa: F401

GEOMETRIES = [
    ((2, 3, 7, 5), (3, 2), (1, 2), (2, 0), (2, 1)),
    ((3, 2, 6, 9), (2, 3), (2, 1), (1, 2), (1, 3)),
    ((1, 1, 20, 23), (3, 3), (1, 1), (1, 1), (1, 1)),
]


def check(folder: str, kernel: str) -> str:
    tests = pathlib.Path(__file__).resolve().parent.parent
    sys.path[:0] = [folder, str(tests), str(tests.parent)]
    import mytensor_backend

    assert pathlib.Path(mytensor_backend.__file__).parent == pathlib.Path(folder), "another extension is in use"
    from test_ops_im2col_device import compare, debug_memory, watched

    try:
        if kernel == "fill":
            with watched("simt"), debug_memory():
                got = mytensor_backend.full((3, 100), 7.0, mytensor_backend.float32, "simt")
            np.testing.assert_array_equal(got.cpu().numpy(), np.full((3, 100), 7.0))
        elif ":" in kernel:
            with watched("simt"), debug_memory():
                check_product(*kernel.split(":"))
        else:
            for geometry in GEOMETRIES:
                compare("simt", kernel, geometry, np.float32, np.random.default_rng(7))
        return "passed"
    except (AssertionError, mytensor_backend.SimtError) as error:
        return f"{type(error).__name__}: {error}"


def check_product(op: str, rung: str) -> None:
    """A rung of matmul, conv2d or conv2d_bias_grad on sizes that leave no part of it unused."""
    from device.products import ConvCase, MatmulCase

    rng = np.random.default_rng(7)
    if op == "matmul":
        for sizes in ((2, 18, 33, 20), (1, 9, 200, 12), (1, 12, 20, 16)):
            for transposed in ((False, True), (True, False), (False, False)):
                MatmulCase(rng, sizes, transposed, np.float32).check("simt", rung)
        return
    rungs = ("naive", rung) if op == "conv2d_bias_grad" else (rung,)
    ConvCase(rng, 2, 3, 4, 5, 7, (3, 2), (1, 1), (1, 0), (1, 1), 1, np.float32).check("simt", *rungs)
    ConvCase(rng, 3, 4, 6, 5, 9, (3, 2), (2, 1), (2, 1), (2, 3), 2, np.float32).check("simt", *rungs)
    ConvCase(rng, 1, 130, 9, 3, 4, (2, 2), (1, 1), (0, 1), (1, 1), 1, np.float32).check("simt", *rungs)
    ConvCase(rng, 66, 1, 2, 18, 17, (2, 2), (1, 1), (0, 0), (1, 1), 1, np.float32).check("simt", *rungs)


def in_child(folder: str, kernel: str) -> str:
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        try:
            outcome = check(folder, kernel)
        except BaseException as error:
            outcome = f"unexpected {type(error).__name__}: {error}"
        with os.fdopen(write_end, "w") as pipe:
            pipe.write(outcome)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        outcome = pipe.read()
    _, status = os.wait()
    return outcome or f"ended with status {status}"


print(json.dumps([in_child(*request.split("=")) for request in sys.argv[1:]]))
