"""Read the pickles CIFAR-10 comes in, and nothing else.

A pickle is a small program: an ordinary ``pickle.load`` of a file from the internet may run any command. CIFAR-10's
batch files need four names only, all from numpy and the text codec, so this reader admits those four and refuses the
rest.
"""

from __future__ import annotations

import _codecs
import io
import pickle
from typing import Any

import numpy as np

# numpy's own "make an empty array to be filled"; asked of an array, because the module it lives in was renamed in numpy
# 2.
_reconstruct = np.empty(0).__reduce__()[0]


def _encode_latin1(text: str, encoding: str) -> bytes:
    """How Python 3 writes Python 2 byte strings into a pickle; other codecs (some of which decompress) aren't
    needed."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text codec {encoding!r} is not admitted")
    return _codecs.encode(text, encoding)


_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode_latin1,
}


class BatchUnpickler(pickle.Unpickler):
    """An unpickler that knows arrays, numbers, text, lists and dicts."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR-10 file needs") from None


def loads(content: bytes) -> Any:
    """The object in a pickle's bytes; pickle.UnpicklingError and others where the bytes are damaged or ask for more."""
    return BatchUnpickler(io.BytesIO(content), encoding="latin1").load()
