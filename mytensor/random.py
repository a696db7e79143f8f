"""The random numbers of the framework: one seed, one counter.

The backend's generator (Philox4x32-10) is a function of (seed, counter): each counter makes 16 random bytes, four
float32 numbers or two float64. So the state is two integers, a draw moves the counter on by its size in
bytes / 16, rounded up, and the same state gives the same numbers on every device and with any number of threads.
"""

from __future__ import annotations

import operator
import threading

from mytensor.arguments import describe

_lock = threading.Lock()
_seed = 0
_offset = 0


def manual_seed(seed: int) -> None:
    """Starts the random numbers over from `seed` (0 ... 2^64 - 1). At import the seed is 0."""
    global _seed, _offset
    try:
        if isinstance(seed, bool):
            raise TypeError
        seed = operator.index(seed)
    except TypeError:
        raise TypeError(f"manual_seed: wanted an int, got {describe(seed)}") from None
    if not 0 <= seed < 2**64:
        raise ValueError(f"manual_seed: wanted 0 <= seed < 2**64, got {seed}")
    with _lock:
        _seed, _offset = seed, 0


def get_state() -> tuple[int, int]:
    """(seed, counter): what `set_state` needs to continue the random numbers from here."""
    with _lock:
        return _seed, _offset


def set_state(state: tuple[int, int]) -> None:
    """Continues from what `get_state` returned."""
    global _seed, _offset
    seed, offset = (int(part) for part in state)
    if not (0 <= seed < 2**64 and 0 <= offset < 2**64):
        raise ValueError(f"set_state: wanted (seed, counter), both from 0 to 2**64 - 1, got {tuple(state)}")
    with _lock:
        _seed, _offset = seed, offset


def reserve(nbytes: int) -> tuple[int, int]:
    """(seed, counter) for a draw of numbers that take `nbytes` bytes; the next draw continues behind them."""
    global _offset
    with _lock:
        offset = _offset
        _offset += -(-nbytes // 16)
        return _seed, offset
