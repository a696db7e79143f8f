"""Fetch CIFAR-10 through torchvision, so that a half-finished download is never taken for data."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from types import ModuleType

TIMEOUT = 30.0  # seconds of silence after which a connection counts as dead


def download_cifar10(target: Path, folder: str) -> Path:
    """Download CIFAR-10 and return ``target/folder``.

    Everything is fetched, checked (torchvision compares MD5s) and unpacked in a temporary folder inside ``target``,
    which is then renamed: the final name appears complete or not at all.
    """
    datasets = import_torchvision().datasets
    made = not target.exists()
    target.mkdir(exist_ok=True)  # not parents=True: a mistyped path should fail, not come into being
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-download-", dir=target))
    previous_timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        datasets.CIFAR10(root=str(unfinished), train=True, download=True)
        os.replace(unfinished / folder, target / folder)
    finally:
        socket.setdefaulttimeout(previous_timeout)
        shutil.rmtree(unfinished, ignore_errors=True)
        if made and not any(target.iterdir()):
            target.rmdir()
    return target / folder


def import_torchvision() -> ModuleType:
    """torchvision, also beside a CPU-only torch for which only the CUDA build of torchvision is to be had.

    That build's C++ library can't load there, and ``import torchvision`` stops at "operator torchvision::nms does not
    exist" (pytorch/vision issue 9085). Declaring the missing operators' signatures lets the pure-Python part, data sets
    among it, import; the operators themselves stay unavailable. Where torchvision imports by itself nothing is changed.
    """
    from mytensor.optional import torch

    declared: set[str] = set()
    while True:
        try:
            from mytensor.optional import torchvision

            return torchvision
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None or missing[1] in declared:
                raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        _OPERATORS.append(library := torch.library.Library("torchvision", "FRAGMENT"))
        library.define(f"{missing[1]}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        declared.add(missing[1])


_OPERATORS: list[object] = []  # torch forgets the declarations once their Library object is gone
