"""A checkpoint is one safetensors file: named arrays, and the run's state as JSON in its header.

safetensors holds numbers and text only: unlike a pickle, opening one runs no code. It has no checksum of its own, so
the header holds one of the whole file, and a file in which a single bit has changed is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mytensor.files import from_json, to_json, write_whole
from mytensor.recipe import Recipe
from mytensor.settings import real, whole

FORMAT = "mytensor checkpoint 2"  # 1 had no checksum

# What a training run notes of each epoch.
HISTORY = (
    "epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "lr", "seconds", "images_per_second",
)  # fmt: skip

# Where the header holds the checksum, SHA-256. It is computed with zeros in its place.
_CHECKSUM = re.compile(rb'"checksum":"([0-9a-f]{64})"')
_NOT_YET = "0" * 64


def write_checkpoint(path: str | os.PathLike, tensors: dict[str, np.ndarray], state: dict[str, Any]) -> None:
    """Write the file, all of it or nothing (see ``write_whole``). NaN and infinity may stand anywhere."""
    metadata = {"format": FORMAT, "state": to_json(state), "checksum": _NOT_YET}
    in_rows = {name: np.asarray(values, order="C") for name, values in tensors.items()}  # as the format has them
    content = save(in_rows, metadata=metadata)
    digest, start, end = _checksum(content)
    write_whole(path, content[:start] + digest + content[end:])


def read_checkpoint(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays by name, state). FileNotFoundError where there is no file, ValueError where it is no whole checkpoint."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}; a training run that names it writes one")
    content = Path(path).read_bytes()
    try:
        metadata = _metadata(content)
    except ValueError as error:
        raise ValueError(f"{path} is truncated or no safetensors file ({error}); delete it and train afresh") from error
    found = str(metadata.get("format"))
    if found != FORMAT:
        if found.startswith(FORMAT.rstrip("0123456789")):
            raise ValueError(
                f"{path} is a {found}, of another version of mytensor: this one reads {FORMAT}; train afresh"
            )
        raise ValueError(f"{path} is a safetensors file, but no checkpoint of a mytensor training run")
    if metadata.get("checksum") != _checksum(content)[0].decode():
        raise ValueError(
            f"{path} is truncated or damaged: its checksum is that of other bytes; delete it and train afresh"
        )
    try:
        return load(content), from_json(metadata["state"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no state of a training run ({error}); delete it and train afresh") from error


def _checksum(content: bytes) -> tuple[bytes, int, int]:
    """The checksum of a file's bytes as text, and where in them it belongs."""
    place = _CHECKSUM.search(content)
    start, end = place.span(1) if place else (0, 0)
    digest = hashlib.sha256(content[:start])
    digest.update(_NOT_YET.encode())
    digest.update(content[end:])
    return digest.hexdigest().encode(), start, end


def _metadata(content: bytes) -> dict[str, Any]:
    """The text that a safetensors file holds: eight bytes tell the length of its header, which is JSON."""
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= len(content) - 8:
        raise ValueError(f"it has {len(content)} bytes, and its header should have {length}")
    header = from_json(content[8 : 8 + length])
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict):
        raise ValueError("its header is none")
    return metadata


# What a training run writes


def read_run(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays by name, state) of a training run's checkpoint, the state's "recipe" a Recipe.

    FileNotFoundError where there is no file, ValueError where it is damaged or holds anything else.
    """
    tensors, state = read_checkpoint(path)
    try:
        _check_state(state)
        return tensors, state | {"recipe": _recipe(state["recipe"])}
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no state of a training run: {error}; delete it and train afresh") from error


def _check_state(state: Any) -> None:
    """TypeError or ValueError that says which of its entries is not what ``Trainer`` writes."""
    kinds = {"model": str, "recipe": dict, "source": str, "checksum": str, "kernels": dict}
    numbers = {"epoch", "step", "seconds"}
    _check_names("its state", state, {*kinds, *numbers, "running", "history"})
    for name, kind in kinds.items():
        if not isinstance(state[name], kind):
            raise TypeError(f"its {name} is {state[name]!r}")
    whole("its epoch", state["epoch"], 0)
    whole("its step", state["step"], 0)
    real("its seconds", state["seconds"], above=0 if state["step"] else None)
    _check_names("its running sums", state["running"], ("loss", "correct", "count"))
    _check_numbers("its running sums", state["running"], ("loss", "correct"), most=float(np.finfo(np.float32).max))
    whole("its count of images", state["running"]["count"], 0)
    if not isinstance(state["history"], list) or len(state["history"]) != state["epoch"]:
        raise ValueError(f"its history is not that of {state['epoch']} epoch(s)")
    for row in state["history"]:
        _check_names("a row of its history", row, HISTORY, others=True)
        _check_numbers("a row of its history", row, HISTORY)


def _check_names(what: str, found: Any, names: Iterable[str], others: bool = False) -> None:
    """TypeError or ValueError unless it is a dict with these names; ``others``: it may have more."""
    if not isinstance(found, dict):
        raise TypeError(f"{what} is {found!r}")
    wrong = sorted(set(names) - found.keys() if others else found.keys() ^ set(names))
    if wrong:
        raise ValueError(f"{what} lacks, or should not have: {', '.join(wrong)}")


def _check_numbers(what: str, found: dict[str, Any], names: Iterable[str], most: float = sys.float_info.max) -> None:
    """TypeError or ValueError unless these are numbers up to ``most``; NaN and infinity are."""
    for name in names:
        value = found[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} in {what} is {value!r}")
        if abs(value) > most and value not in (math.inf, -math.inf):
            raise ValueError(f"{name} in {what} is too large")


def _recipe(values: dict[str, Any]) -> Recipe:
    """The recipe that ``dataclasses.asdict`` has taken apart."""
    _check_names("its recipe", values, {field.name for field in dataclasses.fields(Recipe)})
    return Recipe(**values)
