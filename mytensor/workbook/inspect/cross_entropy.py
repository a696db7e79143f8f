"""Look inside cross-entropy: the same logits through the naive kernel and through log-sum-exp."""

from __future__ import annotations

import mytensor_backend as backend
import numpy as np

from mytensor.optional import ipywidgets
from mytensor.workbook.inspect.widget import StillPicture, png

KERNELS = ("naive", "log_sum_exp")


class CrossEntropyInspector(StillPicture, ipywidgets.VBox):
    """One image's logits on sliders; both kernels run again at every move, in float32.

    logits: the start, one a class. target: the right class. `results` holds, by kernel, what was computed last:
    {"loss": float, "gradient": array of one number a class}.
    """

    def __init__(self, logits=(2.0, 1.0, -1.0), target: int = 0):
        self.target = target
        self.sliders = [
            ipywidgets.FloatSlider(
                value, min=-150, max=150, step=1, description=f"logit {index}" + (" ✓" if index == target else "")
            )
            for index, value in enumerate(logits)
        ]
        self._picture = ipywidgets.Image(
            format="png", layout={"width": "620px", "max_width": "100%", "object_fit": "contain"}
        )
        self._words = ipywidgets.HTML()
        super().__init__([*self.sliders, self._words, self._picture])
        for slider in self.sliders:
            slider.observe(self._compute, "value")
        self._compute()

    def _compute(self, change=None) -> None:
        """Runs both kernels, forward and backward."""
        logits = backend.from_numpy(np.array([[slider.value for slider in self.sliders]], dtype=np.float32))
        target = backend.from_numpy(np.array([self.target]))
        one = backend.full((), 1.0)
        before = backend.selected_kernel("cross_entropy")
        self.results = {}
        try:
            for name in KERNELS:
                backend.select_kernel("cross_entropy", name)
                loss, log_sum_exp, total_weight = backend.cross_entropy(logits, target)
                gradient = backend.cross_entropy_backward(
                    one, logits, target, log_sum_exp, total_weight, None, "mean", -100, 0.0
                )
                self.results[name] = {"loss": loss.item(), "gradient": gradient.numpy()[0]}
        finally:
            backend.select_kernel("cross_entropy", before)
        self._picture.value = png(self.still())
        self._words.value = f'<div role="status" aria-live="polite">{self.sentence()}</div>'

    def sentence(self) -> str:
        logits = ", ".join(f"{slider.value:g}" for slider in self.sliders)
        losses = " and ".join(f"{self.results[name]['loss']:.4g} ({name})" for name in KERNELS)
        finite = np.isfinite(self.results["naive"]["loss"]) and np.isfinite(self.results["naive"]["gradient"]).all()
        verdict = "the two agree to rounding" if finite else "the naive kernel has left the numbers"
        return f"Logits {logits}, right class {self.target}: the loss is {losses}; {verdict}."

    def still(self):
        from mytensor.optional import Figure

        classes = np.arange(len(self.sliders))
        figure = Figure(figsize=(7.2, 2.6), layout="constrained")
        for axes, name in zip(figure.subplots(1, 2, sharey=True), KERNELS, strict=True):
            gradient = self.results[name]["gradient"]
            axes.bar(classes, np.nan_to_num(gradient), color="#56b4e9", edgecolor="black")
            for index, value in enumerate(gradient):
                above = np.isfinite(value) and value > 0
                axes.text(
                    index,
                    np.nan_to_num(value),
                    f"{value:.3g}",
                    ha="center",
                    va="bottom" if above else "top",
                    fontsize=9,
                )
            axes.axhline(0, color="black", linewidth=0.8)
            axes.set_ylim(-1.35, 1.35)
            axes.set_xticks(classes, [f"class {index}" for index in classes])
            axes.set_title(f"{name}: loss {self.results[name]['loss']:.4g}", fontsize=10)
        figure.axes[0].set_ylabel("gradient $p - y$")
        return figure
