"""Times every kernel of every op beside torch. No wrong kernel is timed: each is first compared with float64."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import mytensor_backend as backend
import numpy as np

from mytensor.devices import require_device
from mytensor.lab.bench.cases import CASES, Case
from mytensor.lab.bench.ceilings import measured_ceilings
from mytensor.lab.bench.clock import Contestant, sets_of_arguments, take_turns
from mytensor.lab.bench.measurements import FORMAT, row_text, save_results, spread
from mytensor.lab.compare.results import results_file
from mytensor.lab.compare.sides import torch_precision
from mytensor.lab.record import circumstances
from mytensor.ladders import use_kernel
from mytensor.optional import torch
from mytensor.settings import real

# What the tensor cores' rungs round both factors to within, and the ceiling that they are measured against.
ROUNDED = {
    "tensor_core_tf32": (2**-11, "tf32"),
    "tensor_core": (2**-11, "tf32"),
    "tensor_core_bf16": (2**-8, "bfloat16"),
}


class WrongKernel(AssertionError):
    """A kernel's result is further from float64 than its rounding allows: it is not worth timing."""


def run(
    device: str = "cpu",
    ops: Sequence[str] | None = None,
    sizes: Sequence[str] | None = None,
    json: str | os.PathLike | None = None,
    step: bool = False,
    budget: float = 0.5,
    command: str | None = None,
    cases: Sequence[Case] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Time the ladders on "cpu" or "cuda" and return the results (also written to the file ``json`` after each case).

    ops, sizes: only these ops, and only sizes whose name holds one of these texts. step: in place of the ladders, the
    training step of LeNet, ours and torch's (``mytensor.bench.step``). budget: about how many seconds each kernel's
    timing may take at each size. command: what to record as the command that made these results. cases: measure these
    in place of CASES.

    A kernel whose result is wrong is a row with a problem and no times. On the CPU both sides use as many threads as
    our backend does.
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f"bench: device is {device!r}; wanted 'cpu' or 'cuda' (the emulator has no speed to measure)")
    require_device(device, "bench", beside_torch=True)
    real("budget", budget, above=0)
    if step and (ops or sizes):
        raise ValueError("bench: step measures the whole step of LeNet, no ops and no sizes; leave one of them out")
    chosen = [] if step else _choose(CASES if cases is None else cases, device, ops, sizes)
    with results_file(json):
        return _measure(chosen, device, json, step, budget, command, seed)


def _measure(chosen, device, json, step, budget, command, seed) -> dict[str, Any]:
    results: dict[str, Any] = circumstances(FORMAT, device, command)
    if device == "cuda":
        results["machine"]["cuda"] = torch.version.cuda
    results |= {"ceilings": measured_ceilings(device), "rows": []}
    threads = torch.get_num_threads()
    benchmark = torch.backends.cudnn.benchmark
    torch.set_num_threads(backend.get_num_threads())
    torch.backends.cudnn.benchmark = True  # cuDNN tries its algorithms and takes the fastest
    try:
        for case in chosen:
            for row in time_case(case, device, budget, seed):
                results["rows"].append(row if row["problem"] else row | _rates(row, results["ceilings"]))
                print(row_text(results["rows"][-1]), flush=True)
            if json is not None:
                save_results(results, json)
        if step:
            from mytensor.lab.bench.step import time_step

            results["step"] = time_step(device)
            if json is not None:
                save_results(results, json)
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = benchmark
    return results


def _choose(cases: Sequence[Case], device: str, ops: Sequence[str] | None, sizes: Sequence[str] | None) -> list[Case]:
    known = sorted({case.op for case in cases})
    if wrong := sorted(set(ops or []) - set(known)):
        raise ValueError(f"bench: no op {', '.join(wrong)} is measured; these are: {', '.join(known)}")
    chosen = [case for case in cases if device in case.devices and (ops is None or case.op in ops)]
    if not chosen:
        raise ValueError(f"bench: no size of {', '.join(ops or known)} is measured on {device}")
    for text in sizes or []:
        if not any(text in case.size for case in chosen):
            raise ValueError(
                f"bench: nothing on {device} is called {text!r}; `--ops` alone lists an op's sizes as it goes"
            )
    return [case for case in chosen if sizes is None or any(text in case.size for text in sizes)]


