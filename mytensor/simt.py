"""Device "simt": the CUDA kernels of csrc/cuda, run on the CPU thread by thread, and what can be seen of them that way.

    x = mt.tensor(image, device="simt")
    with mt.simt.watch():                   # races and reads of memory nobody wrote, besides wrong indices
        columns = F.unfold(x, 3)
    with mt.simt.trace() as trace:          # every access of memory
        columns = F.unfold(x, 3)
    trace.launches[0].accesses              # block, thread, array, index, read or write, value, source line
    trace.coalescing()                      # how many sectors each line's warps ask for, and how few it could be

A kernel that does something wrong raises SimtError, which names kernel, block, thread, array, index and source line;
the next launch works. Without watch() and trace() the kernels run optimised, and only what costs nothing is noticed:
indices far outside, writes just past an array, barriers that not all threads reach.

What the emulator cannot show: time, caches, warps that run in lockstep, memory that is seen late. Those need a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mytensor_backend as backend
import numpy as np

SimtError = backend.SimtError

WARP = 32  # threads
SECTOR = 32  # bytes: what a GPU's memory delivers at least
BANKS = 32  # of shared memory, each 4 bytes wide

KINDS = ("read", "write", "atomic")
_BARRIER = 3  # the kind of an entry that is no access: all threads of a block have reached a __syncthreads

# As csrc/simt/emulator.h lays out an Access.
_RAW = np.dtype(
    [
        ("block", np.uint32),
        ("thread", np.uint32),
        ("array", np.uint16),
        ("kind", np.uint8),
        ("count", np.uint8),
        ("site", np.uint32),
        ("index", np.int64),
        ("value", np.uint64),
    ]
)
# What the bits of a value mean. The type of a shared array is not known: its size decides.
_TYPES = {"f": np.float32, "d": np.float64, "l": np.int64, "i": np.int32, "B": np.uint8}
_SHARED_TYPES = {1: np.uint8, 2: np.int16, 4: np.float32, 8: np.float64}


def problem() -> str | None:
    """Why device "simt" does not work here; None if it does."""
    return backend.simt_problem() or None


class _Changed:
    """Emulator settings, changed at once and until a with-block ends."""

    def __init__(self, **settings: Any):
        before = backend.simt_settings()
        self._before = {name: before[name] for name in settings}
        backend.set_simt_settings(**settings)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        backend.set_simt_settings(**self._before)


class watch(_Changed):
    """Looks at every access of the launches that follow, until the with-block ends.

    SimtError: a read of memory that nobody has written; two threads that use one place with nothing to order them, at
    least one of them writing.

    steps: how many stretches of straight code a thread may run through before its loop counts as endless.
    """

    def __init__(self, steps: int = 100_000_000):
        super().__init__(watch=True, step_limit=steps)


class order(_Changed):
    """The order in which the threads of a block start: "ascending", "descending" or "shuffled" (by `seed`).

    A right kernel gives the same result in every order; one with a missing barrier hardly ever does.
    """

    def __init__(self, name: str, seed: int = 0):
        super().__init__(order=name, seed=seed)


@dataclass(frozen=True)
class LineTraffic:
    """What the warps of a launch ask of global memory at one source line.

    requests: how often a warp ran the access. sectors: 32-byte pieces of memory asked for, on average. ideal: as few as
    hold the same elements.
    """

    kernel: str
    file: str
    line: int
    array: str
    kind: str
    requests: int
    sectors: float
    ideal: float

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}  {self.kind:<6} {self.array:<12} {self.requests} requests, "
            f"{self.sectors:.2f} sectors each (ideal {self.ideal:.2f})"
        )


@dataclass(frozen=True)
class LineConflicts:
    """What the warps of a launch ask of shared memory at one source line.

    passes: how often the banks must be asked a request, on average; ideal: without conflicts; worst: of all requests.
    """

    kernel: str
    file: str
    line: int
    array: str
    kind: str
    requests: int
    passes: float
    ideal: float
    worst: int

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}  {self.kind:<6} {self.array:<12} {self.requests} requests, "
            f"{self.passes:.2f} passes each (ideal {self.ideal:.2f}, worst {self.worst})"
        )


@dataclass(frozen=True)
class LineBarriers:
    """One __syncthreads in the source: how often the blocks of a launch passed it, together."""

    kernel: str
    file: str
    line: int
    passed: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  __syncthreads, passed {self.passed} times"


class Launch:
    """One recorded launch: kernel, grid and block (x, y, z), and the accesses of its threads."""

    def __init__(self, recorded: dict):
        self.kernel: str = recorded["kernel"]
        self.grid: tuple[int, int, int] = recorded["grid"]
        self.block: tuple[int, int, int] = recorded["block"]
        self.arrays: list[dict] = recorded["arrays"]
        self._sites = recorded["sites"]
        entries = np.frombuffer(recorded["accesses"], _RAW)
        self._raw = entries[entries["kind"] != _BARRIER]
        self._barriers = entries[entries["kind"] == _BARRIER]

    def __repr__(self) -> str:
        return f"<launch of {self.kernel}, grid {self.grid}, block {self.block}: {len(self._raw)} accesses>"

    @cached_property
    def accesses(self) -> np.ndarray:
        """A structured array, in the order in which the emulator made the accesses (those of one thread in its order):

        block, thread   flat numbers, x fastest; thread within its block
        array, index    the array's name in launch(...) or the kernel, and the first element
        count           elements at once: 4 for a float4
        kind            "read", "write" or "atomic"
        value           of the first element, as float64: read, written, or found by the atomic
        file, line, column  where in the source
        """
        raw, sites = self._raw, self._sites
        names = np.array([array["name"] for array in self.arrays] or [""])
        files = np.array([site[0] for site in sites] or [""])
        fields = [
            ("block", np.int64, raw["block"]),
            ("thread", np.int64, raw["thread"]),
            ("array", names.dtype, names[raw["array"]]),
            ("index", np.int64, raw["index"]),
            ("count", np.int64, raw["count"]),
            ("kind", "U6", np.array(KINDS)[raw["kind"]]),
            ("value", np.float64, self._values()),
            ("file", files.dtype, files[raw["site"]]),
            ("line", np.int64, self._site_field(1)),
            ("column", np.int64, self._site_field(2)),
        ]
        table = np.empty(len(raw), [(name, dtype) for name, dtype, _ in fields])
        for name, _, values in fields:
            table[name] = values
        return table

    def coalescing(self) -> list[LineTraffic]:
        """The traffic with global memory, by source line."""
        rows, requests = self._requests(shared=False)
        sizes = self._itemsizes(rows)
        first = rows["index"] * sizes
        last = first + rows["count"] * sizes - 1
        # An access of at most 16 bytes lies in one sector, since it is aligned.
        sectors = _count_distinct(requests, first // SECTOR)
        touched = _count_distinct(requests, rows["index"]) * _first_of_each(requests, last - first + 1)
        ideal = -(-touched // SECTOR)
        found = []
        for (file, line, array, kind), member in self._lines(rows, requests):
            found.append(
                LineTraffic(
                    self.kernel, file, line, array, kind, len(member), sectors[member].mean(), ideal[member].mean()
                )
            )
        return found

    def bank_conflicts(self) -> list[LineConflicts]:
        """The use of shared memory, by source line. A bank delivers one word (4 bytes) at a time: threads of a warp
        that want different words of one bank wait for each other; those that want the same word do not."""
        rows, requests = self._requests(shared=True)
        words = np.maximum(self._itemsizes(rows) * rows["count"] // 4, 1)
        # 8 bytes a thread are asked for by half warps, 16 by quarters.
        part = rows["thread"] % WARP // (WARP // words)
        starts = np.array([array["address"] for array in self.arrays] or [0])[rows["array"]]
        word = (starts + rows["index"] * self._itemsizes(rows)) // 4
        repeat = np.repeat(np.arange(len(rows)), words)
        word = word[repeat] + np.arange(len(repeat)) - np.repeat(np.cumsum(words) - words, words)

        request, part, bank = requests[repeat], part[repeat], word % BANKS
        wanted = np.unique(_numbered([request, part, bank, word]), return_index=True)[1]  # each word once
        request, part, bank = request[wanted], part[wanted], bank[wanted]
        bank_number = _numbered([request, part, bank])
        depth = np.bincount(bank_number)  # words that one bank must deliver to a part of a request
        first = np.unique(bank_number, return_index=True)[1]
        part_number = _numbered([request[first], part[first]])
        deepest = np.zeros(int(part_number.max(initial=-1)) + 1, np.int64)
        np.maximum.at(deepest, part_number, depth)
        request = request[first][np.unique(part_number, return_index=True)[1]]  # that each part belongs to
        count = int(requests.max(initial=-1)) + 1
        passes = np.bincount(request, deepest, minlength=count)
        ideal = np.bincount(request, minlength=count)
        found = []
        for (file, line, array, kind), member in self._lines(rows, requests):
            found.append(
                LineConflicts(
                    *(self.kernel, file, line, array, kind, len(member)),
                    *(passes[member].mean(), ideal[member].mean(), int(passes[member].max())),
                )
            )
        return found

    def barriers(self) -> list[LineBarriers]:
        """How often the blocks waited for all of their threads, by source line."""
        found = []
        for site, passed in zip(*np.unique(self._barriers["site"], return_counts=True), strict=True):
            file, line, _ = self._sites[site]
            found.append(LineBarriers(self.kernel, file, line, int(passed)))
        return sorted(found, key=lambda row: (row.file, row.line))

    def _site_field(self, field: int) -> np.ndarray:
        return np.array([site[field] for site in self._sites] or [0])[self._raw["site"]]

    def _itemsizes(self, rows: np.ndarray) -> np.ndarray:
        return np.array([array["itemsize"] for array in self.arrays] or [1], np.int64)[rows["array"]]

    def _values(self) -> np.ndarray:
        values = np.zeros(len(self._raw))
        for number, array in enumerate(self.arrays):
            dtype = _TYPES.get(array["type"]) or _SHARED_TYPES.get(array["itemsize"], np.uint8)
            member = self._raw["array"] == number
            bits = np.ascontiguousarray(self._raw["value"][member])
            values[member] = bits.view(dtype)[:: 8 // np.dtype(dtype).itemsize]  # little-endian: the low bytes
        return values

    def _requests(self, shared: bool) -> tuple[np.ndarray, np.ndarray]:
        """The accesses of shared (or of global) memory, and the number of the request that each belongs to: a warp's
        threads make the k-th run of an instruction together."""
        is_shared = np.array([array["is_shared"] for array in self.arrays] or [False])
        rows = self._raw[is_shared[self._raw["array"]] == shared]
        instruction = [rows["site"], rows["array"], rows["kind"]]
        by_thread = np.lexsort([*instruction, rows["thread"], rows["block"]])
        keys = np.stack([key[by_thread].astype(np.int64) for key in (*instruction, rows["thread"], rows["block"])])
        is_first = np.ones(len(rows), bool)
        is_first[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
        position = np.arange(len(rows))
        run = np.empty(len(rows), np.int64)
        run[by_thread] = position - np.maximum.accumulate(np.where(is_first, position, 0)) if len(rows) else position
        return rows, _numbered([*instruction, rows["block"], rows["thread"] // WARP, run])

    def _lines(self, rows: np.ndarray, requests: np.ndarray):
        """((file, line, array, kind), numbers of its requests), in the order of the source."""
        kinds = [rows["site"], rows["array"], rows["kind"]]
        number = _numbered(kinds)
        groups: dict[tuple[str, int, str, str], list[np.ndarray]] = {}
        for first in np.unique(number, return_index=True)[1]:
            site, array, kind = (int(key[first]) for key in kinds)
            file, line, _ = self._sites[site]
            key = file, line, self.arrays[array]["name"], KINDS[kind]
            groups.setdefault(key, []).append(requests[number == number[first]])
        return [(key, np.unique(np.concatenate(groups[key]))) for key in sorted(groups)]


def _numbered(keys: list[np.ndarray]) -> np.ndarray:
    """Rows with the same keys get the same number; the numbers count the different ones from 0, the least first."""
    columns = [key.astype(np.int64) for key in keys]
    order = np.lexsort(columns[::-1])
    is_new = np.zeros(len(order), bool)
    for column in columns:
        is_new[1:] |= column[order[1:]] != column[order[:-1]]
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(is_new)
    return numbers


def _count_distinct(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How many different values each group holds; groups are numbered from 0."""
    first_of_pair = np.unique(_numbered([groups, values]), return_index=True)[1]
    return np.bincount(groups[first_of_pair], minlength=int(groups.max(initial=-1)) + 1)


