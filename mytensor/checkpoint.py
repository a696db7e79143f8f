"""A checkpoint is one safetensors file: named arrays, and the run's state as JSON in its header.

safetensors holds numbers and text only: unlike a pickle, opening one runs no code.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

FORMAT = "mytensor checkpoint 1"


def write_checkpoint(path: str | os.PathLike, tensors: dict[str, np.ndarray], state: dict[str, Any]) -> None:
    """Write the file so that ``path`` always holds a whole checkpoint, whatever kills the process or the machine.

    The bytes go to a temporary file beside it and to the disk (fsync); only then does the file take the name ``path``,
    which the file system does at one stroke.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = save(tensors, metadata={"format": FORMAT, "state": json.dumps(state)})
    unfinished = path.with_name(f".{path.name}.unfinished")
    with open(unfinished, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def read_checkpoint(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays by name, state). FileNotFoundError where there is no file, ValueError where it is no whole checkpoint."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}; a training run that names it writes one")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated or no safetensors file ({error}); delete it and train afresh") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is a safetensors file, but no checkpoint of a mytensor training run")
    return tensors, json.loads(metadata["state"])
