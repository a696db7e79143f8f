"""Look at memory through several arrays at once: which of them share it, and which hold a copy."""

from __future__ import annotations

import numpy as np

from mytensor.optional import traitlets
from mytensor.workbook.inspect.im2col import numbers
from mytensor.workbook.inspect.widget import Inspector, script


class SharedMemory(Inspector):
    """The same small array seen through numpy, torch and mytensor; raise or lower a number in one and watch the others.

    views: name -> array (numpy, torch or mytensor), all of one shape, two dimensions at most. The browser only asks for
    a change (`wanted`); Python makes it in that one view, then reads all of them again.
    """

    _esm = script("memory.js")

    names = traitlets.List().tag(sync=True)
    places = traitlets.List().tag(sync=True)  # a letter each: views with the same letter have the same address
    shape = traitlets.List().tag(sync=True)
    values = traitlets.List().tag(sync=True)  # one flat list a view
    wanted = traitlets.List([]).tag(sync=True)  # [view, flat index, new value]

    def __init__(self, **views):
        arrays = [np.asarray(view) for view in views.values()]  # shares the memory of each
        shapes = {array.shape for array in arrays}
        if len(shapes) != 1 or arrays[0].ndim > 2:
            raise ValueError(f"SharedMemory: got shapes {sorted(shapes)}; wanted one, of one or two dimensions")
        self._arrays = arrays
        addresses = [array.ctypes.data for array in arrays]
        letters = {address: "ABCDEFGH"[place] for place, address in enumerate(dict.fromkeys(addresses))}
        super().__init__(
            names=list(views),
            places=[letters[address] for address in addresses],
            shape=list(np.atleast_2d(arrays[0]).shape),
            values=self._read(),
        )
        self.observe(self._write, "wanted")

    def _read(self) -> list[list[float]]:
        return [array.ravel().tolist() for array in self._arrays]

    def _write(self, change) -> None:
        view, index, value = change["new"]
        self._arrays[view].flat[index] = value
        self.values = self._read()

    def sentence(self) -> str:
        groups = {
            place: [n for n, p in zip(self.names, self.places, strict=True) if p == place] for place in self.places
        }
        return "; ".join(f"memory {place} is seen by {' and '.join(names)}" for place, names in groups.items()) + "."

    def still(self):
        from mytensor.optional import Figure

        figure = Figure(figsize=(0.42 * self.shape[1] * len(self.names) + 1.5, 0.42 * self.shape[0] + 0.4))
        for axes, name, place, values in zip(
            figure.subplots(1, len(self.names)), self.names, self.places, self.values, strict=True
        ):
            array = np.array(values).reshape(self.shape)
            numbers(axes, array, np.full(array.shape, place == "A"), {"vmin": array.min(), "vmax": array.max() * 1.6})
            axes.set_title(f"{name}: memory {place}", fontsize=8)
        return figure