def _first_of_each(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The value of each group's first member; groups are numbered from 0."""
    return values[np.unique(groups, return_index=True)[1]]


class trace(_Changed):
    """Records every access of memory of the launches inside the with-block.

    limit: how many accesses one launch may make; beyond, SimtError. A record takes 32 bytes.
    """

    def __init__(self, limit: int = 1_000_000):
        super().__init__(trace=True, trace_limit=limit)
        backend.take_simt_launches()  # whatever an interrupted trace has left
        self._launches: list[Launch] = []

    @property
    def launches(self) -> list[Launch]:
        """The recorded launches, the earliest first; also while the block still runs."""
        self._launches += [Launch(recorded) for recorded in backend.take_simt_launches()]
        return self._launches

    def __exit__(self, *exception):
        super().__exit__(*exception)
        _ = self.launches  # taken now: another trace may follow

    def coalescing(self) -> list[LineTraffic]:
        """Launch.coalescing of all launches."""
        return [row for launch in self.launches for row in launch.coalescing()]

    def bank_conflicts(self) -> list[LineConflicts]:
        """Launch.bank_conflicts of all launches."""
        return [row for launch in self.launches for row in launch.bank_conflicts()]

    def barriers(self) -> list[LineBarriers]:
        """Launch.barriers of all launches."""
        return [row for launch in self.launches for row in launch.barriers()]
