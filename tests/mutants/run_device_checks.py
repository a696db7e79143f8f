"""Runs the checks of the emulated kernels with given builds of them: what test_mutants_device.py starts.

    python run_device_checks.py FOLDER=OP:KERNEL ...

FOLDER holds the extension and, in mytensor/_simt, the kernels to use. KERNEL: a rung of the op; for im2col also
"fill". Each is checked in a process of its own, forked from this one, which has imported torch once for all. Prints a
JSON list: "passed", or the error.
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


def check(folder: str, op_and_kernel: str) -> str:
    tests = pathlib.Path(__file__).resolve().parent.parent
    sys.path[:0] = [folder, str(tests), str(tests / "device"), str(tests.parent)]
    op, kernel = op_and_kernel.split(":")
    import mytensor_backend

    assert pathlib.Path(mytensor_backend.__file__).parent == pathlib.Path(folder), "another extension is in use"
    from test_ops_im2col_device import compare, debug_memory, watched

    try:
        if op != "im2col":
            check_op(op, kernel)
        elif kernel == "fill":
            with watched("simt"), debug_memory():
                got = mytensor_backend.full((3, 100), 7.0, mytensor_backend.float32, "simt")
            np.testing.assert_array_equal(got.cpu().numpy(), np.full((3, 100), 7.0))
        else:
            for geometry in GEOMETRIES:
                compare("simt", kernel, geometry, np.float32, np.random.default_rng(7))
        return "passed"
    except (AssertionError, mytensor_backend.SimtError) as error:
        return f"{type(error).__name__}: {error}"


def check_op(op: str, kernel: str) -> None:
    """The cases of tests/device, watched."""
    from cases import cases
    from test_ops_im2col_device import debug_memory
    from test_rungs import compare

    import mytensor as mt

    with mt.use_kernel(op, kernel), mt.simt.watch(), debug_memory():
        for case in cases(op, np.random.default_rng(7), np.float32, small=True):
            compare(case, "simt")


def in_child(folder: str, op_and_kernel: str) -> str:
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        try:
            outcome = check(folder, op_and_kernel)
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
