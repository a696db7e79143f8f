"""Wrong device kernels of the ops beside convolution and matrix products: what device_table.py is for im2col.

The cases of ../device/cases.py must reject them, run by the watched emulator.
"""

from __future__ import annotations

from mutants.device_table import DeviceMutant


def _mutant(file: str, op: str, kernel: str, name: str, original: str, replacement: str, found_by: str) -> DeviceMutant:
    return DeviceMutant(name, original, replacement, kernel, found_by, f"cuda/{file}.cu", op)


OUT_OF_BOUNDS = "which has"
UNWRITTEN = "nobody has written"

MUTANTS = [
    _mutant("activation", "relu", "float4", "the unguarded tail of four", "if (first + 4 <= count) {\n        const float4 in",
            "if (first < count) {\n        const float4 in", OUT_OF_BOUNDS),
    _mutant("activation", "relu_backward", "elements", "gradient passes at zero", "output[i] > T{0} ? upstream[i]",
            "output[i] >= T{0} ? upstream[i]", "numbers"),
    _mutant("elementwise", "add", "elements", "the first dimension forgotten",
            "of[input] += i * walk.strides[0][input];", "of[input] += 0 * walk.strides[0][input];", "numbers"),
    _mutant("elementwise", "sub", "elements", "operands exchanged", "Operation::apply(a[place.of[0]], b[place.of[1]])",
            "Operation::apply(b[place.of[1]], a[place.of[0]])", "numbers"),
    _mutant("reduction", "sum", "two_stage", "no barrier before the warps' sums are read",
            "of_warp[threadIdx.x / 32] = total;\n    __syncthreads();", "of_warp[threadIdx.x / 32] = total;", UNWRITTEN),
    _mutant("reduction", "sum", "two_stage", "no barrier between the columns' parts",
            "of_thread[threadIdx.y][threadIdx.x] = total;\n    __syncthreads();",
            "of_thread[threadIdx.y][threadIdx.x] = total;", UNWRITTEN),
    _mutant("reduction", "amax", "two_stage", "the last warp forgotten", "for (int warp = 1; warp < kWarps; warp++)",
            "for (int warp = 2; warp < kWarps; warp++)", "numbers"),
    _mutant("reduction", "argmax", "warp", "the last of equals", "(value == best && place < best_place)",
            "(value == best && place > best_place)", "numbers"),
    _mutant("softmax", "softmax", "warp", "without the maximum taken off", "return Team::maximum(maximum);",
            "return Team::maximum(maximum) * 0;", "numbers"),
    _mutant("softmax", "log_softmax_backward", "warp", "a lane's sum for the row's", "sum += upstream[begin + k * slices.inner];\n    sum = Team::sum(sum);",
            "sum += upstream[begin + k * slices.inner];", "numbers"),
    _mutant("cross_entropy", "cross_entropy", "online", "the sum not scaled to the larger maximum",
            "mine.sum = mine.sum * scaled(mine.shift, value) + 1;", "mine.sum = mine.sum + 1;", "numbers"),
    _mutant("cross_entropy", "cross_entropy", "online", "lanes merged without scaling", "sum * scaled(shift, larger)",
            "sum", "numbers"),
    _mutant("cross_entropy", "cross_entropy_backward", "warp", "an ignored item gets a gradient",
            "if (label != options.ignore_index) {\n        const T share", "{\n        const T share", "numbers"),
    _mutant("nll_loss", "reduce_losses", "one_block", "no barrier between the halves", "        __syncthreads();\n        if (threadIdx.x < half)",
            "        if (threadIdx.x < half)", UNWRITTEN),
    _mutant("nll_loss", "nll_loss_backward", "elements", "class and position exchanged", "const int64_t c = i / inner % classes;",
            "const int64_t c = i % classes;", "numbers"),
    _mutant("max_pool2d", "max_pool2d", "naive", "the last of equal maxima", "value > best || value != value || best_index < 0",
            "value >= best || value != value || best_index < 0", "numbers"),
    _mutant("max_pool2d", "max_pool2d", "float4", "left and right exchanged", "indices[2 * i] = left;",
            "indices[2 * i] = right;", "numbers"),
    _mutant("max_pool2d", "max_pool2d_backward", "gather", "the last window that holds a pixel forgotten",
            "const int64_t end = last_start / stride + 1;", "const int64_t end = last_start / stride;", "numbers"),
    _mutant("max_pool2d", "max_pool2d_backward", "atomic", "a plain += for the atomic",
            "atomicAdd(&gradient[plane * sizes.input.h * sizes.input.w + indices[i]], upstream[i]);",
            "gradient[plane * sizes.input.h * sizes.input.w + indices[i]] += upstream[i];", "race"),
    _mutant("max_pool2d", "max_pool2d_backward", "atomic", "the accumulator not cleared",
            "if (i < count) gradient[i] = T{0};", "", UNWRITTEN),
    _mutant("avg_pool2d", "avg_pool2d", "naive", "padding beyond the border counts", "const int64_t end_of_padding = input + padding;",
            "const int64_t end_of_padding = input + kernel;", "numbers"),
    _mutant("gather_batch", "gather_batch", "four", "mirrored before the crop", "(is_mirrored ? width - 1 - x : x) + shift",
            "is_mirrored ? width - 1 - x - shift : x + shift", "numbers"),
    _mutant("rows", "index_select_backward", "first", "a row that comes twice is added twice", "if (index[earlier] == target) return;",
            "", "race"),
    _mutant("shape", "permute", "tiled", "no barrier after the tile", "    __syncthreads();\n", "", UNWRITTEN),
    _mutant("shape", "permute", "tiled", "the last tile unguarded",
            "row < turn.rows && column < turn.columns)\n            output", "column < turn.columns)\n            output",
            UNWRITTEN),
    _mutant("shape", "narrow", "words", "the start forgotten", "x[slabs.start + slab * slabs.stride + word];\n}\n\n// The same",
            "x[slab * slabs.stride + word];\n}\n\n// The same", "numbers"),
    _mutant("random", "uniform", "philox", "one round too few", "round < 10", "round < 9", "numbers"),
    _mutant("random", "normal", "philox", "the last counter writes beyond the end", "if (place < count) output[place]",
            "output[place]", OUT_OF_BOUNDS),
    _mutant("sgd", "sgd_step_", "multi_tensor", "the tensor before", "list.first_block[tensor + 1] <= blockIdx.x",
            "list.first_block[tensor + 1] < blockIdx.x", "numbers"),
    _mutant("cast", "astype", "elements", "no saturation", "if (value >= beyond) return highest;", "", "numbers"),
]  # fmt: skip
