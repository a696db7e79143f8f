"""Look inside the allocator: which blocks it holds, who uses them, and when it has to ask the system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mytensor_backend as backend

from mytensor.optional import traitlets
from mytensor.workbook.inspect.widget import Inspector, script

KIB = 1024


class AllocatorInspector(Inspector):
    """The blocks behind a few arrays; make and free arrays, and see which requests the cache serves.

    program: what has happened before the picture is first seen: a number makes an array of so many bytes (they are
    called a, b, c ...), a name frees it. sizes: those of the buttons, in bytes.

    All of it is the compiled allocator's: a block is told from others by its address, its capacity by memory_stats.
    Other cells use the same allocator; where they did so since the last click, the cache is first brought back to what
    the picture shows.
    """

    _esm = script("allocator.js")

    sizes = traitlets.List().tag(sync=True)
    mode = traitlets.Unicode("caching").tag(sync=True)
    blocks = traitlets.List().tag(sync=True)  # {letter, capacity, holder: an array's name or "", bytes: asked for}
    counts = traitlets.Dict().tag(sync=True)  # requests, from_cache, live, held (bytes)
    happened = traitlets.Unicode("").tag(sync=True)
    wanted = traitlets.List([]).tag(sync=True)  # from the browser: [what, of what, a running number]

    def __init__(
        self, program: Sequence[int | str] = (), sizes: Sequence[int] = (40 * KIB, 50 * KIB, 96 * KIB), mode="caching"
    ):
        self._arrays: dict[str, backend.NDArray] = {}
        self._made = self._seen = self._requests = self._from_cache = self._last_count = 0
        self._blocks: dict[int, dict] = {}  # by address
        super().__init__(sizes=list(sizes), mode=mode)
        backend.empty_cache()  # blocks that other cells left behind are not in the picture
        for step in program:
            self._act(*(("allocate", step) if isinstance(step, int) else ("free", step)))
        self._show()
        self.observe(self._answer, "wanted")
        self.observe(self._change_mode, "mode")

    # -----------------------------------------------------------------------------------------------------------------

    def allocate(self, size: int) -> str:
        """Makes an array of `size` bytes; returns its name."""
        self._act("allocate", size)
        self._show()
        return self._name(self._made - 1)

    def free(self, name: str) -> None:
        """Frees the array of this name. KeyError: there is none."""
        self._act("free", name)
        self._show()

    def empty_cache(self) -> None:
        """Returns the cached blocks to the system."""
        self._act("empty", None)
        self._show()

    def _answer(self, change) -> None:
        what, of_what, _ = change["new"]
        if what != "free" or of_what in self._arrays:  # a second click may come before the first was answered
            self._act(what, of_what)
        self._show()

    def _change_mode(self, change) -> None:
        if self.mode == "plain":
            self._drop_cached()
            self.happened = "Mode plain: what was cached went back to the system; from now on every request goes there."
        else:
            self.happened = "Mode caching: from now on freed blocks are kept."
        self._show(keep_sentence=True)

    def _act(self, what: str, of_what) -> None:
        mode = backend.memory_mode()
        backend.set_memory_mode(self.mode)
        try:
            if backend.memory_stats()["allocations"] != self._last_count:
                self._restore_cache()
            actions: dict[str, Callable[[Any], str]] = {
                "allocate": self._allocate,
                "free": self._free,
                "empty": self._empty,
            }
            self._sentence = actions[what](of_what)
            self._last_count = backend.memory_stats()["allocations"]
        finally:
            backend.set_memory_mode(mode)

    def _restore_cache(self) -> None:
        """Lets the cache hold just those blocks that the picture shows as cached."""
        backend.empty_cache()
        cached = {address: block for address, block in self._blocks.items() if not block["holder"]}
        arrays = [backend.empty((block["capacity"],), backend.uint8) for block in cached.values()]
        blocks = {array.data_ptr: block for array, block in zip(arrays, cached.values(), strict=True)}
        kept = {address: block for address, block in self._blocks.items() if address not in cached}
        letters = [block["letter"] for block in self._blocks.values()]
        self._blocks = dict(sorted((kept | blocks).items(), key=lambda item: letters.index(item[1]["letter"])))

    def _allocate(self, size: int) -> str:
        before = backend.memory_stats()
        array = backend.empty((size,), backend.uint8)
        after = backend.memory_stats()
        name = self._name(self._made)
        capacity = after["allocated"] - before["allocated"]
        hit = after["cache_hits"] > before["cache_hits"]
        self._made += 1
        self._requests += 1
        self._from_cache += hit
        self._arrays[name] = array
        block = self._blocks.get(array.data_ptr)
        if block is None or not hit:  # (the system may hand out an address again)
            block = self._blocks[array.data_ptr] = {"letter": self._letter(), "capacity": capacity}
        block |= {"holder": name, "bytes": size}
        asked = f"{name} wants {_kib(size)}"
        if hit:
            return f"{asked}: block {block['letter']} ({_kib(capacity)}) comes from the cache; the system is not asked."
        return f"{asked}: the system gives a new block {block['letter']} of {_kib(capacity)}."

    def _free(self, name: str) -> str:
        address = self._arrays[name].data_ptr
        block = self._blocks[address]
        held = backend.memory_stats()["reserved"]
        del self._arrays[name]  # the last reference: the array ends here
        if backend.memory_stats()["reserved"] < held:
            del self._blocks[address]
            return f"{name} is freed: block {block['letter']} goes back to the system."
        block |= {"holder": "", "bytes": 0}
        return f"{name} is freed: block {block['letter']} is kept in the cache."

    def _empty(self, _) -> str:
        backend.empty_cache()
        count = self._drop_cached()
        return f"The cache is emptied: {count} {'block goes' if count == 1 else 'blocks go'} back to the system."

    def _drop_cached(self) -> int:
        cached = [address for address, block in self._blocks.items() if not block["holder"]]
        for address in cached:
            del self._blocks[address]
        return len(cached)

    def _name(self, number: int) -> str:
        return _in_letters(number, "abcdefghijklmnopqrstuvwxyz")

    def _letter(self) -> str:
        self._seen += 1
        return _in_letters(self._seen - 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")

    def _show(self, keep_sentence: bool = False) -> None:
        blocks = [dict(block) for block in self._blocks.values()]
        with self.hold_sync():
            self.blocks = blocks
            self.counts = {
                "requests": self._requests,
                "from_cache": self._from_cache,
                "live": sum(block["capacity"] for block in blocks if block["holder"]),
                "held": sum(block["capacity"] for block in blocks),
            }
            if not keep_sentence:
                self.happened = getattr(self, "_sentence", "Nothing has been asked for yet.")

    # -----------------------------------------------------------------------------------------------------------------

    def sentence(self) -> str:
        told = [f"{b['letter']} ({_kib(b['capacity'])}, {b['holder'] or 'cached'})" for b in self.blocks]
        counts = self.counts
        return (
            f"Allocator in mode {self.mode}: {counts['requests']} requests, {counts['from_cache']} served from the "
            f"cache. Blocks: {', '.join(told) or 'none'}. {self.happened}"
        )

    def still(self):
        from mytensor.optional import Figure

        figure = Figure(figsize=(6.5, 0.36 * max(1, len(self.blocks)) + 0.6))
        axes = figure.subplots()
        largest = max([block["capacity"] for block in self.blocks], default=1)
        for row, block in enumerate(self.blocks):
            live = bool(block["holder"])
            style: dict[str, Any] = (
                {"facecolor": "#cfe6f5", "edgecolor": "#0072b2"} if live else {"facecolor": "white", "edgecolor": "0.4"}
            )
            axes.barh(-row, block["capacity"] / KIB, 0.7, hatch=None if live else "///", linewidth=1.2, **style)
            if live:
                axes.barh(-row, block["bytes"] / KIB, 0.7, facecolor="#56b4e9", edgecolor="none")
            words = (
                f"array {block['holder']}, {_kib(block['bytes'])} asked for" if live else "cached: free to be reused"
            )
            axes.text(
                largest / KIB * 0.02,
                -row,
                words,
                va="center",
                fontsize=8,
                bbox={"facecolor": "white", "pad": 1, "lw": 0},
            )
        axes.set_yticks([-row for row in range(len(self.blocks))], [f"block {b['letter']}" for b in self.blocks])
        axes.set_xlabel("KiB", fontsize=8)
        axes.tick_params(labelsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        return figure


def _kib(size: int) -> str:
    return f"{size / KIB:g} KiB"


def _in_letters(number: int, alphabet: str) -> str:
    """0 -> a, 25 -> z, 26 -> a2, ..."""
    turn, place = divmod(number, len(alphabet))
    return alphabet[place] + (str(turn + 1) if turn else "")
