"""Look inside a tiled matrix product: which numbers a block copies to shared memory, step by step along the sum."""

from __future__ import annotations

import mytensor_backend as backend
import numpy as np

from mytensor import simt
from mytensor.ladders import use_kernel
from mytensor.optional import traitlets
from mytensor.workbook.inspect.widget import Inspector, script

NOTHING = -1  # beyond the matrix: the thread copies a zero
KERNEL = "tiled"  # of matmul


class TileWalk(Inspector):
    """The kernel `tiled` of matmul: its blocks, and how the two tiles of each walk along the sum.

    a: (m, k), b: (k, n), small enough that every element is drawn (say 40 x 36 and 36 x 24). The kernel runs once on
    device "simt", which records each access; nothing here is computed from the kernel's formula. Raises RuntimeError
    where the emulator was not built (`mt.simt.problem()` says why).
    """

    _esm = script("tiles.js")

    block = traitlets.Int(0, min=0).tag(sync=True)  # of the grid
    thread = traitlets.Int(0, min=0).tag(sync=True)  # of the block
    step = traitlets.Int(0, min=0).tag(sync=True)  # along the sum

    shape = traitlets.List().tag(sync=True)  # [m, k, n]
    a = traitlets.List().tag(sync=True)
    b = traitlets.List().tag(sync=True)
    output = traitlets.List().tag(sync=True)
    blocks = traitlets.Int().tag(sync=True)
    threads = traitlets.Int().tag(sync=True)  # of a block
    steps = traitlets.Int().tag(sync=True)
    # For each thread of the grid: the element of the output that it writes.
    writes = traitlets.List().tag(sync=True)
    # For each thread of the grid, step after step: the elements of a and b that it copies to shared memory, and its sum
    # so far of the products of what it then read there.
    copies_a = traitlets.List().tag(sync=True)
    copies_b = traitlets.List().tag(sync=True)
    sums = traitlets.List().tag(sync=True)
    shared_reads = traitlets.Int().tag(sync=True)  # of one thread in one step, from both tiles

    def __init__(self, a, b):
        a, b = (np.ascontiguousarray(array, dtype=np.float32) for array in (a, b))
        if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
            raise ValueError(f"TileWalk: got a {a.shape} and b {b.shape}; wanted (m, k) and (k, n)")
        a_on_simt, b_on_simt = (backend.from_numpy(array).to("simt") for array in (a, b))
        with use_kernel("matmul", KERNEL), simt.trace() as trace:
            output = backend.matmul(a_on_simt, b_on_simt).cpu().numpy()
        walk = _Walk(trace.launches[0])
        super().__init__(
            shape=[a.shape[0], a.shape[1], b.shape[1]],
            a=a.ravel().tolist(),
            b=b.ravel().tolist(),
            output=output.ravel().tolist(),
            blocks=walk.blocks,
            threads=walk.threads,
            steps=walk.steps,
            writes=walk.writes.tolist(),
            copies_a=walk.copies("a").tolist(),
            copies_b=walk.copies("b").tolist(),
            sums=walk.sums().tolist(),
            shared_reads=walk.shared_reads,
        )

    def _of_block(self, copies: list[list[int]]) -> np.ndarray:
        """What the chosen block copies in the chosen step."""
        first = self.block * self.threads
        found = np.array(copies[first : first + self.threads])[:, self.step]
        return found[found != NOTHING]

    def sentence(self) -> str:
        m, k, n = self.shape
        return (
            f"Kernel {KERNEL}, ({m}, {k}) @ ({k}, {n}): {self.blocks} blocks of {self.threads} threads, {self.steps} "
            f"steps each. Block {self.block}, step {self.step}: {len(self._of_block(self.copies_a))} numbers of a and "
            f"{len(self._of_block(self.copies_b))} of b are copied to shared memory, where each thread then reads "
            f"{self.shared_reads}."
        )

    def still(self):
        from mytensor.optional import Figure, Rectangle

        m, k, n = self.shape
        figure = Figure(figsize=(6.4, 6.4))
        axes = figure.subplots(
            2, 2, width_ratios=[k, n], height_ratios=[k, m], gridspec_kw={"wspace": 0.14, "hspace": 0.2}
        )
        axes[0, 0].set_axis_off()
        first = self.block * self.threads
        written = np.array(self.writes[first : first + self.threads])
        pictures = (
            (axes[1, 0], "a", self.a, (m, k), self._of_block(self.copies_a)),
            (axes[0, 1], "b", self.b, (k, n), self._of_block(self.copies_b)),
            (axes[1, 1], "output", self.output, (m, n), written[written != NOTHING]),
        )
        for place, name, values, shape, touched in pictures:
            place.imshow(np.array(values).reshape(shape), cmap="Blues", alpha=0.6)
            rows, columns = np.unravel_index(touched, shape)
            corner = float(columns.min()) - 0.5, float(rows.min()) - 0.5
            width, height = float(np.ptp(columns)) + 1, float(np.ptp(rows)) + 1
            place.add_patch(Rectangle(corner, width, height, fill=False, edgecolor="#d55e00", linewidth=2.5))
            place.set_title(f"{name} {shape}", fontsize=9, loc="left")
            place.tick_params(labelsize=7)
        return figure


class _Walk:
    """What one launch of the kernel did, thread by thread and step by step.

    A thread's step is told by its stores to a shared tile: what it read from memory since the last one belongs to the
    next.
    """

    def __init__(self, launch: simt.Launch):
        table = launch.accesses
        self.threads = int(np.prod(launch.block))
        self.blocks = int(np.prod(launch.grid))
        self._thread = table["block"] * self.threads + table["thread"]
        self._table = table
        count = self.blocks * self.threads
        self.writes = np.full(count, NOTHING)
        is_output = table["array"] == "output"
        self.writes[self._thread[is_output]] = table["index"][is_output]
        stores = (table["array"] == "a_tile") & (table["kind"] == "write")
        self.steps = int(np.bincount(self._thread[stores], minlength=count).max(initial=0))
        reads = self._shared_reads("a_tile")
        self.shared_reads = 2 * len(reads) // (count * self.steps)

    def copies(self, name: str) -> np.ndarray:
        """(threads of the grid, steps): the element of `name` that is copied, or NOTHING."""
        table = self._table
        is_read = (table["array"] == name) & (table["kind"] == "read")
        is_store = (table["array"] == f"{name}_tile") & (table["kind"] == "write")
        found = np.full((self.blocks * self.threads, self.steps), NOTHING)
        step = np.zeros(len(found), np.int64)
        for row in np.flatnonzero(is_read | is_store):  # in the order in which each thread made them
            thread = self._thread[row]
            if is_read[row]:
                found[thread, step[thread]] = table["index"][row]
            else:
                step[thread] += 1
        return found

    def sums(self) -> np.ndarray:
        """(threads of the grid, steps): each thread's sum after each step, of the values that it read."""
        count = self.blocks * self.threads
        left, right = (self._values_by_thread(name) for name in ("a_tile", "b_tile"))
        products = (left * right).reshape(count, self.steps, -1)
        return products.sum(axis=2).cumsum(axis=1).astype(np.float32)

    def _shared_reads(self, name: str) -> np.ndarray:
        return np.flatnonzero((self._table["array"] == name) & (self._table["kind"] == "read"))

    def _values_by_thread(self, name: str) -> np.ndarray:
        """(threads of the grid, reads of each): values, in the order of the thread."""
        rows = self._shared_reads(name)
        rows = rows[np.argsort(self._thread[rows], kind="stable")]
        return self._table["value"][rows].reshape(self.blocks * self.threads, -1)
