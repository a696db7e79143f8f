"""Which device is the default for training, and whether one is there."""

from __future__ import annotations

import mytensor_backend as backend

from mytensor import cuda

DEVICES = ("cpu", "cuda", "simt")


def default_device() -> str:
    """ "cuda" where there is a GPU that runs our kernels, else "cpu": what a training or a notebook chooses.

    New tensors do not: `mt.tensor(x)` without a device is on the CPU, as in torch.
    """
    return choose_device()[0]


def choose_device() -> tuple[str, str]:
    """The default device and, in a few words, why it is that one."""
    problem = cuda.problem()
    if problem is None:
        return "cuda", f"{cuda.get_device_name()} is here"
    return "cpu", f"no GPU to use: {problem}"


def require_device(device: str, work: str, doing: str = "measure", beside_torch: bool = False) -> None:
    """Before ``work`` begins, a command: NotImplementedError that says why, where a device is not there.

    doing: what it would do there. beside_torch: PyTorch must see the GPU too. ValueError: no device has this name.
    """
    if device not in DEVICES:
        raise ValueError(f"{work}: device is {device!r}; wanted one of {', '.join(map(repr, DEVICES))}")
    if device == "simt" and (missing := backend.simt_problem()):
        raise NotImplementedError(f"{work}: the emulator can't be used: {missing}")
    if device != "cuda":
        return
    if problem := cuda.problem():
        raise NotImplementedError(f"{work}: there is no GPU to {doing} on: {problem}; --device cpu takes the processor")
    if beside_torch:
        from mytensor.optional import torch

        if not torch.cuda.is_available():
            raise NotImplementedError(
                f"{work}: our backend sees a GPU, but PyTorch {torch.__version__} does not: nothing to compare"
            )
