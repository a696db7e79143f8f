"""Ten classes of drawn 32x32 colour pictures: a stand-in where CIFAR-10 can't be had.

Shapes and textures at random places, sizes, angles and colours, under noise and a shaded background. They exercise the
whole training loop and a LeNet learns them, but they are not photographs: results on them carry the name STAND_IN.
"""

from __future__ import annotations

import numpy as np

from mytensor.data.dataset import ImageDataset

STAND_IN = "synthetic stand-in"
STAND_IN_CLASSES = (
    "disc",
    "ring",
    "square",
    "triangle",
    "cross",
    "level stripes",
    "upright stripes",
    "slanted stripes",
    "checkerboard",
    "dots",
)
_PIECE = 1000  # images drawn at a time, which bounds the memory of the intermediate arrays


def synthetic(n: int, seed: int = 0) -> ImageDataset:
    """``n`` drawn images; the same ``n`` and ``seed`` give the same pixels. Classes are as even as ``n`` allows."""
    if n <= 0:
        raise ValueError(f"synthetic(n={n}): at least one image is wanted")
    labels = np.random.default_rng([seed, 0]).permutation(n) % len(STAND_IN_CLASSES)
    images = np.empty((n, 3, 32, 32), np.uint8)
    for label in range(len(STAND_IN_CLASSES)):
        rows = np.flatnonzero(labels == label)
        random = np.random.default_rng([seed, 1, label])
        for start in range(0, len(rows), _PIECE):
            piece = rows[start : start + _PIECE]
            images[piece] = _draw(label, len(piece), random)
    return ImageDataset(images, labels.astype(np.int64), STAND_IN_CLASSES, STAND_IN)


def _draw(label: int, count: int, random: np.random.Generator) -> np.ndarray:
    """``count`` pictures of one class, uint8 (count, 3, 32, 32)."""

    def each(low: float, high: float) -> np.ndarray:
        """One number an image, float32 (count, 1, 1)."""
        return random.uniform(low, high, (count, 1, 1)).astype(np.float32)

    rows, columns = np.mgrid[0:32, 0:32].astype(np.float32)
    coverage = _coverage(label, rows, columns, each)[:, None]  # 1 inside the shape, 0 outside: (count, 1, 32, 32)

    # The shape tends to be the brighter part, so that two epochs on 5,000 images already show learning.
    front = random.uniform(100, 255, (count, 3, 1, 1)).astype(np.float32)
    back = random.uniform(0, 155, (count, 3, 1, 1)).astype(np.float32)
    shade = (each(-2, 2) * (rows - 15.5) + each(-2, 2) * (columns - 15.5))[:, None]  # a sloping light
    noise = random.standard_normal((count, 3, 32, 32), np.float32) * each(5, 45)[:, None]
    pixels = back + coverage * (front - back) + shade + noise
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _coverage(label: int, rows: np.ndarray, columns: np.ndarray, each) -> np.ndarray:
    """How much of each pixel the shape covers, float32 (count, 32, 32) in [0, 1].

    Every shape is a signed distance in pixels (negative inside), cut off softly over one pixel so that edges are
    smooth.
    """
    name = STAND_IN_CLASSES[label]
    tilt = {"square": 0.8, "triangle": 3.2, "cross": 0.8, "checkerboard": 0.8, "dots": 0.8}.get(name, 0.25)
    angle = each(-tilt, tilt) + (np.float32(np.pi / 4) if name == "slanted stripes" else 0)
    down, right = rows - each(11, 21), columns - each(11, 21)
    u = np.cos(angle) * right + np.sin(angle) * down
    v = np.cos(angle) * down - np.sin(angle) * right
    radius = each(5, 11)
    wave = 2 * np.pi / each(5, 10)  # radians a pixel: stripes 5 to 10 pixels apart

    if name == "disc":
        distance = np.hypot(u, v) - radius
    elif name == "ring":
        distance = np.abs(np.hypot(u, v) - radius) - each(1, 2.5)
    elif name == "square":
        distance = np.maximum(np.abs(u), np.abs(v)) - 0.85 * radius
    elif name == "triangle":
        distance = np.maximum(v, 0.87 * np.abs(u) - 0.5 * v) - 0.6 * radius
    elif name == "cross":
        arm, width = radius, each(1.2, 2.5)
        distance = np.minimum(
            np.maximum(np.abs(u) - arm, np.abs(v) - width), np.maximum(np.abs(v) - arm, np.abs(u) - width)
        )
    elif name == "level stripes":
        distance = np.sin(wave * v) / wave
    elif name in ("upright stripes", "slanted stripes"):
        distance = np.sin(wave * u) / wave
    elif name == "checkerboard":
        distance = np.sin(0.7 * wave * u) * np.sin(0.7 * wave * v) / wave
    else:  # dots
        distance = (0.9 - np.cos(wave * u) - np.cos(wave * v)) / wave
    return np.clip(0.5 - distance, 0, 1).astype(np.float32)
