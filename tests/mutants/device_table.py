"""Wrong device kernels: bugs planted in csrc/cuda, each of which the tests must reject (see ../test_mutants_device.py).

They are the mistakes that kernels are made of: a missing barrier, an unguarded tail, one too many or too few, a shuffle
over the wrong lanes, sums that start over, exchanged sides. Those that a GPU may not show at all are found by the
emulator's watch, and its report must name the line.
"""

from __future__ import annotations

from dataclasses import dataclass

NUMBERS = "numbers"  # nothing is wrong with the accesses: the comparison with float64 fails
# Words of the emulator's reports.
OUTSIDE = "which has"
UNWRITTEN = "which nobody has written"
RACE = "a race"


@dataclass(frozen=True)
class DeviceMutant:
    """One planted bug. original, which occurs once in `file`, is replaced by `replacement`.

    check: op:rung, what must reject it. found_by: NUMBERS, or words of the report; line: a piece of the source line
    that the report must name (of a race: one of its two). disturbs: the other checks that may fail, "op"
    or "op:rung"; a mutant that this one disturbs is not built together with it. source: what is compiled, where `file`
    is a header.
    """

    file: str
    check: str
    name: str
    original: str
    replacement: str
    found_by: str = NUMBERS
    line: str = ""
    disturbs: tuple[str, ...] = ()
    source: str = ""

    def disturbs_check(self, check: str) -> bool:
        return check == self.check or check in self.disturbs or check.partition(":")[0] in self.disturbs


_UNARY = ("relu:elements", "neg", "abs", "exp", "log", "sqrt", "tanh", "sigmoid")
_BINARY = ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge")
_REDUCTIONS = ("sum", "mean", "amax", "amin")
_SOFTMAX = ("softmax", "log_softmax", "logsumexp", "softmax_backward", "log_softmax_backward")
_LOSSES = ("cross_entropy", "cross_entropy_backward", "nll_loss", "nll_loss_backward", "reduce_losses")
_TILED = ("matmul:tiled", "conv2d:im2col_gemm")
_PRODUCTS = ("matmul", "conv2d", "conv2d_bias_grad")
_PANELS = ("matmul:register_blocked", "matmul:split_k", "matmul:tensor_core_tf32", "matmul:tensor_core_bf16")
_GATHERED = ("conv2d:implicit_gemm", "conv2d:tensor_core")
# Which source a header's mutant is compiled in, and whom it disturbs.
_GEMM_H = {"source": "matmul.cu", "disturbs": _PRODUCTS}
_CONV_H = {"source": "conv2d.cu", "disturbs": ("conv2d", "conv2d_bias_grad")}
_TEAM_H = {"source": "softmax.cu", "disturbs": (*_SOFTMAX, *_LOSSES)}


def _mutants(file: str, *rows: tuple) -> list[DeviceMutant]:
    """Rows: the fields from `check` on, and last, if need be, a dict of those by name."""
    made = []
    for row in rows:
        named = row[-1] if isinstance(row[-1], dict) else {}
        made.append(DeviceMutant(file, *(row[:-1] if named else row), **named))
    return made


