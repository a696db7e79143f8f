"""Wrong device kernels: bugs planted in csrc/cuda/*.cu, which the tests of the emulated kernels must reject (see ../test_mutants_device.py).

found_by: "numbers" (the result is wrong), or words of the emulator's report, where the bug is one that a GPU may not show.
kernel: the rung that the bug is in.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DeviceMutant:
    """One planted bug; file, original and replacement as in table.SourceMutant."""

    name: str
    original: str
    replacement: str
    kernel: str
    found_by: str
    file: str = "cuda/im2col.cu"
    op: str = "im2col"


MUTANTS = [
    DeviceMutant(
        "no guard at the end",
        "if (i >= sizes.columns_size()) return;\n    const int64_t row = i % sizes.rows();",
        "const int64_t row = i % sizes.rows();",
        "naive",
        "of 'columns', which has",
    ),
    DeviceMutant(
        "no guard at the end of the gather",
        "if (i >= sizes.image_size()) return;",
        "",
        "coalesced",
        "of 'columns', which has",
    ),
    DeviceMutant(
        "guard off by one",
        "if (i >= sizes.image_size()) return;",
        "if (i > sizes.image_size()) return;",
        "coalesced",
        "which has",
    ),
    DeviceMutant(
        "the border of the image off by one",
        "h >= sizes.image.h || w < 0",
        "h > sizes.image.h || w < 0",
        "coalesced",
        "of 'image', which has",
    ),
    DeviceMutant(
        "left border forgotten: the row above is read",
        "|| w < 0 || w >= sizes.image.w) return -1;",
        "|| w >= sizes.image.w) return -1;",
        "naive",
        "numbers",
    ),
    DeviceMutant(
        "height and width of the kernel swapped",
        "const int64_t r = row / window.kernel.w % window.kernel.h;",
        "const int64_t r = row / window.kernel.h % window.kernel.h;",
        "coalesced",
        "numbers",
    ),
    DeviceMutant(
        "dilation of the other side",
        "+ s * window.dilation.w;",
        "+ s * window.dilation.h;",
        "naive",
        "numbers",
    ),
    DeviceMutant(
        "stride ignored in the gather",
        "if (x_strided < 0 || x_strided % window.stride.w != 0) continue;",
        "if (x_strided < 0) continue;",
        "coalesced",
        "numbers",
    ),
    DeviceMutant(
        "windows beyond the last one gathered",
        "if (y >= sizes.windows.h || x >= sizes.windows.w) continue;",
        "if (y >= sizes.windows.h) continue;",
        "coalesced",
        "numbers",
    ),
    DeviceMutant(
        "a plain += for the atomic",
        "atomicAdd(&image[place], columns[i]);",
        "image[place] += columns[i];",
        "atomic",
        "a race",
    ),
    DeviceMutant(
        "`=` for the atomic +=",
        "atomicAdd(&image[place], columns[i]);",
        "image[place] = columns[i];",
        "atomic",
        "a race",
    ),
    DeviceMutant(
        "the image not set to zero before",
        "if (i < count) image[i] = T{0};",
        "if (i < count - 1) image[i] = T{0};",
        "atomic",
        "which nobody has written",
    ),
    DeviceMutant(
        "padding left unwritten",
        "columns[i] = place >= 0 ? image[place] : T{0};",
        "if (place >= 0) columns[i] = image[place];",
        "coalesced",
        "numbers",
    ),
    DeviceMutant(
        "images of the batch exchanged",
        "return ((n * sizes.channels + c)",
        "return (((sizes.images - 1 - n) * sizes.channels + c)",
        "coalesced",
        "numbers",
    ),
    DeviceMutant(
        "one block too few",
        "launch(im2col_coalesced<T>, blocks_for(columns.size(), kThreads)",
        "launch(im2col_coalesced<T>, blocks_for(columns.size() - kThreads, kThreads)",
        "coalesced",
        "numbers",
    ),
    DeviceMutant(
        "the last element not filled",
        "if (i < count) array[i] = value;",
        "if (i + 1 < count) array[i] = value;",
        "fill",
        "numbers",
        file="cuda/fill.cu",
    ),
]
