"""How a measurement was made: what stands at the head of every file of results."""

from __future__ import annotations

import datetime
import os
import subprocess
from pathlib import Path
from typing import Any

import mytensor_backend as backend

import mytensor
from mytensor.data import ImageDataset
from mytensor.lab.doctor import cpu_model, nvidia_driver, versions


def circumstances(
    file_format: str, device: str, command: str | None = None, threads: int | None = None
) -> dict[str, Any]:
    """The entries that all results have. command: what made them; threads: see ``machine``."""
    return {
        "format": file_format,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
        "commit": git_commit(),
        "machine": machine(device, threads),
        "versions": versions(),
        "build": dict(backend.build_info()),
    }


def machine(device: str, threads: int | None = None) -> dict[str, str | int | None]:
    """What a measurement on ``device`` depends on: device, processor, cores, threads (None: as many as our backend uses
    now); on cuda the GPU, if there is one, and its driver too."""
    facts: dict[str, str | int | None] = {
        "device": device,
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads or backend.get_num_threads(),
    }
    for gpu in backend.cuda_info()["gpus"][:1] if device == "cuda" else ():
        major, minor = gpu["compute_capability"]
        facts |= {"gpu": gpu["name"], "compute_capability": f"{major}.{minor}", "driver": nvidia_driver()}
    return facts


def data_facts(train_set: ImageDataset, test_set: ImageDataset) -> dict[str, str | int]:
    """Which images a training run had."""
    return {
        "source": train_set.source,
        "train_images": len(train_set),
        "test_images": len(test_set),
        "train_checksum": train_set.checksum,
        "test_checksum": test_set.checksum,
    }


def git_commit() -> str | None:
    """The commit of the checkout this package runs from, with "+changes" where its tracked files differ; None outside
    one."""
    top = Path(mytensor.__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(top), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != top:
            return None  # installed inside somebody else's repository
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
