"""Runs the checks of the emulated kernels with given builds of them: what test_mutants_device.py starts.

    python run_device_checks.py FOLDER=OP:RUNG,OP:RUNG,... ...

FOLDER holds the extension and, in mytensor/_simt, the kernels to use. The checks of a folder run watched, in a process
of their own, two processes at a time, forked from this one, which has imported torch once for all. Prints a JSON list
for each folder: "passed", or the error.
"""

import json
import os
import pathlib
import sys

import hypothesis  # noqa: F401 - imported once, before the forks
import numpy as np
import pytest  # noqa: F401
import torch

TESTS = pathlib.Path(__file__).resolve().parent.parent
PATHS = [str(TESTS), str(TESTS / "device"), str(TESTS.parent)]
AT_A_TIME = 2


def checks(folder: str, names: list[str]) -> list[str]:
    sys.path[:0] = [folder, *PATHS]
    import mytensor_backend

    assert pathlib.Path(mytensor_backend.__file__).parent == pathlib.Path(folder), "another extension is in use"
    import mytensor as mt

    mytensor_backend.set_memory_mode("debug")  # outputs hold NaN before a kernel runs
    outcomes = []
    for name in names:
        try:
            with mt.simt.watch():
                check_rung(*name.split(":"), np.random.default_rng(7))
            outcomes.append("passed")
        except (AssertionError, mytensor_backend.SimtError) as error:
            outcomes.append(f"{type(error).__name__}: {error}")
    return outcomes


def check_rung(op: str, rung: str, rng: np.random.Generator) -> None:
    """The rung on small sizes that leave no part of it unused, against float64, element by element."""
    from products import ConvCase, Im2colCase, MatmulCase

    if op == "matmul":
        for sizes, transposed in (
            ((2, 18, 33, 20), (False, True)),
            ((1, 9, 200, 12), (True, False)),
            ((1, 9, 200, 12), (False, True)),
            ((1, 12, 20, 16), (False, False)),
            ((1, 5, 7, 3), (False, True)),
        ):
            MatmulCase(rng, sizes, transposed, np.float32).check("simt", rung)
    elif op in ("conv2d", "conv2d_bias_grad"):
        for case in (
            (2, 3, 4, 5, 7, (3, 2), (1, 1), (1, 0), (1, 1), 1),
            (3, 4, 6, 5, 9, (3, 2), (2, 1), (2, 1), (2, 3), 2),
            (1, 130, 9, 3, 4, (2, 2), (1, 1), (0, 1), (1, 1), 1),  # several chunks of channels
            (66, 1, 2, 6, 17, (2, 2), (1, 1), (0, 0), (1, 1), 1),  # several slices of images
        ):
            made = ConvCase(rng, *case, np.float32)
            (made.check if op == "conv2d" else made.check_bias_grad)("simt", rung)
    elif op == "im2col":
        for case in (
            ((2, 3, 7, 5), (3, 2), (1, 2), (2, 0), (2, 1)),
            ((3, 2, 6, 9), (2, 3), (2, 1), (1, 2), (1, 3)),
            ((1, 1, 20, 23), (3, 3), (1, 1), (1, 1), (1, 1)),
        ):
            Im2colCase(rng, *case, np.float32).check("simt", rung)
    else:
        check_cases(op, rung, rng)


def check_cases(op: str, rung: str, rng: np.random.Generator) -> None:
    from cases import cases
    from test_rungs import compare

    import mytensor as mt

    with mt.use_kernel(op, rung):
        for case in cases(op, rng, np.float32, small=True):
            compare(case, "simt")


def start(request: str) -> tuple[int, int]:
    """A child that checks, as its process number and the end of a pipe where its answer comes."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        folder, _, names = request.partition("=")
        try:
            answer = json.dumps(checks(folder, names.split(",")))
        except BaseException as error:
            answer = json.dumps([f"unexpected {type(error).__name__}: {error}"] * len(names.split(",")))
        with os.fdopen(write_end, "w") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(write_end)
    return child, read_end


def finish(request: str, child: int, read_end: int) -> list[str]:
    with os.fdopen(read_end) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(answer) if answer else [f"ended with status {status}"] * len(request.split(","))


def main() -> None:
    torch.set_num_threads(1)
    requests, running = sys.argv[1:], []
    outcomes = []
    for i, request in enumerate(requests):
        if len(running) == AT_A_TIME:
            outcomes.append(finish(requests[i - AT_A_TIME], *running.pop(0)))
        running.append(start(request))
    outcomes += [finish(request, *child) for request, child in zip(requests[-len(running) :], running, strict=True)]
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
