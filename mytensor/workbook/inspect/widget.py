"""What all live pictures of the workbook share: how they look where no kernel runs, and their scripts.

A notebook is read in more places than JupyterLab: on GitHub, on paper, by a screen reader, by nbval. There a widget has
no browser to run in, so each one also gives a still picture (image/png) and a sentence (text/plain).
"""

from __future__ import annotations

import io
import pathlib
from typing import TYPE_CHECKING

from mytensor.optional import anywidget

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATIC = pathlib.Path(__file__).parent / "static"


class StillPicture:
    """Put before a widget class: adds the picture and the sentence that stand for it where it cannot live."""

    def sentence(self) -> str:
        """What the widget shows, in words that are the same on every machine."""
        raise NotImplementedError

    def still(self) -> Figure:
        """The widget's present state as a figure."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.sentence()

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options)  # type: ignore[misc]  # the widget class after this one
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})  # anywidget and ipywidgets differ
        data["text/plain"] = self.sentence()
        data["image/png"] = png(self.still())
        return data, metadata


class Inspector(StillPicture, anywidget.AnyWidget):
    """A live picture whose hovering, clicking and keys are handled in the browser; its state is synced to Python.

    A subclass names its script (`_esm = script("im2col.js")`) and its traits, and gives `sentence` and `still`.
    """

    _css = STATIC / "inspector.css"


def script(name: str) -> str:
    """The JavaScript of a widget: static/inspector.js, which they all share, followed by its own file."""
    return "\n".join((STATIC / part).read_text(encoding="utf-8") for part in ("inspector.js", name))


def png(figure: Figure) -> bytes:
    """The figure as a PNG file's bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    return buffer.getvalue()