MUTANTS = [
    *_mutants(
        "activation.cu",
        ("relu:float4", "the unguarded tail of four", "if (first + 4 <= count) {\n        const float4 in",
         "if (first < count) {\n        const float4 in", OUTSIDE, "const float4 in ="),
        ("relu:float4", "the tail of four forgotten", "for (int64_t i = first; i < count; i++) output[i] = Relu::apply(x[i]);", ""),
        ("neg:elements", "one thread too many", "if (i < count) output[i] = Function::apply(x[i]);",
         "if (i <= count) output[i] = Function::apply(x[i]);", OUTSIDE, "output[i] = Function::apply(x[i])", {"disturbs": _UNARY}),
        ("relu:elements", "NaN becomes zero", "return x < T{0} ? T{0} : x;", "return x > T{0} ? x : T{0};", {"disturbs": ("relu",)}),
        ("relu_backward:elements", "gradient passes at zero", "output[i] <= T{0} ? T{0}", "output[i] < T{0} ? T{0}"),
        ("relu_backward:float4", "the neighbour's gate", "gate.w <= 0 ? 0 : from.w", "gate.z <= 0 ? 0 : from.w"),
        ("abs:elements", "an integer keeps its sign", "return x < T{0} ? Negative::apply(x) : x;", "return x;"),
    ),
    *_mutants(
        "avg_pool2d.cu",
        ("avg_pool2d:naive", "padding beyond the border counts", "const int64_t end_of_padding = input + padding;",
         "const int64_t end_of_padding = input + kernel;", {"disturbs": ("avg_pool2d_backward",)}),
        ("avg_pool2d:naive", "one column too many", "w < place.columns.end; w++", "w <= place.columns.end; w++", OUTSIDE, "sum += input["),
        ("avg_pool2d:naive", "the kernel's sides exchanged", "rows = span_of(oh, sizes.input.h, window.kernel.h,",
         "rows = span_of(oh, sizes.input.h, window.kernel.w,", {"disturbs": ("avg_pool2d_backward",)}),
        ("avg_pool2d:naive", "channels scrambled", "input += i / (sizes.output.h * sizes.output.w) *",
         "input += (sizes.planes - 1 - i / (sizes.output.h * sizes.output.w)) *"),
        ("avg_pool2d:naive", "one thread too many", "if (i >= sizes.outputs()) return;\n    const Place place",
         "if (i > sizes.outputs()) return;\n    const Place place", OUTSIDE, "sum += input["),
        ("avg_pool2d_backward:gather", "`=` for `+=`", "sum += share /", "sum = share /"),
        ("avg_pool2d_backward:gather", "the last window forgotten", "const int64_t end = last_start / stride + 1;",
         "const int64_t end = last_start / stride;"),
    ),
    *_mutants(
        "cast.cu",
        ("astype:elements", "no saturation", "if (value >= beyond) return highest;", ""),
        ("astype:elements", "one thread too many", "if (i < count) output[i]", "if (i <= count) output[i]", OUTSIDE, "output[i] = Conversion"),
    ),
    *_mutants(
        "conv2d.h",
        ("conv2d:naive", "output pixels off the stride collected",
         "if (y < 0 || x < 0 || y % stride.h != 0 || x % stride.w != 0) return false;", "if (y < 0 || x < 0) return false;", _CONV_H),
        ("conv2d:naive", "the image's lower border off by one", "h >= 0 && h < input.h &&", "h >= 0 && h <= input.h &&",
         OUTSIDE, "weight[sizes.weight_place(o, c, r, s)] * input[", _CONV_H),
        ("conv2d:im2col_gemm", "dilation of the other side", "w = x * stride.w - padding.w + s * dilation.w;",
         "w = x * stride.w - padding.w + s * dilation.h;", _CONV_H),
    ),
    *_mutants(
        "conv2d.cu",
        ("conv2d:naive", "groups see the first group's channels", "const int64_t first_channel = o / sizes.group_out * sizes.group_in;",
         "const int64_t first_channel = 0 * sizes.group_in;"),
        ("conv2d:naive", "output channels scrambled", "o = at.first % sizes.out_channels();\n    const int64_t first_channel",
         "o = (at.first + 1) % sizes.out_channels();\n    const int64_t first_channel"),
        ("conv2d:naive", "the kernel flipped", "sum += weight[sizes.weight_place(o, c, r, s)] * upstream",
         "sum += weight[sizes.weight_place(o, c, sizes.kernel.h - 1 - r, sizes.kernel.w - 1 - s)] * upstream"),
        ("conv2d:naive", "one thread too many", "if (i >= sizes.weight_size()) return;", "if (i > sizes.weight_size()) return;",
         OUTSIDE, "sum += upstream"),
        ("conv2d:im2col_gemm", "`=` for `+=`", "sum += columns[row", "sum = columns[row"),
        ("conv2d:im2col_gemm", "the weight's gradient of the first image alone",
         "weight_grad.data<T>(), geometry.batch, weight_grad.size(), weight_grad.size());",
         "weight_grad.data<T>(), int64_t{1}, weight_grad.size(), weight_grad.size());"),
        ("conv2d:im2col_gemm", "a slice that no image wrote",
         "weight_grad.data<T>(), geometry.batch, weight_grad.size(), weight_grad.size());",
         "weight_grad.data<T>(), geometry.batch + 1, weight_grad.size(), weight_grad.size());", OUTSIDE, "sum += partial["),
        ("conv2d:im2col_gemm", "columns of the first group for all", "columns.data() + group * shape.rows * shape.pixels,\n                           bias_array",
         "columns.data(),\n                           bias_array"),
        ("conv2d:im2col_gemm", "the columns' end unguarded", "if (tap.first >= int64_t{sizes.batch} * sizes.in_channels()) return;", "",
         OUTSIDE, "columns[i] = is_inside"),
    ),
    *_mutants(
        "conv2d_bias_grad.cu",
        ("conv2d_bias_grad:one_block", "the warps' sums read before they are there", "    __syncthreads();\n    if (warp != 0)", "    if (warp != 0)",
         UNWRITTEN, "? warp_sums[lane]", {"disturbs": ("conv2d_bias_grad:two_stage",)}),
        ("conv2d_bias_grad:one_block", "`=` for `+=`", "pixel += kThreads) sum += plane[pixel];", "pixel += kThreads) sum = plane[pixel];",
         {"disturbs": ("conv2d_bias_grad:two_stage",)}),
        ("conv2d_bias_grad:one_block", "a shuffle that reaches half as far", "warp_sums)[kThreads / kWarp]) {\n    for (int distance = kWarp / 2;",
         "warp_sums)[kThreads / kWarp]) {\n    for (int distance = kWarp / 4;", {"disturbs": ("conv2d_bias_grad:two_stage",)}),
        ("conv2d_bias_grad:one_block", "one warp too many", "value = lane < kThreads / kWarp ?", "value = lane <= kThreads / kWarp ?",
         "uses index 8", "? warp_sums[lane]", {"disturbs": ("conv2d_bias_grad:two_stage",)}),
        ("conv2d_bias_grad:naive", "one thread too many", "if (o >= planes.channels) return;", "if (o > planes.channels) return;",
         OUTSIDE, "sum += upstream["),
        ("conv2d_bias_grad:two_stage", "images in several slices", "n < planes.batch; n += slices", "n < planes.batch; n += 1"),
        ("conv2d_bias_grad:two_stage", "a slice forgotten", "bias_grad.data<T>(), slices, planes.channels", "bias_grad.data<T>(), slices - 1, planes.channels"),
    ),
    *_mutants(
        "conv2d_direct.cu",
        ("conv2d:direct", "no barrier before the weights are overwritten", "        __syncthreads();  // the last chunk's weights have been read\n", "",
         RACE, "weights[i] = channel"),
        ("conv2d:direct", "no barrier after the weights are there", "        __syncthreads();\n        if (!is_inside) continue;",
         "        if (!is_inside) continue;", UNWRITTEN, "sums[j] += factor * tap_weights[j]"),
        ("conv2d:direct", "threads outside leave before the barrier", "if (!is_inside) continue;  // but it comes to the barriers",
         "if (!is_inside) return;", "__syncthreads", "__syncthreads();  // the last chunk"),
        ("conv2d:direct", "weights of missing channels left unwritten",
         "weights[i] = channel < group_channels ? weight[Role::weight_place(sizes, group, channel, c) + tap] : T{0};",
         "if (channel < group_channels) weights[i] = weight[Role::weight_place(sizes, group, channel, c) + tap];",
         UNWRITTEN, "sums[j] += factor * tap_weights[j]"),
        ("conv2d:direct", "channels past the last stored", "        if (first_channel + j >= group_channels) break;\n", "",
         OUTSIDE, "bias != nullptr ? sums[j] + bias[channel]"),
        ("conv2d:direct", "half a warp named in the shuffle", "__shfl_xor_sync(0xffffffffu,", "__shfl_xor_sync(0x0000ffffu,",
         "does not take part", "sums[j] += __shfl_xor_sync"),
        ("conv2d:direct", "a shuffle too few", "for (int distance = kWarp / 2; distance > 0;", "for (int distance = kWarp / 2; distance > 1;"),
        ("conv2d:direct", "a row's end forgotten in the walk over pixels", "            while (x >= sizes.output.w) {", "            if (x >= sizes.output.w) {"),
        ("conv2d:direct", "channels of a share exchanged", "const int channel = first_channel + i % kChannels;",
         "const int channel = first_channel + kChannels - 1 - i % kChannels;"),
        ("conv2d:direct", "images in several slices", "n < sizes.batch; n += slices", "n < sizes.batch; n += 1"),
        ("conv2d:direct", "sums start over at each chunk", "        const int chunk_end = min(", "        for (T& sum : sums) sum = 0;\n        const int chunk_end = min("),
    ),
    *_mutants(
        "conv2d_implicit_gemm.cu",
        ("conv2d:implicit_gemm", "the left panel's end forgotten", "Engine::round(has_inner && row < rows ?", "Engine::round(row < rows ?",
         OUTSIDE, "return weight[sizes.weight_place(group * sizes.group_out + row", {"disturbs": _GATHERED}),
        ("conv2d:implicit_gemm", "no barrier before the panels are multiplied", "        __syncthreads();\n        sums.multiply", "        sums.multiply",
         UNWRITTEN, "right[j] = b[k]", {"disturbs": _GATHERED}),
        ("conv2d:implicit_gemm", "no barrier before the panels are overwritten", "sums.multiply(left_panel, right_panel);\n        __syncthreads();",
         "sums.multiply(left_panel, right_panel);", RACE, "left_panel[own_k][line] =", {"disturbs": _GATHERED}),
        ("conv2d:implicit_gemm", "columns past the last stored", "if (row >= rows || column >= columns) return;", "if (row >= rows) return;",
         OUTSIDE, "out[Role::place(", {"disturbs": _GATHERED}),
        ("conv2d:implicit_gemm", "slices go on to the end", "const int64_t end_k = first_k + slice_length < Role::inner(sizes) ? first_k + slice_length : Role::inner(sizes);",
         "const int64_t end_k = Role::inner(sizes);", {"disturbs": _GATHERED}),
        ("conv2d:implicit_gemm", "a slice that no block wrote", "weight_grad.data<float>(), slices.count,", "weight_grad.data<float>(), slices.count + 1,",
         OUTSIDE, "sum += partial[", {"disturbs": _GATHERED}),
        ("conv2d:tensor_core", "the kernel flipped in the input gradient",
         "return weight[sizes.weight_place(group * sizes.group_out + tap.first, row, tap.second, tap.third)];",
         "return weight[sizes.weight_place(group * sizes.group_out + tap.first, row, sizes.kernel.h - 1 - tap.second, tap.third)];",
         {"disturbs": _GATHERED}),
    ),
    *_mutants(
        "cross_entropy.cu",
        ("cross_entropy:online", "the sum not scaled to the larger maximum", "mine.sum = mine.sum * scaled(mine.shift, value) + 1;", "mine.sum = mine.sum + 1;"),
        ("cross_entropy:online", "lanes merged without scaling", "sum * scaled(shift, larger)", "sum"),
        ("cross_entropy:log_sum_exp", "the last classes forgotten", "c < options.classes; c += Team::kSize)\n            sum += ::exp(",
         "c < options.classes - 1; c += Team::kSize)\n            sum += ::exp(", {"disturbs": ("cross_entropy_backward",)}),
        ("cross_entropy:log_sum_exp", "items beyond the last unguarded",
         "if (item >= options.items) return;\n    const T* x = logits + options.begin(item);\n    const ShiftedSum",
         "const T* x = logits + options.begin(item);\n    const ShiftedSum", OUTSIDE, "const T value = x[c * options.inner]",
         {"disturbs": ("cross_entropy", "cross_entropy_backward")}),
        ("cross_entropy:naive", "`=` for `+=`", "c++) sum += ::exp(", "c++) sum = ::exp("),
        ("cross_entropy_backward:warp", "an ignored item gets a gradient", "if (label != options.ignore_index) {\n        const T share",
         "{\n        const T share", {"disturbs": ("cross_entropy_backward",)}),
        ("cross_entropy_backward:warp", "the batch's classes and pixels exchanged", "gradient += options.begin(item);", "gradient += item * options.classes;",
         OUTSIDE, "gradient[c * options.inner] = value", {"disturbs": ("cross_entropy_backward",)}),
    ),
    *_mutants(
        "losses.h",
        ("cross_entropy_backward:naive", "divided by the batch twice", "upstream[0] / total_weight[0] :", "upstream[0] / total_weight[0] / total_weight[0] :",
         {"source": "cross_entropy.cu", "disturbs": ("cross_entropy_backward", "nll_loss_backward")}),
    ),
    *_mutants(
        "elementwise.cu",
        ("add:elements", "the first dimension forgotten", "of[input] += i * walk.strides[0][input];", "of[input] += 0 * walk.strides[0][input];",
         {"disturbs": (*_BINARY, "where", "add_", "broadcast_to")}),
        ("sub:elements", "operands exchanged", "Operation::apply(a[place.of[0]], b[place.of[1]])", "Operation::apply(b[place.of[1]], a[place.of[0]])",
         {"disturbs": _BINARY}),
        ("mul:elements", "one thread too many", "if (i >= walk.size) return;\n    const Places<2> place(walk, i);\n    output[i]",
         "if (i > walk.size) return;\n    const Places<2> place(walk, i);\n    output[i]", OUTSIDE, "output[i] = Operation::apply(", {"disturbs": _BINARY}),
        ("maximum:elements", "NaN passed over", "return a > b || a != a ? a : b;", "return a > b ? a : b;"),
        ("minimum:elements", "the larger", "return a < b || a != a ? a : b;", "return a > b || a != a ? a : b;"),
        ("ge:elements", "`>` for `>=`", "return a >= b;", "return a > b;"),
        ("where:elements", "the mask read in the wrong place", "mask[place.of[0]] != 0", "mask[i] != 0", OUTSIDE, "mask[i] != 0"),
        ("add_:elements", "`=` for `+=`", "Add::apply(destination[i], Mul::apply(scale, source[place.of[1]]))", "Mul::apply(scale, source[place.of[1]])"),
        ("broadcast_to:elements", "nothing repeated", "output[i] = source[place.of[0]];", "output[i] = source[i];", OUTSIDE, "output[i] = source[i];"),
    ),
    *_mutants(
        "fill.cu",
        ("fill_:elements", "the last element not filled", "if (i < count) array[i] = value;", "if (i + 1 < count) array[i] = value;"),
        ("fill_:elements", "one thread too many", "if (i < count) array[i] = value;", "if (i <= count) array[i] = value;", OUTSIDE, "array[i] = value;"),
    ),
    *_mutants(
        "gather_batch.cu",
        ("gather_batch:four", "mirrored before the crop", "(is_mirrored ? width - 1 - x : x) + shift", "is_mirrored ? width - 1 - x - shift : x + shift",
         {"disturbs": ("gather_batch",)}),
        ("gather_batch:pixels", "rows moved by the columns' crop", "y + batch.crop[2 * b] - batch.padding", "y + batch.crop[2 * b + 1] - batch.padding",
         {"disturbs": ("gather_batch",)}),
        ("gather_batch:pixels", "the first channel's mean for all", "mean = batch.mean[c];", "mean = batch.mean[0];", {"disturbs": ("gather_batch",)}),
        ("gather_batch:four", "one thread too many", "if (first >= batch.size()) return;", "if (first > batch.size()) return;", OUTSIDE, "batch.index[b]"),
        ("gather_batch:pixels", "the image's right border off by one", "from >= 0 && from < width;", "from >= 0 && from <= width;",
         {"disturbs": ("gather_batch",)}),
    ),
    *_mutants(
        "gemm.h",
        ("matmul:split_k", "the first slice forgotten", "for (int64_t slice = 0; slice < slices; slice++) sum",
         "for (int64_t slice = 1; slice < slices; slice++) sum", _GEMM_H),
        ("matmul:tensor_core_tf32", "bfloat16's rounding in the tf32 rung", "return __float_to_tf32(value);",
         "return __float_to_tf32(__bfloat162float(__float2bfloat16(value)));", _GEMM_H),
        ("matmul:tensor_core_bf16", "fragments transposed on their way out", "nvcuda::wmma::mem_row_major", "nvcuda::wmma::mem_col_major", _GEMM_H),
        ("matmul:tensor_core_tf32", "the wrong quarter of the tile", "threadIdx.x) / 32 / 2 * 32;", "threadIdx.x) / 32 % 2 * 32;",
         RACE, "out[product.place(tile.matrix", _GEMM_H),
        ("matmul:register_blocked", "columns eight apart", "right[j] = b[k][column() + 16 * j];", "right[j] = b[k][column() + 8 * j];", _GEMM_H),
        ("matmul:naive", "the bias of the row", "? bias[row * bias_row_step + column * bias_column_step]", "? bias[column * bias_row_step + row * bias_column_step]",
         _GEMM_H),
    ),
    *_mutants(
        "im2col.cu",
        ("im2col:naive", "no guard at the end", "if (i >= sizes.columns_size()) return;\n    const int64_t row = i % sizes.rows();",
         "const int64_t row = i % sizes.rows();", OUTSIDE, "columns[(n * sizes.rows() + row)"),
        ("im2col:coalesced", "no guard at the end of the gather", "if (i >= sizes.image_size()) return;", "", OUTSIDE, "sum += columns[row", {"disturbs": ("im2col",)}),
        ("im2col:coalesced", "guard off by one", "if (i >= sizes.image_size()) return;", "if (i > sizes.image_size()) return;",
         OUTSIDE, "sum += columns[row", {"disturbs": ("im2col",)}),
        ("im2col:coalesced", "the border of the image off by one", "h >= sizes.image.h || w < 0", "h > sizes.image.h || w < 0",
         OUTSIDE, "columns[i] = place >= 0", {"disturbs": ("im2col",)}),
        ("im2col:naive", "left border forgotten: the row above is read", "|| w < 0 || w >= sizes.image.w) return -1;", "|| w >= sizes.image.w) return -1;",
         {"disturbs": ("im2col",)}),
        ("im2col:coalesced", "height and width of the kernel swapped", "const int64_t r = row / window.kernel.w % window.kernel.h;",
         "const int64_t r = row / window.kernel.h % window.kernel.h;", {"disturbs": ("im2col",)}),
        ("im2col:naive", "dilation of the other side", "+ s * window.dilation.w;", "+ s * window.dilation.h;", {"disturbs": ("im2col",)}),
        ("im2col:coalesced", "stride ignored in the gather", "if (x_strided < 0 || x_strided % window.stride.w != 0) continue;", "if (x_strided < 0) continue;",
         {"disturbs": ("im2col",)}),
        ("im2col:coalesced", "windows beyond the last one gathered", "if (y >= sizes.windows.h || x >= sizes.windows.w) continue;",
         "if (y >= sizes.windows.h) continue;", {"disturbs": ("im2col",)}),
        ("im2col:coalesced", "`=` for `+=`", "sum += columns[row", "sum = columns[row", {"disturbs": ("im2col:naive",)}),
        ("im2col:atomic", "a plain += for the atomic", "atomicAdd(&image[place], columns[i]);", "image[place] += columns[i];", RACE, "image[place] += columns[i]"),
        ("im2col:atomic", "`=` for the atomic +=", "atomicAdd(&image[place], columns[i]);", "image[place] = columns[i];", RACE, "image[place] = columns[i]"),
        ("im2col:atomic", "the image not set to zero before", "if (i < count) image[i] = T{0};", "if (i < count - 1) image[i] = T{0};", UNWRITTEN, "atomicAdd(&image[place]"),
        ("im2col:coalesced", "padding left unwritten", "columns[i] = place >= 0 ? image[place] : T{0};", "if (place >= 0) columns[i] = image[place];",
         {"disturbs": ("im2col:atomic",)}),
        ("im2col:coalesced", "images of the batch exchanged", "return ((n * sizes.channels + c)", "return (((sizes.images - 1 - n) * sizes.channels + c)",
         {"disturbs": ("im2col",)}),
        ("im2col:coalesced", "one block too few", "launch(im2col_coalesced<T>, blocks_for(columns.size(), kThreads)",
         "launch(im2col_coalesced<T>, blocks_for(columns.size() - kThreads, kThreads)", {"disturbs": ("im2col:atomic",)}),
    ),
    *_mutants(
        "matmul.cu",
        ("matmul:naive", "no guard at the end", "if (i >= product.outputs()) return;\n    const int64_t row = i %", "const int64_t row = i %", OUTSIDE, "sum += a["),
        ("matmul:coalesced", "one thread too many", "if (i >= product.outputs()) return;\n    const int64_t column = i %",
         "if (i > product.outputs()) return;\n    const int64_t column = i %", OUTSIDE, "sum += a["),
        ("matmul:coalesced", "one term too few", "for (int64_t k = 0; k < product.inner; k++)\n        sum", "for (int64_t k = 1; k < product.inner; k++)\n        sum",
         {"disturbs": ("matmul:naive",)}),
        ("matmul:tiled", "no barrier after the tiles are filled", "        __syncthreads();  // all numbers are there\n", "", UNWRITTEN, "sum += a_tile[ty][k]",
         {"disturbs": _TILED}),
        ("matmul:tiled", "no barrier before the tiles are overwritten",
         "        __syncthreads();  // all numbers have been read: the next may come\n", "", RACE, "a_tile[ty][tx] = has_a",
         {"disturbs": _TILED}),
        ("matmul:tiled", "rows beyond the last unguarded", "    if (row < product.rows() && column < product.columns())\n        output",
         "    if (column < product.columns())\n        output", RACE, "output[product.place(", {"disturbs": _TILED}),
        ("matmul:tiled", "the sum's end forgotten", "row < product.rows() && k0 + tx < product.inner;", "row < product.rows();", OUTSIDE, "a_tile[ty][tx] = has_a",
         {"disturbs": _TILED}),
        ("matmul:tiled", "a tile transposed", "sum += a_tile[ty][k] * b_tile[k][tx];", "sum += a_tile[k][ty] * b_tile[k][tx];", {"disturbs": _TILED}),
        ("matmul:register_blocked", "a panel's end forgotten", "const bool is_inside = first_line + line < factor.lines && first_k + k < end_k;",
         "const bool is_inside = first_line + line < factor.lines;", OUTSIDE, "const float value = is_inside", {"disturbs": _PANELS}),
        ("matmul:register_blocked", "sums start over at each piece",
         "        sums.multiply(a_panel, b_panel);\n        __syncthreads();\n    }\n    float* out",
         "        sums = Engine();\n        sums.multiply(a_panel, b_panel);\n        __syncthreads();\n    }\n    float* out", {"disturbs": _PANELS}),
        ("matmul:register_blocked", "no barrier before the panels are multiplied",
         "        __syncthreads();\n        sums.multiply(a_panel, b_panel);\n        __syncthreads();\n    }\n    float* out",
         "        sums.multiply(a_panel, b_panel);\n        __syncthreads();\n    }\n    float* out", UNWRITTEN, "left[i] = a[k]", {"disturbs": _PANELS}),
        ("matmul:split_k", "no barrier before the panels are overwritten",
         "        sums.multiply(a_panel, b_panel);\n        __syncthreads();\n    }\n    float* out",
         "        sums.multiply(a_panel, b_panel);\n    }\n    float* out", RACE, "panel[k][line] = rounded;", {"disturbs": _PANELS}),
        ("matmul:tensor_core_bf16", "columns past the last stored", "if (row < product.rows() && column < product.columns())\n            out[",
         "if (row < product.rows())\n            out[", RACE, "out[product.place(tile.matrix", {"disturbs": _PANELS}),
        ("matmul:split_k", "slices overlap", "first_k = slice * slice_length;", "first_k = slice * (slice_length - kInner);"),
        ("matmul:split_k", "the bias in every slice", "const float* no_bias = nullptr;", "const float* no_bias = bias_values<float>(bias_array);"),
        ("matmul:split_k", "a slice that no block wrote", "output.data<float>(), slices.count,", "output.data<float>(), slices.count + 1,", OUTSIDE, "sum += partial["),
        ("matmul:split_k", "the last slice forgotten", "output.data<float>(), slices.count,", "output.data<float>(), slices.count - 1,"),
        ("matmul:vectorized", "a panel transposed wrongly", "for (int j = 0; j < 4; j++) panel[k + j][line] = values[j];",
         "for (int j = 0; j < 4; j++) panel[k + 3 - j][line] = values[j];"),
        ("matmul:vectorized", "float4 where a line is no whole number of them", " && length % 4 == 0;", ";", "no multiple of 16", "const float4 four = is_inside",
         {"disturbs": ("matmul:double_buffered",)}),
        ("matmul:vectorized", "no barrier before the panels are multiplied", "product.inner, b_panel);\n        __syncthreads();", "product.inner, b_panel);",
         UNWRITTEN, "const float4 low ="),
        ("matmul:vectorized", "no barrier before the panels are overwritten",
         "        sums.multiply(a_panel, b_panel);\n        __syncthreads();\n    }\n    sums.store",
         "        sums.multiply(a_panel, b_panel);\n    }\n    sums.store", RACE, "panel[k"),
        ("matmul:vectorized", "the second four rows stored over the first", "i < 4 ? 4 * t + i : kWide / 2 + 4 * t + i - 4", "i < 4 ? 4 * t + i : 4 * t + i - 4",
         {"disturbs": ("matmul:double_buffered",)}),
        ("matmul:double_buffered", "multiplied before the last copies have arrived", "__pipeline_wait_prior(has_next ? 1 : 0);", "__pipeline_wait_prior(1);"),
        ("matmul:double_buffered", "copies that nobody waits for", "__pipeline_wait_prior(has_next ? 1 : 0);", "", UNWRITTEN, "const float4 low ="),
        ("matmul:double_buffered", "copies that belong to no batch", "        __pipeline_commit();\n", "", UNWRITTEN, "const float4 low ="),
        ("matmul:double_buffered", "one's own copies alone waited for", "        __syncthreads();                          // ... and everybody's\n", "",
         UNWRITTEN, "const float4 low ="),
        ("matmul:double_buffered", "the buffer overwritten while others read", "        __syncthreads();  // all have read this buffer: the next turn may overwrite it\n",
         "", RACE, "panel[k][line]"),
        ("matmul:double_buffered", "the same buffer again", "        buffer = 1 - buffer;\n", ""),
        ("matmul:coalesced", "a transposed matrix read as it lies", "product.b = transpose_b ? Factor{columns, inner, 1, inner * columns}",
         "product.b = transpose_b ? Factor{columns, 1, columns, inner * columns}", {"disturbs": ("matmul",)}),
    ),
    *_mutants(
        "max_pool2d.cu",
        ("max_pool2d:naive", "the last of equal maxima", "value > best || value != value || best_index < 0", "value >= best || value != value || best_index < 0",
         {"disturbs": ("max_pool2d:float4",)}),
        ("max_pool2d:naive", "the upper border off by one", "if (h < 0 || h >= sizes.input.h || w < 0", "if (h < -1 || h >= sizes.input.h || w < 0",
         OUTSIDE, "const T value = input[", {"disturbs": ("max_pool2d:float4",)}),
        ("max_pool2d:float4", "left and right exchanged", "indices[2 * i] = left;", "indices[2 * i] = right;"),
        ("max_pool2d:float4", "a row of the output for one of the input", "lower = upper + static_cast<Index>(sizes.input.w);", "lower = upper + static_cast<Index>(sizes.output.w);"),
        ("max_pool2d:float4", "one thread too many", "if (2 * i >= sizes.outputs()) return;", "if (2 * i > sizes.outputs()) return;", OUTSIDE, "const float4 above"),
        ("max_pool2d_backward:gather", "the last window that holds a pixel forgotten", "const int64_t end = last_start / stride + 1;",
         "const int64_t end = last_start / stride;"),
        ("max_pool2d_backward:gather", "`=` for `+=`", "if (indices[output] == index) sum += upstream[output];", "if (indices[output] == index) sum = upstream[output];"),
        ("max_pool2d_backward:atomic", "a plain += for the atomic", "atomicAdd(&gradient[plane * sizes.input.h * sizes.input.w + indices[i]], upstream[i]);",
         "gradient[plane * sizes.input.h * sizes.input.w + indices[i]] += upstream[i];", RACE, "+= upstream[i];"),
        ("max_pool2d_backward:atomic", "the accumulator not cleared", "if (i < count) gradient[i] = T{0};", "", UNWRITTEN, "atomicAdd(&gradient"),
    ),
    *_mutants(
        "nll_loss.cu",
        ("reduce_losses:one_block", "no barrier between the halves", "        __syncthreads();\n        if (threadIdx.x < half)", "        if (threadIdx.x < half)",
         UNWRITTEN, "losses[threadIdx.x] += losses[threadIdx.x + half]", {"disturbs": _LOSSES}),
        ("reduce_losses:one_block", "`=` for `+=`", "losses[threadIdx.x] += losses[threadIdx.x + half];", "losses[threadIdx.x] = losses[threadIdx.x + half];",
         {"disturbs": _LOSSES}),
        ("reduce_losses:one_block", "the last half forgotten", "for (unsigned int half = kThreads / 2; half > 0; half /= 2)", "for (unsigned int half = kThreads / 2; half > 1; half /= 2)",
         {"disturbs": _LOSSES}),
        ("nll_loss:gather", "divided by the batch twice", "static_cast<T>(loss / weight)", "static_cast<T>(loss / weight / weight)",
         {"disturbs": _LOSSES}),
        ("reduce_losses:naive", "weights of ignored items count", "if (target[item] == ignore_index) return;\n        loss +=", "loss +=",
         {"disturbs": _LOSSES}),
        ("nll_loss_backward:elements", "class and position exchanged", "const int64_t c = i / inner % classes;", "const int64_t c = i % classes;"),
        ("nll_loss:gather", "one item too many", "if (item >= items) return;", "if (item > items) return;", OUTSIDE, "const int64_t label = target[item];",
         {"disturbs": ("reduce_losses", "nll_loss_backward")}),
    ),
    *_mutants(
        "random.cu",
        ("uniform:philox", "one round too few", "round < 10", "round < 9", {"disturbs": ("normal",)}),
        ("normal:philox", "the last counter writes beyond the end", "if (place < count) output[place]", "output[place]", OUTSIDE, "output[place] = numbers.of[i]",
         {"disturbs": ("uniform",)}),
        ("normal:philox", "cosine and sine exchanged", "cosine = is_odd ? s : c;", "cosine = is_odd ? c : s;"),
        ("uniform:philox", "the offset forgotten", "fractions(philox_words(seed, offset + static_cast<uint64_t>(counter)), numbers);\n    for (T& number",
         "fractions(philox_words(seed, static_cast<uint64_t>(counter)), numbers);\n    for (T& number"),
    ),
    *_mutants(
        "reduction.cu",
        ("sum:two_stage", "no barrier before the warps' sums are read", "of_warp[threadIdx.x / 32] = total;\n    __syncthreads();", "of_warp[threadIdx.x / 32] = total;",
         UNWRITTEN, "Reducer::merge(total, of_warp[warp])", {"disturbs": _REDUCTIONS}),
        ("mean:two_stage", "no barrier between the columns' parts", "of_thread[threadIdx.y][threadIdx.x] = total;\n    __syncthreads();",
         "of_thread[threadIdx.y][threadIdx.x] = total;", UNWRITTEN, "of_thread[other][threadIdx.x]", {"disturbs": _REDUCTIONS}),
        ("amax:two_stage", "the last warp forgotten", "for (int warp = 1; warp < kWarps; warp++)", "for (int warp = 2; warp < kWarps; warp++)", {"disturbs": _REDUCTIONS}),
        ("sum:two_stage", "a shuffle that reaches half as far", "for (int away = 16; away > 0; away /= 2) part =", "for (int away = 8; away > 0; away /= 2) part =",
         {"disturbs": _REDUCTIONS}),
        ("sum:two_stage", "half a warp named in the shuffle", "__shfl_down_sync(kAllLanes, part, away)", "__shfl_down_sync(0x0000ffffu, part, away)",
         "does not take part", "__shfl_down_sync(0x0000ffffu, part, away)", {"disturbs": _REDUCTIONS}),
        ("amin:two_stage", "columns past the last stored", "if (threadIdx.y == 0 && result < walks.kept.count) {", "if (threadIdx.y == 0) {",
         OUTSIDE, "output[result] = Reducer::finish(total, count);\n    else", {"disturbs": _REDUCTIONS}),
        ("sum:two_stage", "a chunk forgotten", "for (int64_t chunk = OneWarp::rank(); chunk < chunks;", "for (int64_t chunk = OneWarp::rank() + 1; chunk < chunks;",
         {"disturbs": _REDUCTIONS}),
        ("mean:naive", "divided by the count twice", "return total / static_cast<T>(count);", "return total / static_cast<T>(count) / static_cast<T>(count);",
         {"disturbs": ("mean",)}),
        ("amin:naive", "NaN passed over", "value < best || value != value ? value : best", "value < best ? value : best", {"disturbs": ("amin",)}),
        ("sum:naive", "one thread too many", "if (result >= walks.kept.count) return;", "if (result > walks.kept.count) return;",
         OUTSIDE, "total = Reducer::include(total, x[first + walks.reduced.offset(k)]);\n    output[result]",
         {"disturbs": ("sum:naive", "mean:naive", "amax:naive", "amin:naive")}),
        ("argmax:warp", "the last of equals", "(value == best && place < best_place)", "(value == best && place > best_place)", {"disturbs": ("argmax",)}),
        ("argmax:warp", "lanes keep what they have", "for (int away = Team::kSize / 2; away > 0; away /= 2) {\n        const T value",
         "for (int away = Team::kSize / 2; away > 1; away /= 2) {\n        const T value"),
    ),
    *_mutants(
        "rows.cu",
        ("index_select:elements", "one thread too many", "if (i < count) output[i] = x[", "if (i <= count) output[i] = x[", OUTSIDE, "output[i] = x["),
        ("index_select_backward:first", "a row that comes twice is added twice", "if (index[earlier] == target) return;", "", RACE, "gradient[target * width + column] = sum"),
        ("index_select_backward:first", "one's own row forgotten", "for (int64_t later = row; later", "for (int64_t later = row + 1; later"),
        ("index_select_backward:first", "rows that nobody chose left as they were", "if (i < count) gradient[i] = T{0};", "", {"disturbs": ("index_select_backward",)}),
        ("index_select_backward:owner", "the rows read before all are noted", "        __syncthreads();  // every row is noted, and every count was read: the next piece may write its own\n", "",
         UNWRITTEN, "sum += upstream[found"),
        ("index_select_backward:owner", "the warps before not counted", "if (w < warp) before += counts[w];", "", RACE, "found[before] = row;"),
        ("index_select_backward:owner", "one's own lane counted", "(1u << lane) - 1)", "(2u << lane) - 1)", UNWRITTEN, "sum += upstream[found"),
        ("index_select_backward:owner", "the index read beyond its end", "row < rows && index[row] == target", "index[row] == target", OUTSIDE, "index[row] == target"),
        ("index_select_backward:owner", "the sum begun anew with each piece", "for (int i = 0; i < all; i++) sum += upstream[found", "sum = 0; for (int i = 0; i < all; i++) sum += upstream[found"),
        ("index_select_backward:atomic", "a plain += for the atomic", "atomicAdd(&gradient[index[i / width] * width + i % width], upstream[i]);",
         "gradient[index[i / width] * width + i % width] += upstream[i];", RACE, "+= upstream[i];"),
    ),
    *_mutants(
        "sgd.cu",
        ("sgd_step_:multi_tensor", "the tensor before", "list.first_block[tensor + 1] <= blockIdx.x", "list.first_block[tensor + 1] < blockIdx.x"),
        ("sgd_step_:multi_tensor", "one thread too many", "if (i < list.size[tensor])", "if (i <= list.size[tensor])", OUTSIDE, "const T slope = gradient[i]"),
        ("sgd_step_:one_launch_a_tensor", "one thread too many", "if (i < size) step_element", "if (i <= size) step_element", OUTSIDE, "const T slope = gradient[i]"),
        ("sgd_step_:one_launch_a_tensor", "the velocity not kept", "        velocity[i] = speed;\n", "", {"disturbs": ("sgd_step_",)}),
        ("sgd_step_:multi_tensor", "`=` for `-=`", "parameter[i] -= factors.lr * direction;", "parameter[i] = -factors.lr * direction;", {"disturbs": ("sgd_step_",)}),
    ),
    *_mutants(
        "shape.cu",
        ("permute:tiled", "no barrier after the tile", "    __syncthreads();\n", "", UNWRITTEN, "tile[threadIdx.x][step]"),
        ("permute:tiled", "the last tile unguarded", "row < turn.rows && column < turn.columns)\n            output", "column < turn.columns)\n            output",
         UNWRITTEN, "tile[threadIdx.x][step]"),
        ("permute:tiled", "the tile not turned", "= tile[threadIdx.x][step];", "= tile[step][threadIdx.x];", UNWRITTEN, "= tile[step][threadIdx.x];"),
        ("permute:naive", "one thread too many", "if (i >= count) return;\n    int64_t from, to;", "if (i > count) return;\n    int64_t from, to;", RACE, "output[to] = x[from];"),
        ("narrow:words", "the start forgotten", "x[slabs.start + slab * slabs.stride + word];\n}\n\n// The same", "x[slab * slabs.stride + word];\n}\n\n// The same",
         {"disturbs": ("narrow", "cat")}),
        ("cat:bytes", "one thread too many", "if (i >= slabs.outer * slabs.length) return;", "if (i > slabs.outer * slabs.length) return;", OUTSIDE,
         "output[out_start + slab * out_stride + word] =", {"disturbs": ("cat", "narrow")}),
        ("narrow_backward:words", "one word of the slab too many", "word >= 0 && word < slabs.length ?", "word >= 0 && word <= slabs.length ?",
         OUTSIDE, "output[i] = word >= 0", {"disturbs": ("narrow_backward",)}),
    ),
    *_mutants(
        "softmax.cu",
        ("softmax:warp", "without the maximum taken off", "return Team::maximum(maximum);", "return Team::maximum(maximum) * 0;", {"disturbs": _SOFTMAX}),
        ("softmax:warp", "rows beyond the last unguarded",
         "if (slice >= slices.count) return;\n    x += slices.begin(slice);\n    output += slices.begin(slice);\n    const T maximum = slice_maximum<Team>(x, slices);\n    const T sum",
         "x += slices.begin(slice);\n    output += slices.begin(slice);\n    const T maximum = slice_maximum<Team>(x, slices);\n    const T sum",
         OUTSIDE, "const T value = x[k * slices.inner]", {"disturbs": ("softmax",)}),
        ("log_softmax_backward:warp", "a lane's sum for the row's", "sum += upstream[begin + k * slices.inner];\n    sum = Team::sum(sum);",
         "sum += upstream[begin + k * slices.inner];"),
        ("softmax_backward:naive", "`=` for `+=`", "sum += upstream[begin + k * slices.inner] * output", "sum = upstream[begin + k * slices.inner] * output",
         {"disturbs": ("softmax_backward",)}),
    ),
    *_mutants(
        "team.h",
        ("softmax:warp", "half a warp named in the shuffle", "value += __shfl_xor_sync(kAllLanes, value, away);", "value += __shfl_xor_sync(0x0000ffffu, value, away);",
         "does not take part", "value += __shfl_xor_sync(0x0000ffffu", _TEAM_H),
        ("softmax:warp", "a shuffle too few", "for (int away = kSize / 2; away > 0; away /= 2) value +=", "for (int away = kSize / 2; away > 1; away /= 2) value +=", _TEAM_H),
        ("logsumexp:warp", "the smaller of two maxima", "value = other > value ? other : value;", "value = other < value ? other : value;", _TEAM_H),
    ),
]  # fmt: skip
