"""CIFAR-10 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009) from its standard files.

The files are five training batches and one test batch of 10,000 images each, in a folder ``cifar-10-batches-py``. They
are looked for where the caller says, else where the environment variable MYTENSOR_DATA says, else in ``data/``; failing
that they are downloaded through torchvision. torch is imported for a download only: reading needs numpy alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mytensor.data import pickles
from mytensor.data.dataset import ImageDataset
from mytensor.data.download import download_cifar10
from mytensor.data.stand_in import synthetic

FOLDER = "cifar-10-batches-py"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# MD5 of the official files, as torchvision.datasets.CIFAR10 lists them.
OFFICIAL_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
TRAIN_FILES = tuple(name for name in OFFICIAL_MD5 if name != "test_batch")
IMAGES_PER_FILE = 10_000
LARGEST_FILE = 64 * 2**20  # bytes; a real batch file has 31 MB

OFFICIAL = "CIFAR-10"
JPEG_75 = "CIFAR-10 (JPEG-75)"
RE_ENCODED = "CIFAR-10 (re-encoded)"


def cifar10(root: str | os.PathLike | None = None, train: bool = True, download: bool = True) -> ImageDataset:
    """CIFAR-10's 50,000 training images or 10,000 test images.

    root: the folder ``cifar-10-batches-py`` or the one that holds it. Without it: MYTENSOR_DATA, then ``data/`` here,
    then ``data/`` beside the package. download: fetch the files where they are found nowhere.

    The result's ``source`` is "CIFAR-10" only where every file's checksum is the official one; else "CIFAR-10
    (JPEG-75)" where the files say that of themselves, else "CIFAR-10 (re-encoded)".

    Raises FileNotFoundError where there are no files, ValueError where a file is damaged; both name the file.
    """
    folder = find(root)
    if folder is None:
        places = [str(place) for place in _places(root)]
        if not download:
            raise FileNotFoundError(_absent(places, "downloading was switched off (download=False)"))
        try:
            folder = download_cifar10(_download_target(root), FOLDER)
        except (ImportError, OSError, RuntimeError) as error:
            raise FileNotFoundError(
                _absent(places, f"the download failed ({type(error).__name__}: {error})")
            ) from error

    names = TRAIN_FILES if train else ("test_batch",)
    images = np.empty((len(names) * IMAGES_PER_FILE, 3, 32, 32), np.uint8)
    labels = np.empty(len(names) * IMAGES_PER_FILE, np.int64)
    sources = set()
    for position, name in enumerate(names):
        rows = slice(position * IMAGES_PER_FILE, (position + 1) * IMAGES_PER_FILE)
        pixels, labels[rows], source = read_batch(folder / name)
        images[rows] = pixels.reshape(-1, 3, 32, 32)
        sources.add(source)
    return ImageDataset(images, labels, CLASSES, sources.pop() if len(sources) == 1 else RE_ENCODED)


def cifar10_or_stand_in(
    root: str | os.PathLike | None = None, download: bool = True
) -> tuple[ImageDataset, ImageDataset]:
    """(training set, test set): CIFAR-10 where it can be had, else the synthetic stand-in of the same size, said
    aloud."""
    try:
        return cifar10(root, True, download), cifar10(root, False, download)
    except FileNotFoundError as error:
        train, test = synthetic(50_000, seed=0), synthetic(10_000, seed=1)
        print(f"CIFAR-10 is not here, so this runs on the {train.source}: expect other accuracies.\n{error}")
        return train, test


def find(root: str | os.PathLike | None = None) -> Path | None:
    """The folder that holds the batch files, or None. A folder counts as soon as one batch file is in it, so that a
    missing file is reported by name, not as a missing data set."""
    for place in _places(root):
        for folder in (place / FOLDER, place):
            if any((folder / name).exists() for name in OFFICIAL_MD5):
                return folder
    return None


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """(pixels uint8 (10000, 3072), labels int64 (10000,), source) of one batch file; ValueError where it is damaged."""
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise ValueError(f"{path} has {size:,} bytes; a CIFAR-10 batch file has about 31 million. {_MEND}")
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing, though other CIFAR-10 files are beside it. {_MEND}") from None
    try:
        batch = pickles.loads(content)
    except Exception as error:  # a damaged pickle may fail in any way: all of them mean the same to the reader
        raise ValueError(
            f"{path} can't be read as a CIFAR-10 batch: {error or type(error).__name__}. {_MEND}"
        ) from error
    pixels, labels = _contents(batch, path)
    return pixels, labels, _source(path.name, content, batch)


_MEND = "Delete the folder and fetch the data again, or name another folder."


def _contents(batch: Any, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The checked pixels and labels of an unpickled batch."""
    if not isinstance(batch, dict) or not {"data", "labels"} <= batch.keys():
        raise ValueError(f"{path} holds no CIFAR-10 batch (a dict with 'data' and 'labels' was wanted). {_MEND}")
    pixels = batch["data"]
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape != (IMAGES_PER_FILE, 3072):
        came = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise ValueError(f"{path}: 'data' is {came}; uint8 (10000, 3072) was wanted. {_MEND}")
    labels = batch["labels"]
    if not isinstance(labels, list) or len(labels) != IMAGES_PER_FILE:
        came = f"a list of {len(labels)}" if isinstance(labels, list) else type(labels).__name__
        raise ValueError(f"{path}: 'labels' is {came}; a list of 10000 was wanted. {_MEND}")
    for label in labels:
        if type(label) is not int or not 0 <= label < len(CLASSES):
            raise ValueError(f"{path}: 'labels' holds {label!r}; whole numbers 0 to 9 were wanted. {_MEND}")
    return pixels, np.array(labels, np.int64)


def _source(name: str, content: bytes, batch: dict) -> str:
    """The name of where a file's pixels came from."""
    if hashlib.md5(content, usedforsecurity=False).hexdigest() == OFFICIAL_MD5[name]:
        return OFFICIAL
    if "JPEG-75" in str(batch.get("batch_label", "")):
        return JPEG_75
    return RE_ENCODED


def _repository() -> Path | None:
    """The top folder of a source checkout, or None for an installed package."""
    top = Path(__file__).resolve().parents[2]
    return top if (top / "pyproject.toml").exists() else None


def _places(root: str | os.PathLike | None) -> Iterator[Path]:
    """Where to look. A place that was named is the only one: a typing error must not pick other data silently."""
    named = root if root is not None else os.environ.get("MYTENSOR_DATA")
    if named:
        yield Path(named).expanduser()
        return
    yield Path("data")
    repository = _repository()
    if repository is not None:
        yield repository / "data"


def _download_target(root: str | os.PathLike | None) -> Path:
    """The folder to download into: the named one, else the checkout's ``data/``, else ``data/`` here."""
    return list(_places(root))[-1]


def _absent(places: list[str], why: str) -> str:
    return (
        f"CIFAR-10 was not found in {' or '.join(places)}, and {why}. Ways out: put the folder {FOLDER} into data/; "
        f"or name the folder that holds it by the argument root= (--data on the command line) or the environment "
        f"variable MYTENSOR_DATA; or connect to the internet and `pip install torchvision`, and it is downloaded "
        f"(170 MB); or draw pictures instead: mytensor.data.synthetic(n, seed) (--synthetic), which is not CIFAR-10 "
        f"and is labelled so."
    )
