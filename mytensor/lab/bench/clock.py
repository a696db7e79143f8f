"""Timing calls that are to be compared: in turns, on data that the caches do not hold, with enough of each to see how
far the times spread."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from mytensor.optional import torch
from mytensor.timing import measure

ROUNDS = 5  # how often the contestants take turns
SAMPLES = 30  # of each, over all rounds
SLOW = 1.0  # seconds: what takes longer is timed once
BLOCK = {"cpu": 2e-3, "cuda": 1e-3}  # seconds between two readings of the clock, at least
MOST_CALLS = {"cpu": 100, "cuda": 20}  # between two readings
SHORT = 1e-3  # seconds: in what takes longer on a GPU, Python's part does not show
PAUSE = 0.02  # seconds between ours and torch on the CPU: idle threads of one OpenMP library spin on for milliseconds


@dataclass
class Contestant:
    """calls: the same call on several sets of arguments, used in turn. where: entered around every block of calls (to
    choose a kernel, or torch's precision). library: whose threads compute."""

    calls: Sequence[Callable[[], Any]]
    where: Callable[[], AbstractContextManager] = nullcontext
    library: str = "ours"
    seconds: list[float] = field(default_factory=list)
    device_seconds: list[float] = field(default_factory=list)


def take_turns(contestants: dict[str, Contestant], device: str, budget: float = 0.5) -> None:
    """Fills in each contestant's times. budget: about how many seconds each may take.

    seconds: of a call, on "cuda" as the GPU notes it; for short calls that is what Python takes to start them.
    device_seconds ("cuda" only, where calls are short): of the GPU's work alone. The GPU is kept busy with something
    else until all calls are queued, and so never waits for Python.
    """
    plans = {name: _plan(contestant, device, budget) for name, contestant in contestants.items()}
    library = None
    for turn in range(ROUNDS):
        for name, contestant in contestants.items():
            repeats, inner = plans[name]
            if turn * repeats >= SAMPLES or (repeats == 0):
                continue
            if device == "cpu" and library not in (None, contestant.library):
                time.sleep(PAUSE)
            library = contestant.library
            call = _next_of(contestant.calls)
            with contestant.where():
                contestant.seconds += measure(call, device=device, repeats=repeats, warmup=1, inner=inner)
                if device == "cuda" and median(contestant.seconds) < SHORT:
                    contestant.device_seconds += _without_waiting(call, repeats, inner, median(contestant.seconds))


def _plan(contestant: Contestant, device: str, budget: float) -> tuple[int, int]:
    """(repeats a turn, calls between two readings); times what is slow, once, and then plans nothing more for it."""
    with contestant.where():
        (once,) = measure(_next_of(contestant.calls), device=device, repeats=1, warmup=1)
    if once > SLOW:
        contestant.seconds.append(once)
        return 0, 1
    inner = max(1, min(MOST_CALLS[device], math.ceil(BLOCK[device] / once)))
    samples = max(ROUNDS, min(SAMPLES, int(budget / (once * inner))))
    return math.ceil(samples / ROUNDS), inner


def _next_of(calls: Sequence[Callable[[], Any]]) -> Callable[[], Any]:
    """One call that does the next of `calls` each time."""
    if len(calls) == 1:
        return calls[0]
    turns = itertools.cycle(calls)
    return lambda: next(turns)()


def _without_waiting(call: Callable[[], Any], repeats: int, inner: int, seconds: float) -> list[float]:
    """`repeats` times of a call on the GPU, with the GPU held back until all of them are queued.

    What holds it back is put into the first measurement, which is thrown away."""
    filler = _Filler.get()
    rounds = math.ceil(2 * (repeats + 1) * inner * seconds / filler.seconds) + 1
    is_first = [True]

    def call_after_filler() -> None:
        if is_first[0]:
            is_first[0] = False
            filler.start(rounds)
        call()

    return measure(call_after_filler, device="cuda", repeats=repeats + 1, warmup=0, inner=inner)[1:]


class _Filler:
    """Copies within the GPU's memory, queued on the default stream: work that takes Python no time to start."""

    _made: _Filler | None = None

    def __init__(self) -> None:
        self.source = torch.ones(2**26, device="cuda")
        self.target = torch.empty_like(self.source)
        self.seconds = median(measure(lambda: self.start(1), device="cuda", repeats=5))

    @classmethod
    def get(cls) -> _Filler:
        cls._made = cls._made or cls()
        return cls._made

    def start(self, rounds: int) -> None:
        for _ in range(rounds):
            self.target.copy_(self.source)


def cache_bytes(device: str) -> int:
    """The last cache before memory: a GPU's L2, a processor's largest; 32 MiB where the system does not say."""
    if device == "cuda":
        return int(getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 0)) or 2**25
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        sizes.append(int(text[:-1]) * {"K": 2**10, "M": 2**20}.get(text[-1], 1))
    return max(sizes, default=2**25)


def sets_of_arguments(bytes_of_call: int, bytes_of_arguments: int, device: str) -> int:
    """How many sets of arguments it takes until a set has left the cache when its turn comes again: together they move
    twice the cache's size. At most 32 of them, and no more than 1 GiB."""
    wanted = math.ceil(2 * cache_bytes(device) / max(bytes_of_call, 1))
    return max(1, min(wanted, 32, 2**30 // max(bytes_of_arguments, 1)))
