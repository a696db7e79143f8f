"""Look inside a convolution's backward pass: which input pixels and weights an output pixel's gradient reaches."""

from __future__ import annotations

import mytensor_backend as backend
import numpy as np

from mytensor.optional import traitlets
from mytensor.workbook.inspect.im2col import numbers
from mytensor.workbook.inspect.widget import Inspector, script


class ConvBackwardInspector(Inspector):
    """An upstream gradient that is 1 at one output pixel, and what the compiled backward kernels make of it.

    image: (height, width); weight: (kernel height, kernel width); one channel each, so that the numbers can be read.
    For every output pixel the kernels have run once with an upstream gradient that is 1 there and 0 elsewhere.
    """

    _esm = script("conv_backward.js")

    shape = traitlets.List().tag(sync=True)
    kernel = traitlets.List().tag(sync=True)
    output_shape = traitlets.List().tag(sync=True)
    image = traitlets.List().tag(sync=True)
    weight = traitlets.List().tag(sync=True)
    input_gradients = traitlets.List().tag(sync=True)  # one list of height * width numbers an output pixel
    weight_gradients = traitlets.List().tag(sync=True)
    pixel = traitlets.Int(0).tag(sync=True)  # the output pixel whose upstream gradient is 1

    def __init__(self, image, weight, stride: int = 1, padding: int = 0):
        image, weight = (np.ascontiguousarray(array, dtype=np.float64) for array in (image, weight))
        if image.ndim != 2 or weight.ndim != 2:
            raise ValueError(
                f"ConvBackwardInspector: got an image of shape {image.shape} and a weight of shape {weight.shape}; "
                "wanted (height, width) and (kernel height, kernel width)"
            )
        x, w = backend.from_numpy(image[None, None].copy()), backend.from_numpy(weight[None, None].copy())
        output_shape = backend.conv2d(x, w, None, stride, padding).shape
        height, width = output_shape[2:]
        input_gradients, weight_gradients = [], []
        for upstream in np.eye(height * width).reshape(-1, 1, 1, height, width):
            one_hot = backend.from_numpy(np.ascontiguousarray(upstream))
            geometry = (stride, padding, 1, 1)
            input_gradient = backend.conv2d_input_grad(one_hot, w, x.shape, *geometry)
            weight_gradient = backend.conv2d_weight_grad(one_hot, x, w.shape, *geometry)
            input_gradients.append(input_gradient.numpy().ravel().tolist())
            weight_gradients.append(weight_gradient.numpy().ravel().tolist())
        super().__init__(
            shape=list(image.shape),
            kernel=list(weight.shape),
            output_shape=[height, width],
            image=image.ravel().tolist(),
            weight=weight.ravel().tolist(),
            input_gradients=input_gradients,
            weight_gradients=weight_gradients,
        )

    def sentence(self) -> str:
        row, column = divmod(self.pixel, self.output_shape[1])
        reached = np.count_nonzero(self.input_gradients[self.pixel])
        image, kernel = "×".join(map(str, self.shape)), "×".join(map(str, self.kernel))
        return (
            f"Backward through a {kernel} convolution of a {image} image, upstream gradient 1 at output pixel "
            f"({row}, {column}): {reached} input pixels get a weight as their gradient, "
            "and each weight gets the input pixel it met."
        )

    def still(self):
        from mytensor.optional import Figure

        (height, width), (out_height, out_width), (_, kernel_width) = self.shape, self.output_shape, self.kernel
        one_hot = np.zeros(out_height * out_width)
        one_hot[self.pixel] = 1
        figure = Figure(figsize=(0.34 * (out_width + 2 * width + kernel_width + 5), 0.34 * (height + 1)))
        parts = figure.subplots(1, 4, width_ratios=[out_width, width, width, kernel_width])
        input_gradient, weight_gradient = self.input_gradients[self.pixel], self.weight_gradients[self.pixel]
        reached = np.array(input_gradient) != 0
        for axes, title, values, mark, shape in zip(
            parts,
            ("upstream", "image", "gradient of the image", "of the weight"),
            (one_hot, self.image, input_gradient, weight_gradient),
            (one_hot > 0, reached, reached, np.ones(len(self.weight), bool)),
            (self.output_shape, self.shape, self.shape, self.kernel),
            strict=True,
        ):
            limits = {"vmin": min(values), "vmax": max(values) * 1.6 + 1e-9}
            numbers(axes, np.array(values).reshape(shape), mark.reshape(shape), limits)
            axes.set_title(title, fontsize=8, loc="left")
        return figure
