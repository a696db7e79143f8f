"""Wrong kernels: bugs planted in the sources of csrc/, each of which a check must reject (see ../test_mutants.py).

They are the mistakes that published code has made, and that sums, all-ones gradients or one-channel tests do not see. A
mutant is compiled and run for real, so what it shows is that the check of that op, as notebooks and tests use it, fails
on such a kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

BINARY = ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge", "where")
UNARY = ("relu", "neg", "abs", "exp", "log", "sqrt", "tanh", "sigmoid")
REDUCTIONS = ("sum", "mean", "amax", "amin")
INIT = ("kaiming_uniform", "xavier_uniform")
EVERYTHING = ("everything",)


@dataclass(frozen=True)
class SourceMutant:
    """One planted bug.

    name: the bug in words. file: the source, relative to csrc/.
    original: text that occurs in it exactly once. replacement: what stands there instead.
    check: the check that must reject it.
    disturbs: further checks that the bug may make fail. Mutants are compiled together only where none disturbs the
    check of another.
    kernel: select this kernel for the check, where the op has several and the mutant is not in its default.
    """

    name: str
    file: str
    original: str
    replacement: str
    check: str
    disturbs: tuple[str, ...] = ()
    kernel: str | None = None


MUTANTS = [
    # ------------------------------------------------------------------------------------------------------ convolution
    SourceMutant(
        "output channels scrambled",
        "cpu/conv2d_direct.cpp",
        "T* to = output + i * output_channel_size + vectors[j]->output;",
        "T* to = output + (rows - 1 - i) * output_channel_size + vectors[j]->output;",
        "conv2d",
    ),
    SourceMutant(
        "kernel not flipped in the input gradient",
        "cpu/conv2d_direct.cpp",
        "std::reverse_copy(from, from + kernel_size, to);",
        "std::copy(from, from + kernel_size, to);",
        "conv2d",
    ),
    SourceMutant(
        "rows and columns of the kernel swapped",
        "cpu/conv2d_direct.cpp",
        "for (int64_t r = 0; r < g.window.kernel.h; r++) {\n"
        "            for (int64_t s = 0; s < g.window.kernel.w; s++) {\n"
        "                offsets",
        "for (int64_t s = 0; s < g.window.kernel.w; s++) {\n"
        "            for (int64_t r = 0; r < g.window.kernel.h; r++) {\n"
        "                offsets",
        "conv2d",
    ),
    SourceMutant(
        "unguarded last vector of a row",
        "cpu/conv2d_direct.cpp",
        "store_first(to, sums[i][j], vectors[j]->lanes);",
        "store(to, sums[i][j]);",
        "conv2d",
    ),
    SourceMutant(
        "weight gradient forgets a part of the batch",
        "cpu/batch_slots.h",
        "for (int64_t slot = 0; slot < count; slot++) total",
        "for (int64_t slot = 1; slot < count; slot++) total",
        "conv2d",
    ),
    SourceMutant(
        "bias gradient drops the tail",
        "cpu/conv2d_bias_grad.cpp",
        "for (; i < count; i++) total += values[i];",
        "",
        "conv2d",
    ),
    SourceMutant(
        "sum added to a stale buffer",
        "cpu/conv2d_im2col_gemm.cpp",
        "image > slots.begin(slot)",
        "image >= slots.begin(slot)",
        "conv2d",
    ),
    SourceMutant(
        "height and width of the kernel swapped",
        "cpu/conv2d_loops.cpp",
        "((o * g.group_in() + c) * kernel.h + r) * kernel.w + s",
        "((o * g.group_in() + c) * kernel.w + s) * kernel.h + r",
        "conv2d",
        kernel="loops",
    ),
    SourceMutant(
        "groups ignored",
        "cpu/conv2d_loops.cpp",
        "first_channel = o / g.group_out() * g.group_in()",
        "first_channel = 0 * o",
        "conv2d",
        kernel="loops",
    ),
    SourceMutant(
        "a term of the sum dropped",
        "cpu/conv2d_im2col_naive.cpp",
        "for (int64_t k = 0; k < taps; k++) sum +=",
        "for (int64_t k = 1; k < taps; k++) sum +=",
        "conv2d",
        kernel="im2col_naive",
    ),
    SourceMutant(
        "padding off by one",
        "cpu/im2col.cpp",
        "offset(tap * dilation - padding)",
        "offset(tap * dilation - padding + 1)",
        "unfold",
        disturbs=("fold", "conv2d"),
    ),
    SourceMutant(
        "`=` for `+=` in col2im",
        "cpu/im2col.cpp",
        "for (int64_t x = columns.begin; x < columns.end; x++) to[x] += from[x];",
        "for (int64_t x = columns.begin; x < columns.end; x++) to[x] = from[x];",
        "fold",
        disturbs=("unfold", "conv2d"),
    ),
    # --------------------------------------------------------------------------------------------------------- products
    SourceMutant(
        "last tile skipped",
        "cpu/gemm.cpp",
        "} else if (count > 0) {",
        "} else if (count > kLanes<T>) {",
        "matmul",
        disturbs=("linear", "conv2d"),
    ),
    SourceMutant(
        "a long sum keeps its last piece only",
        "cpu/gemm.cpp",
        "accumulate || k > 0",
        "accumulate",
        "matmul",
        disturbs=("linear", "conv2d"),
    ),
    SourceMutant(
        "last term of the sum dropped",
        "cpu/matmul.cpp",
        "for (int64_t k = 0; k < inner; k++) {",
        "for (int64_t k = 0; k + 1 < inner; k++) {",
        "matmul",
        kernel="naive",
    ),
    SourceMutant(
        "bias forgotten",
        "cpu/matmul.cpp",
        "const bool accumulate = bias != nullptr;",
        "const bool accumulate = false;",
        "linear",
    ),
    SourceMutant(
        "the end of a row added twice",
        "cpu/matmul.cpp",
        "return keep_last<T>(load(from), rest);",
        "return load(from);",
        "linear",
    ),
    # ---------------------------------------------------------------------------------------------------------- pooling
    SourceMutant(
        "the second row of every 2x2 window skipped",
        "cpu/max_pool2d.cpp",
        "plane.indices + at, 0, 2, 2, 2);",
        "plane.indices + at, 0, 1, 2, 2);",
        "max_pool2d",
    ),
    SourceMutant(
        "2x2 windows of a row start at every column",
        "cpu/max_pool2d.cpp",
        "const int64_t base_index = 2 * oh * input_w + 2 * ow, at",
        "const int64_t base_index = 2 * oh * input_w + ow, at",
        "max_pool2d",
    ),
    SourceMutant(
        "2x2 gradient to the left of each pair only",
        "cpu/max_pool2d.cpp",
        "const Values right = winner == start + 1 ? values : Values{};",
        "const Values right = winner == start + 2 ? values : Values{};",
        "max_pool2d",
    ),
    SourceMutant(
        "2x2 gradient of the second row into the first",
        "cpu/max_pool2d.cpp",
        "Offsets{} + static_cast<PoolInt<T>>(row * width);",
        "Offsets{} + static_cast<PoolInt<T>>((1 - row) * width);",
        "max_pool2d",
    ),
    SourceMutant(
        "the last of equal elements wins",
        "cpu/max_pool2d.cpp",
        "const bool better = (value > best) | (value != value);",
        "const bool better = (value >= best) | (value != value);",
        "max_pool2d",
    ),
    SourceMutant(
        "`=` for `+=` where windows overlap",
        "cpu/max_pool2d.cpp",
        "gradient[index] += upstream[i];",
        "gradient[index] = upstream[i];",
        "max_pool2d",
    ),
    SourceMutant(
        "padding by 0 instead of minus infinity",
        "cpu/max_pool2d.cpp",
        "T best = -std::numeric_limits<T>::infinity();",
        "T best = 0;",
        "max_pool2d",
    ),
    SourceMutant(
        "count_include_pad swapped",
        "cpu/avg_pool2d.cpp",
        "if (divisor.count_include_pad)",
        "if (!divisor.count_include_pad)",
        "avg_pool2d",
    ),
    SourceMutant(
        "`=` for `+=` where windows overlap",
        "cpu/avg_pool2d.cpp",
        "gradient[h * columns.input + w] += share;",
        "gradient[h * columns.input + w] = share;",
        "avg_pool2d",
    ),
    # ------------------------------------------------------------------------------------------ functions of one number
    SourceMutant(
        "last elements never written",
        "cpu/activation.cpp",
        "for (; i < end; i++) gradient[i] = output[i] <= T{0} ? T{0} : upstream[i];",
        "",
        "relu",
    ),
    SourceMutant(
        "gradient passes at 0",
        "cpu/activation.cpp",
        "load(output + i) <= T{0} ? Vector<T>{}",
        "load(output + i) < T{0} ? Vector<T>{}",
        "relu",
    ),
    SourceMutant(
        "sign lost", "cpu/activation.cpp", "[](T value) { return -value; }", "[](T value) { return value; }", "neg"
    ),
    SourceMutant("sign kept", "cpu/activation.cpp", "return std::fabs(value);", "return value;", "abs"),
    SourceMutant(
        "base 2 for base e",
        "cpu/activation.cpp",
        "kSlowElementsPerThread, [](Vector<T> value) { return exp_lanes(value); }",
        "kSlowElementsPerThread, [](Vector<T> value) { return exp_lanes(value * T(0.69314718)); }",
        "exp",
    ),
    SourceMutant(
        "shifted to avoid log(0)", "cpu/activation.cpp", "std::log(value)", "std::log(value + T(1e-5))", "log"
    ),
    SourceMutant("NaN below a half", "cpu/activation.cpp", "std::sqrt(value)", "std::sqrt(value - T(0.5))", "sqrt"),
    SourceMutant(
        "a polynomial for tanh", "cpu/activation.cpp", "std::tanh(value)", "(value - value * value * value / 3)", "tanh"
    ),
    SourceMutant("sign of the exponent lost", "cpu/activation.cpp", "exp_lanes(-value)", "exp_lanes(value)", "sigmoid"),
    # ------------------------------------------------------------------------------------------------------- arithmetic
    SourceMutant(
        "stride of a broadcast dimension wrong",
        "ops/broadcast.cpp",
        "if (!is_repeated) next_stride[input] *= size;",
        "next_stride[input] *= size;",
        "add",
        disturbs=(*BINARY, "broadcast_to", "linear", "conv2d", *UNARY),
    ),
    SourceMutant("operands exchanged", "cpu/elementwise.cpp", "{ return x - y; }", "{ return y - x; }", "sub"),
    SourceMutant(
        "square instead of product",
        "cpu/elementwise.cpp",
        "{ return x * y; }",
        "{ return x * x; }",
        "mul",
        disturbs=EVERYTHING,
    ),
    SourceMutant(
        "operands exchanged",
        "cpu/elementwise.cpp",
        "struct Div {\n    template <class T>\n    static T apply(T a, T b) {\n        return a / b;",
        "struct Div {\n    template <class T>\n    static T apply(T a, T b) {\n        return b / a;",
        "div",
        disturbs=("sqrt", "log", "mean"),
    ),
    SourceMutant("power of 2 only", "cpu/elementwise.cpp", "std::pow(a, b)", "std::pow(a, T{2})", "pow"),
    SourceMutant(
        "sign of the comparison",
        "cpu/elementwise.cpp",
        "return (a > b) | (a != a) ? a : b;",
        "return (a < b) | (a != a) ? a : b;",
        "maximum",
    ),
    SourceMutant(
        "second operand always",
        "cpu/elementwise.cpp",
        "return (a < b) | (a != a) ? a : b;",
        "return a != a ? a : b;",
        "minimum",
    ),
    SourceMutant("equality counted", "cpu/elementwise.cpp", "return a < b;", "return a <= b;", "lt"),
    SourceMutant("equality not counted", "cpu/elementwise.cpp", "return a <= b;", "return a < b;", "le"),
    SourceMutant(
        "equality counted",
        "cpu/elementwise.cpp",
        "return a > b;",
        "return a >= b;",
        "gt",
        disturbs=("relu", "maximum", "minimum"),
    ),
    SourceMutant(
        "equality not counted",
        "cpu/elementwise.cpp",
        "return a >= b;",
        "return a > b;",
        "ge",
        disturbs=("maximum", "minimum"),
    ),
    SourceMutant(
        "signs ignored",
        "cpu/elementwise.cpp",
        "return a == b;",
        "return a * a == b * b;",
        "eq",
        disturbs=("amax", "amin", "maximum", "minimum"),
    ),
    SourceMutant(
        "signs ignored", "cpu/elementwise.cpp", "return a != b;", "return a * a != b * b;", "ne", disturbs=("pow",)
    ),
    SourceMutant(
        "a run's first mask for all of it",
        "cpu/elementwise.cpp",
        "mask[i] != 0 ? if_true",
        "mask[0] != 0 ? if_true",
        "where",
        disturbs=("maximum", "minimum", "pow"),
    ),
    SourceMutant(
        "first element for all",
        "cpu/elementwise.cpp",
        "std::fill_n(to + at, length, from[offsets[0]]);",
        "std::fill_n(to + at, length, from[0]);",
        "broadcast_to",
        disturbs=("sum", "mean", "amax", "amin"),
    ),
    # ------------------------------------------------------------------------------------------------------- reductions
    SourceMutant(
        "sum drops the tail",
        "cpu/reduction.cpp",
        "const int64_t rest = std::min(count - i, kLanes - 1);",
        "const int64_t rest = std::min<int64_t>(count - i, 0);",
        "sum",
        disturbs=(*REDUCTIONS, *BINARY, "broadcast_to"),
    ),
    SourceMutant(
        "one element too many counted",
        "cpu/reduction.cpp",
        "total / static_cast<double>(count)",
        "total / static_cast<double>(count + 1)",
        "mean",
    ),
    SourceMutant(
        "starts from 0",
        "cpu/reduction.cpp",
        "-std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest()",
        "T{0} : std::numeric_limits<T>::lowest()",
        "amax",
    ),
    SourceMutant(
        "starts from 0",
        "cpu/reduction.cpp",
        "std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max()",
        "T{0} : std::numeric_limits<T>::max()",
        "amin",
    ),
    SourceMutant(
        "the place before",
        "cpu/reduction.cpp",
        "is_better ? place : out[i]",
        "is_better ? place - 1 : out[i]",
        "argmax",
    ),
    # ----------------------------------------------------------------------------------------------- softmax and losses
    SourceMutant(
        "maximum not subtracted",
        "cpu/softmax.cpp",
        "const Vector<T> maximum = slice_maximum(slices, x);\n        Vector<T> sum{};",
        "const Vector<T> maximum{};\n        Vector<T> sum{};",
        "softmax",
    ),
    SourceMutant(
        "derivative of the diagonal only",
        "cpu/softmax.cpp",
        "(slices.load(upstream, step, T{0}) - sum)",
        "slices.load(upstream, step, T{0})",
        "softmax",
    ),
    SourceMutant("upstream's sum taken as 1", "cpu/softmax.cpp", "- probability * sum", "- probability", "log_softmax"),
    SourceMutant(
        "maximum not subtracted",
        "cpu/softmax.cpp",
        "maximum = (maximum == kInfinity) | (maximum == -kInfinity) ? Vector<T>{} : maximum;",
        "maximum = Vector<T>{};",
        "logsumexp",
    ),
    SourceMutant(
        "maximum not subtracted",
        "cpu/cross_entropy.cpp",
        "const Vector<T> maximum = slice_maximum(slices, x);",
        "const Vector<T> maximum{};",
        "cross_entropy",
    ),
    SourceMutant(
        "gradient of the target class not reduced by 1",
        "cpu/cross_entropy.cpp",
        "gradient[slices.begin(slice) + label * inner] -= of_target[slice];",
        "gradient[slices.begin(slice) + label * inner] -= 0;",
        "cross_entropy",
    ),
    SourceMutant(
        "smoothed without class weights",
        "cpu/cross_entropy.cpp",
        "sum_over_classes += weight ? weight[c] * class_loss : class_loss;",
        "sum_over_classes += class_loss;",
        "cross_entropy",
    ),
    SourceMutant(
        "divided by the batch twice",
        "cpu/nll_loss.cpp",
        "static_cast<T>(sum / total_weight)",
        "static_cast<T>(sum / total_weight / total_weight)",
        "nll_loss",
        disturbs=("cross_entropy",),
    ),
    SourceMutant(
        "ignored labels counted",
        "cpu/nll_loss.cpp",
        "if (target[item] == options.ignore_index) continue;",
        "",
        "nll_loss",
        disturbs=("cross_entropy",),
    ),
    # ------------------------------------------------------------------------------------------------------ shape, rows
    SourceMutant(
        "a copy that is never filled",
        "ndarray/ndarray.cpp",
        "return NDArray(storage_, std::move(shape), dtype_);",
        "return NDArray::empty(std::move(shape), dtype_);",
        "reshape",
        disturbs=EVERYTHING,
    ),
    SourceMutant(
        "rows and columns of a tile not exchanged",
        "cpu/shape.cpp",
        "out[r * out_stride + c] = x[r + c * x_stride];",
        "out[r * out_stride + c] = x[c + r * x_stride];",
        "permute",
        disturbs=("transpose", "matmul", "linear"),
    ),
    SourceMutant(
        "rows and columns of a tile not exchanged",
        "cpu/shape.cpp",
        "out[r * out_stride + c] = x[r + c * x_stride];",
        "out[r * out_stride + c] = x[c + r * x_stride];",
        "transpose",
        disturbs=("permute", "matmul", "linear"),
    ),
    SourceMutant(
        "parts all at the start",
        "cpu/shape.cpp",
        "static_cast<char*>(out.raw()) + out_start;",
        "static_cast<char*>(out.raw()) + 0 * out_start;",
        "cat",
    ),
    SourceMutant(
        "rest never written", "cpu/shape.cpp", "std::memset(row + after, 0, out_stride - after);", "", "narrow"
    ),
    SourceMutant(
        "`=` for `+=` where an index repeats",
        "cpu/rows.cpp",
        "sum[column] += addend[column];",
        "sum[column] = addend[column];",
        "index_select",
    ),
    SourceMutant(
        "first row stale",
        "cpu/rows.cpp",
        "for (int64_t i = begin; i < end; i++) std::memcpy",
        "for (int64_t i = begin + 1; i < end; i++) std::memcpy",
        "index_select",
    ),
    # ------------------------------------------------------------------------------------------------- random, training
    SourceMutant("nine rounds", "cpu/philox.h", "round < 10", "round < 9", "uniform", disturbs=("normal", *INIT)),
    SourceMutant(
        "as wide as the upper end is high",
        "cpu/random.cpp",
        "const T width = high - low;",
        "const T width = high;",
        "kaiming_uniform",
        disturbs=("uniform", "xavier_uniform"),
    ),
    SourceMutant(
        "starts at 0",
        "cpu/random.cpp",
        "std::fma(number, width, low)",
        "number * width",
        "xavier_uniform",
        disturbs=("uniform", "kaiming_uniform"),
    ),
    SourceMutant("radius too small", "cpu/random.cpp", "std::sqrt(-2.0 *", "std::sqrt(-1.0 *", "normal"),
    SourceMutant(
        "weight decay dropped",
        "cpu/sgd.cpp",
        "const T slope = gradient[i] + factors.weight_decay * parameter[i];\n        parameter[i] -=",
        "const T slope = gradient[i];\n        parameter[i] -=",
        "sgd",
    ),
    SourceMutant(
        "Nesterov's step from the velocity alone",
        "cpu/sgd.cpp",
        "slope + factors.momentum * speed",
        "speed + factors.momentum * speed",
        "sgd",
    ),
    SourceMutant(
        "dampening in the first step too",
        "cpu/sgd.cpp",
        "first_step ? slope :",
        "first_step ? factors.undamped * slope :",
        "sgd",
    ),
    SourceMutant(
        "mirrored top to bottom too",
        "cpu/gather_batch.cpp",
        "float* row = to + item * plane + y * width;",
        "float* row = to + item * plane + (is_mirrored ? height - 1 - y : y) * width;",
        "gather_batch",
    ),
    SourceMutant(
        "crop's column taken for its row",
        "cpu/gather_batch.cpp",
        "crop[2 * b] - padding",
        "crop[2 * b + 1] - padding",
        "gather_batch",
    ),
    # A step and an evaluation use nearly all kernels, so these two are built alone.
    SourceMutant(
        "the first parameter alone moves",
        "cpu/sgd.cpp",
        "first += tensor.size;",
        "first += total;",
        "training_step",
        disturbs=EVERYTHING,
    ),
    SourceMutant(
        "bytes taken for 256ths",
        "cpu/gather_batch.cpp",
        "/ 255.0f - mean",
        "/ 256.0f - mean",
        "evaluate",
        disturbs=EVERYTHING,
    ),
]
