"""A picture that also says in words what it shows."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import matplotlib.figure


class Picture:
    """A still picture for a notebook: the image, and one sentence for those who don't see it.

    JupyterLab shows the image, with the sentence as a caption inside it; screen readers, text front ends and notebook
    tests get the sentence.
    """

    def __init__(self, png: bytes, sentence: str):
        self.png, self.sentence = png, sentence

    def __repr__(self) -> str:
        return self.sentence

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"image/png": self.png, "text/plain": self.sentence}, {"image/png": {"alt": self.sentence}}


def figure(fig: matplotlib.figure.Figure, sentence: str) -> Picture:
    """``fig`` as a Picture with ``sentence`` as its caption and its text. Make it a cell's last line, or display() it.

    Figures are best made by ``matplotlib.figure.Figure(...)``: pyplot would show them a second time.
    """
    width = max(40, int(fig.get_figwidth() * 13))  # characters of 9-point text that fit the figure's width
    fig.text(0.5, -0.01, textwrap.fill(sentence, width), ha="center", va="top", fontsize=9)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    return Picture(buffer.getvalue(), sentence)
