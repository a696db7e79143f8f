"""Which device to train on where nobody says."""

from __future__ import annotations

from mytensor import cuda


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
