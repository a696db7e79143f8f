"""What was built, what this machine has, what is off and why: ``python -m mytensor doctor``."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import mytensor_backend as backend

import mytensor
from mytensor._build_check import BUILD_COMMAND, csrc_path, stale_message
from mytensor.data import cifar10, find

# Package -> what goes without it. None: nothing does.
NEEDED = ("numpy", "safetensors", "tqdm")
OPTIONAL = {
    "torch": "no comparison with PyTorch, no checks against it",
    "torchvision": "CIFAR-10 can't be downloaded, only read from files",
    "matplotlib": "no plots",
    "jupyterlab": "no notebooks",
    "ipywidgets": "no sliders in the notebooks",
    "anywidget": "no inspectors in the notebooks",
}


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report. state: "ok", "off" (something optional is missing) or "wrong" (it can't
    work)."""

    section: str
    name: str
    value: str
    state: str = "ok"


def examine(data: str | os.PathLike | None = None) -> list[Finding]:
    """All findings, in the order in which they are reported; ``data`` names CIFAR-10's folder, as in
    ``cifar10(root)``."""
    return [*_software(), *_backend(), *_devices(), *_kernels(), *_data(data)]


def usable(findings: list[Finding]) -> bool:
    """Whether the framework can work as it stands."""
    return all(finding.state != "wrong" for finding in findings)


def report(findings: list[Finding]) -> str:
    """The findings as text."""
    marks = {"ok": "  ", "off": "- ", "wrong": "! "}
    lines, section = [], None
    for finding in findings:
        if finding.section != section:
            lines += ["", finding.section]
            section = finding.section
        lines.append(f"  {marks[finding.state]}{finding.name:<18} {finding.value}")
    verdict = (
        "Everything that is needed works." if usable(findings) else "Something needed is wrong: see the lines marked !"
    )
    off = sum(finding.state == "off" for finding in findings)
    return "\n".join([*lines[1:], "", verdict + (f" {off} thing(s) are off: see the lines marked -" if off else "")])


def _software() -> list[Finding]:
    found = versions()
    lines = [Finding("Software", name, found[name] or "unknown") for name in ("mytensor", "python")]
    lines.append(Finding("Software", "system", f"{platform.system()} {platform.machine()}"))
    for name in NEEDED:
        version = found[name]
        state = "ok" if version else "wrong"
        lines.append(Finding("Software", name, version or f"missing: pip install {name}", state))
    for name, loss in OPTIONAL.items():
        version = found[name]
        lines.append(Finding("Software", name, version or f"not installed: {loss}", "ok" if version else "off"))
    return lines


def _backend() -> list[Finding]:
    info = backend.build_info()
    stale = stale_message(info["source_hash"], csrc_path())
    lines = [
        Finding("Compiled backend", key.replace("_", " "), " ".join(value) if isinstance(value, list) else str(value))
        for key, value in info.items()
        if key not in ("source_hash", "simt_flags", "cuda")
    ]
    if not csrc_path().is_dir():
        lines.append(Finding("Compiled backend", "sources", "not beside the package: nothing to compare with", "off"))
    elif stale:
        lines.append(Finding("Compiled backend", "sources", stale, "wrong"))
    else:
        lines.append(Finding("Compiled backend", "sources", "the backend was built from the csrc/ that is here"))
    lines.append(Finding("Compiled backend", "memory", f"mode {backend.memory_mode()!r}"))
    return lines


def _devices() -> list[Finding]:
    threads, cores = backend.get_num_threads(), os.cpu_count()
    lines = [Finding("Devices", "cpu", f"{cpu_model()}, {threads} threads used of {cores} processors")]
    lines.append(_cuda())
    lines.append(_simt())
    return lines


def _simt() -> Finding:
    if problem := backend.simt_problem():
        return Finding("Devices", "simt", f"off: {problem}", "off")
    return Finding("Devices", "simt", "the CUDA kernels, run on the CPU thread by thread: slow, exact and watched")


def _cuda() -> Finding:
    info = backend.cuda_info()
    if not info["built"]:
        why = "the backend was built without CUDA: no compiler for it (nvcc) was found, or MYTENSOR_CUDA=0 was set"
        if driver := nvidia_driver():
            why += f"; NVIDIA driver {driver} is here, so put nvcc on PATH and run `{BUILD_COMMAND}`"
        return Finding("Devices", "cuda", f"off: {why}", "off")
    gpus = ", ".join(
        f"{gpu['name']} (sm_{gpu['compute_capability'][0]}{gpu['compute_capability'][1]}, "
        f"{gpu['total_memory'] / 2**30:.0f} GiB)"
        for gpu in info["gpus"]
    )
    driver = f"driver for CUDA {info['driver_version']}" if info["driver_version"] else ""
    facts = [fact for fact in (f"built with {backend.build_info()['cuda']}", driver, gpus) if fact]
    if info["problem"]:
        return Finding("Devices", "cuda", "; ".join([f"off: {info['problem']}", *facts]), "off")
    return Finding("Devices", "cuda", "; ".join(["training runs on it unless --device says otherwise", *facts]))


def _kernels() -> list[Finding]:
    """The ops that leave a choice; the others are counted."""
    devices = ("cpu", "cuda" if backend.build_info()["cuda"] else "simt")  # simt runs the kernels of cuda
    tables = {
        op: [kernel for device in devices for kernel in backend.kernels(op, device)]
        for op in backend.ops_with_kernels()
    }
    lines = [
        Finding(
            "Kernels",
            op,
            f"{kernel['device']}, {kernel['name']}{' (selected)' if kernel['selected'] else ''}: "
            + kernel["description"],
        )
        for op, table in tables.items()
        if len(table) > 1
        for kernel in table
    ]
    single = sum(len(table) == 1 for table in tables.values())
    return [*lines, Finding("Kernels", "others", f"{single} ops with one kernel each")]


def _data(data: str | os.PathLike | None) -> list[Finding]:
    folder = find(data)
    if folder is None:
        if data is not None:
            return [Finding("Data", "CIFAR-10", f"not in {data}, the folder that was named", "wrong")]
        value = "not found; it is downloaded when needed, or name its folder by MYTENSOR_DATA"
        return [Finding("Data", "CIFAR-10", value, "off")]
    try:
        sets = cifar10(folder, train=True), cifar10(folder, train=False)
    except (OSError, ValueError) as error:
        return [Finding("Data", "CIFAR-10", str(error), "wrong")]
    sources = " and ".join(sorted({part.source for part in sets}))
    return [Finding("Data", "CIFAR-10", f"{sources}: {len(sets[0]):,} + {len(sets[1]):,} images in {folder}")]


def versions() -> dict[str, str | None]:
    """The version of each package that matters, without importing it; None where it isn't installed."""
    found: dict[str, str | None] = {"mytensor": mytensor.__version__, "python": platform.python_version()}
    for name in (*NEEDED, *OPTIONAL):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def nvidia_driver() -> str | None:
    """The version of the NVIDIA kernel driver, or None."""
    for path in ("/sys/module/nvidia/version", "/proc/driver/nvidia/version"):  # a container may have only one of them
        try:
            text = Path(path).read_text()
        except OSError:
            continue
        if found := re.search(r"\b\d+\.\d+(\.\d+)?\b", text):
            return found[0]
    return None