def time_case(case: Case, device: str, budget: float = 0.5, seed: int = 0) -> list[dict[str, Any]]:
    """One row for each kernel of the case's op, and one or two for torch.

    ``seconds`` and ``device_seconds`` (None where not measured) as `take_turns` has them; ``error_of_bound``: the
    largest error as a fraction of what rounding allows. Of a wrong kernel there is only the ``problem``."""
    rng = np.random.default_rng(seed)
    drawn = [case.draw(rng)]
    count = sets_of_arguments(case.bytes, sum(array.nbytes for array in drawn[0]), device)
    drawn += [case.draw(rng) for _ in range(count - 1)]

    rows: list[dict[str, Any]] = []
    contestants: dict[str, Contestant] = {}

    def enter(name: str, side: str, is_default: bool, error: float | None, problem: str | None) -> None:
        row = {"op": case.op, "size": case.size, "kernel": name, "side": side, "is_default": is_default}
        row |= {"problem": problem, "error_of_bound": error, "flops": case.flops, "bytes": case.bytes, "sets": count}
        rows.append(row)

    reference = Reference(case, drawn[0], device)
    for kernel in backend.kernels(case.op, device):
        name = kernel["name"]
        with use_kernel(case.op, name):
            try:
                error = reference.check(name)
            except WrongKernel as wrong:
                enter(name, "ours", kernel["selected"], None, str(wrong))
                continue
            except NotImplementedError as unsupported:  # this GPU is too old for the kernel
                print(f"{case.op}, {case.size}: {unsupported}", flush=True)
                continue
            calls = [case.ours(*to_ours(arrays, device)) for arrays in drawn]
        enter(name, "ours", kernel["selected"], error, None)
        contestants[name] = Contestant(calls, functools.partial(use_kernel, case.op, name))
    inputs = [to_torch(arrays, device) for arrays in drawn]
    for tf32 in (False, True) if device == "cuda" and case.op in ("matmul", "conv2d") else (False,):
        name = "torch tf32" if tf32 else "torch"
        enter(name, "torch", False, None, None)
        contestants[name] = Contestant(
            [case.torch(*tensors) for tensors in inputs], functools.partial(_as_torch, tf32), "torch"
        )
    take_turns(contestants, device, budget)
    for row in rows:
        if contestant := contestants.get(row["kernel"]):
            row |= {"seconds": spread(contestant.seconds), "device_seconds": spread(contestant.device_seconds)}
    return rows


@contextmanager
def _as_torch(tf32: bool):
    with torch.no_grad(), torch_precision(tf32):
        yield


class Reference:
    """A case's results in float64, by torch, and the verdict on a kernel's."""

    def __init__(self, case: Case, arrays: Sequence[np.ndarray], device: str):
        where = "cuda" if device == "cuda" else "cpu"
        exact = [tensor.double() if tensor.is_floating_point() else tensor for tensor in to_torch(arrays, where)]
        before = [tensor.clone() for tensor in exact]  # an optimizer changes its arguments
        with torch.no_grad():
            self.wanted = [result.detach().clone() for result in _as_list(case.torch(*exact)())]
        self.case, self.arrays, self.device, self.exact = case, arrays, device, before

    def check(self, kernel: str) -> float:
        """The largest error of the selected kernel as a fraction of its bound; raises WrongKernel beyond 1."""
        outputs = _as_list(self.case.ours(*to_ours(self.arrays, self.device))())
        unit, worst = ROUNDED.get(kernel, (0.0, ""))[0], 0.0
        for output, wanted in zip(outputs, self.wanted, strict=True):
            got = torch.from_numpy(output.cpu().numpy()).to(wanted.device)
            if got.shape != wanted.shape:
                raise WrongKernel(
                    f"{self.case.op}, kernel {kernel}, {self.case.size}: shape {tuple(got.shape)}, "
                    f"wanted {tuple(wanted.shape)}"
                )
            with torch.no_grad():
                bound = self.case.bound(unit, wanted, self.exact) if got.is_floating_point() else 0.0
                error = (got.double() - wanted.double()).abs()
                is_right = error <= bound  # NaN is wrong
            if not bool(is_right.all()):
                place = tuple(int(i) for i in (~is_right).nonzero()[0])
                raise WrongKernel(
                    f"{self.case.op}, kernel {kernel}, {self.case.size}: element {place} is {got[place].item()}, "
                    f"wanted {wanted[place].item()}; {int((~is_right).sum())} of {got.numel()} are off"
                )
            allowed = torch.as_tensor(bound, dtype=torch.float64, device=error.device)
            fraction = torch.where(error > 0, error / allowed, torch.zeros_like(error))
            worst = max(worst, float(fraction.max()) if fraction.numel() else 0.0)
        return worst


def _as_list(results: Any) -> list[Any]:
    return list(results) if isinstance(results, list | tuple) else [results]


def to_ours(arrays: Sequence[np.ndarray], device: str) -> list[backend.NDArray]:
    """Copies on the device."""
    return [backend.from_numpy(array.copy()).to(device) for array in arrays]


def to_torch(arrays: Sequence[np.ndarray], device: str) -> list[torch.Tensor]:
    """Copies on the device."""
    return [torch.tensor(array, device=device) for array in arrays]


def _rates(row: dict[str, Any], ceilings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """How many operations and bytes a second, and what part of the machine's ceilings that is."""
    seconds = (row["device_seconds"] or row["seconds"])["median"]
    precision = "tf32" if row["kernel"] == "torch tf32" else ROUNDED.get(row["kernel"], (0, "float32"))[1]
    flops, moved = row["flops"] / seconds, row["bytes"] / seconds
    return {
        "gflops": flops / 1e9,
        "of_peak": flops / ceilings[precision]["flops"],
        "peak": precision,
        "gbytes_per_second": moved / 1e9,
        "of_bandwidth": moved / ceilings["copy"]["bytes_per_second"],
    }
