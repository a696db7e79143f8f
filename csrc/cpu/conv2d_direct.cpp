// Convolution without columns. im2col copies each pixel kh * kw times, only to have rows to multiply. But with stride
// 1, the row that kernel element (c, r, s) contributes is already in the image: the pixels of channel c, shifted by r
// rows and s columns. So each image is copied once, into a frame of zeros, and the register tile of tile.h reads its
// vectors from there:
//
//   output[o][pixel ...] += weight[o][k] * padded[pixel + offset(k) ...]        k = (c, r, s)
//
// The kernels:
//
//   forward       a tile is a few output channels x a few vectors of pixels
//   input_grad    the same function: the input's gradient is a convolution of upstream with the weight turned by 180
//                 degrees
//   weight_grad   a tile is a few output channels x a few kernel elements, and each of its sums is a vector, whose
//                 lanes hold the sums over every 16th pixel (float32, AVX-512) until they are added up at the end
//
// A stride other than 1 would scatter a vector's pixels, and rows shorter than half a vector would waste most of its
// lanes: im2col_gemm does these.
#include <algorithm>
#include <vector>

#include "batch_slots.h"
#include "conv2d.h"
#include "gemm.h"
#include "parallel.h"

namespace mt::cpu {
namespace {

constexpr int64_t kMultiplyAddsPerThread = 200'000;

bool serves(const Conv2dGeometry& g, DType dtype) {
    const int64_t lanes = kVectorBytes / static_cast<int64_t>(item_size(dtype));
    return g.window.stride == Pair{1, 1} && 2 * g.output.w >= lanes;
}

// Rows are short: what a call of memcpy costs would show.
template <class T>
inline void copy_row(const T* from, int64_t count, T* to) {
    int64_t x = 0;
    for (; x + kLanes<T> <= count; x += kLanes<T>) store(to + x, load(from + x));
    for (; x < count; x++) to[x] = from[x];
}

// An image's channels in a frame of zeros. Rows are long enough for the last vector of pixels, which may stand out of
// the image, seen through any kernel element.
template <class T>
struct Frame {
    // A frame in which kernels slide over an input to make `output`.
    Frame(Pair size, Pair output, const Window& window)
        : size(size),
          padding(window.padding),
          rows(output.h + window.dilation.h * (window.kernel.h - 1)),
          row_stride(round_up(output.w, kLanes<T>) + window.dilation.w * (window.kernel.w - 1)) {}

    int64_t channel_size() const { return rows * row_stride; }

    // image (channels, H, W) -> framed (channels, rows, row_stride), whose margins are zero already.
    void fill(const T* image, int64_t channels, T* framed) const {
        for (int64_t c = 0; c < channels; c++) {
            T* channel = framed + c * channel_size() + padding.h * row_stride + padding.w;
            for (int64_t y = 0; y < size.h; y++)
                copy_row(image + (c * size.h + y) * size.w, size.w, channel + y * row_stride);
        }
    }

    Pair size, padding;
    int64_t rows, row_stride;
};

// A vector of pixels of an output row.
struct PixelVector {
    int64_t framed;  // where its first pixel is in a framed channel, seen through kernel element (0, 0)
    int64_t output;  // ... and in an output channel
    int64_t lanes;   // how many of its lanes are pixels; fewer than all at the end of a row
};

// All pixels of an output channel, cut into vectors.
template <class T>
std::vector<PixelVector> cut_into_vectors(const Conv2dGeometry& g, int64_t row_stride) {
    std::vector<PixelVector> vectors;
    for (int64_t y = 0; y < g.output.h; y++) {
        for (int64_t x = 0; x < g.output.w; x += kLanes<T>) {
            vectors.push_back({y * row_stride + x, y * g.output.w + x, std::min<int64_t>(kLanes<T>, g.output.w - x)});
        }
    }
    return vectors;
}

// How far kernel element k = (c, r, s) looks from element (0, 0, 0), in a framed image.
template <class T>
std::vector<int64_t> tap_offsets(const Conv2dGeometry& g, const Frame<T>& frame) {
    std::vector<int64_t> offsets;
    for (int64_t c = 0; c < g.group_in(); c++) {
        for (int64_t r = 0; r < g.window.kernel.h; r++) {
            for (int64_t s = 0; s < g.window.kernel.w; s++) {
                offsets.push_back(c * frame.channel_size() + r * g.window.dilation.h * frame.row_stride +
                                  s * g.window.dilation.w);
            }
        }
    }
    return offsets;
}

// Memory for a worker's framed images, zeroed: Frame::fill writes the inside again and again, the margins stay.
template <class T>
NDArray zeros(int64_t workers, int64_t size, DType dtype) {
    NDArray array = NDArray::empty({workers, size}, dtype);
    std::fill_n(array.data<T>(), array.size(), T{0});
    return array;
}

// ---------------------------------------------------------------------------------- forward, input gradient

// `rows` (at most Rows) output channels of one image and group. weight: (taps, Rows rounded up to vectors), bias:
// (rows,) or null, output: (rows, H', W').
//
// WholeVectors: every tile has all its vectors, and no vector ends beyond its row.
template <class T, int Rows, bool WholeVectors>
void convolve_channels(const std::vector<PixelVector>& pixels, const std::vector<int64_t>& offsets, const T* framed,
                       const T* weight, const T* bias, int64_t rows, T* output, int64_t output_channel_size) {
    constexpr int kColumns = kTileColumns<Rows>;
    constexpr int kWeightStride = (Rows + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
    const int64_t count = static_cast<int64_t>(pixels.size()), taps = static_cast<int64_t>(offsets.size());
    const int64_t* offset = offsets.data();
    T start[Rows] = {};
    if (bias != nullptr) std::copy_n(bias, std::min<int64_t>(rows, Rows), start);

    for (int64_t first = 0; first < count; first += kColumns) {
        // Beyond the last vector the last one is computed again, so that every tile is whole.
        const PixelVector* vectors[kColumns];
        const T* right[kColumns];
        for (int j = 0; j < kColumns; j++) {
            vectors[j] = &pixels[WholeVectors ? first + j : std::min(first + j, count - 1)];
            right[j] = framed + vectors[j]->framed;
        }
        Vector<T> sums[Rows][kColumns];
#pragma GCC unroll 16
        for (int i = 0; i < Rows; i++) {
#pragma GCC unroll 4
            for (int j = 0; j < kColumns; j++) sums[i][j] = start[i] + Vector<T>{};
        }
        accumulate_tile<T, Rows, kColumns, kWeightStride>(
            taps, weight, right, [offset](int64_t k) { return offset[k]; }, sums);
#pragma GCC unroll 16
        for (int i = 0; i < Rows; i++) {
            if (i >= rows) continue;
#pragma GCC unroll 4
            for (int j = 0; j < kColumns; j++) {
                T* to = output + i * output_channel_size + vectors[j]->output;
                if (WholeVectors || vectors[j]->lanes == kLanes<T>) {
                    store(to, sums[i][j]);
                } else {
                    store_first(to, sums[i][j], vectors[j]->lanes);
                }
            }
        }
    }
}

template <class T>
void convolve(const Conv2dGeometry& g, const T* input, const T* weight, const T* bias, T* output) {
    const DType dtype = dtype_of<T>();
    const Frame<T> frame(g.input, g.output, g.window);
    const std::vector<PixelVector> pixels = cut_into_vectors<T>(g, frame.row_stride);
    const std::vector<int64_t> offsets = tap_offsets(g, frame);

    // The weights are packed as the left matrix of the product weight . columns, whose right matrix is never made.
    const GemmPlan<T> plan(g.group_out(), g.output_pixels(), g.taps());
    NDArray packed = NDArray::empty({g.groups, plan.packed_a_size()}, dtype);
    for (int64_t group = 0; group < g.groups; group++) {
        const T* group_weight = weight + group * g.group_out() * g.taps();
        pack_a(plan, row_major(group_weight, g.taps()), 0, plan.row_panels,
               packed.data<T>() + group * plan.packed_a_size());
    }

    // One item: a panel of output channels of one image and group.
    const int64_t items = g.batch * g.groups * plan.row_panels;
    const int64_t workers =
        worker_count(items, divide_up(kMultiplyAddsPerThread, plan.tile_rows * g.taps() * g.output_pixels()));
    NDArray framed = zeros<T>(workers, g.group_in() * frame.channel_size(), dtype);
    dispatch_tile_rows(plan.tile_rows, [&](auto rows_constant) {
        constexpr int kRows = rows_constant();
        const bool whole_vectors = g.output.w % kLanes<T> == 0 && pixels.size() % kTileColumns<kRows> == 0;
        const auto convolve_panel =
            whole_vectors ? convolve_channels<T, kRows, true> : convolve_channels<T, kRows, false>;
        parallel_for_workers(items, workers, [&](int64_t worker, int64_t begin, int64_t end) {
            T* my_framed = framed.data<T>() + worker * g.group_in() * frame.channel_size();
            for (int64_t item = begin; item < end; item++) {
                const int64_t panel = item % plan.row_panels, image_and_group = item / plan.row_panels,
                              group = image_and_group % g.groups;
                if (item == begin || panel == 0)
                    frame.fill(input + image_and_group * g.group_in() * g.input_pixels(), g.group_in(), my_framed);
                const int64_t channel = panel * plan.tile_rows;  // of the group
                convolve_panel(pixels, offsets, my_framed,
                               packed.data<T>() + group * plan.packed_a_size() + panel * plan.inner * plan.left_stride,
                               bias == nullptr ? nullptr : bias + group * g.group_out() + channel,
                               std::min(plan.tile_rows, g.group_out() - channel),
                               output + (image_and_group * g.group_out() + channel) * g.output_pixels(),
                               g.output_pixels());
            }
        });
    });
}

// The convolution that computes the input's gradient from upstream: input and output change places, and the padding is
// what a kernel element at the other side of the pixel still reaches.
Conv2dGeometry mirrored(const Conv2dGeometry& g) {
    const auto [kernel, stride, padding, dilation] = g.window;
    const Pair reach{dilation.h * (kernel.h - 1) - padding.h, dilation.w * (kernel.w - 1) - padding.w};
    return {
        g.batch, g.out_channels, g.in_channels, g.groups, g.output, g.input, Window{kernel, stride, reach, dilation}};
}

// (O, C / groups, kh, kw) -> (C, O / groups, kh, kw), each kernel turned by 180 degrees.
template <class T>
NDArray turned(const Conv2dGeometry& g, const NDArray& weight) {
    const int64_t kernel_size = g.window.kernel.h * g.window.kernel.w;
    NDArray out = NDArray::empty({g.in_channels, g.group_out(), g.window.kernel.h, g.window.kernel.w}, weight.dtype());
    for (int64_t o = 0; o < g.out_channels; o++) {
        for (int64_t c = 0; c < g.group_in(); c++) {
            const T* from = weight.data<T>() + (o * g.group_in() + c) * kernel_size;
            const int64_t in_channel = o / g.group_out() * g.group_in() + c;
            T* to = out.data<T>() + (in_channel * g.group_out() + o % g.group_out()) * kernel_size;
            std::reverse_copy(from, from + kernel_size, to);
        }
    }
    return out;
}

// ---------------------------------------------------------------------------------- weight gradient

// Output channels and kernel elements in a tile: as many sums as registers allow, beside the vectors of upstream and
// the one of the input that are multiplied.
constexpr int kChannelsInTile = kVectorRegisters == 32 ? 6 : 3;
constexpr int kTapsInTile = 4;

// Images that go through all tiles together: as many as leave what the tiles of one block of channels read in the
// first-level cache, because each of them reads all of it.
constexpr int64_t kBytesTogether = 40 * 1024;

// Part of the weight gradient: Channels output channels x kTapsInTile kernel elements, summed over `images` images.
// framed and upstream lie `framed_size` and `upstream_size` elements apart from image to image; WholeVectors: no vector
// of pixels ends beyond its row; totals: (Channels * kTapsInTile).
template <class T, int Channels, bool WholeVectors>
void correlate_tile(const std::vector<PixelVector>& pixels, const int64_t (&offsets)[kTapsInTile], int64_t images,
                    const T* framed, int64_t framed_size, const T* upstream, int64_t upstream_size,
                    int64_t upstream_channel_size, T (&totals)[Channels * kTapsInTile]) {
    Vector<T> sums[Channels * kTapsInTile] = {};
    for (int64_t image = 0; image < images; image++) {
        for (const PixelVector& vector : pixels) {
            const T* from = framed + image * framed_size + vector.framed;
            const T* gradient = upstream + image * upstream_size + vector.output;
            // Beside the sums, the fewer of the two factors stay in registers, and the others come one at a time: with
            // 16 registers there is none to spare.
            Vector<T> gradients[Channels];
#pragma GCC unroll 16
            for (int o = 0; o < Channels; o++)
                gradients[o] = in_register<T>(load(gradient + o * upstream_channel_size));
#pragma GCC unroll 4
            for (int k = 0; k < kTapsInTile; k++) {
                Vector<T> input = in_register<T>(load(from + offsets[k]));
                // Upstream is zero behind the end of a row, but zero times a NaN of the image would be NaN.
                if (!WholeVectors && vector.lanes < kLanes<T>) input = keep_first<T>(input, vector.lanes);
#pragma GCC unroll 16
                for (int o = 0; o < Channels; o++) sums[o * kTapsInTile + k] += gradients[o] * input;
            }
        }
    }
    add_lanes<T>(sums, totals);
}

// Adds `images` framed images' part to the weight gradient of one group: (group_out, taps).
template <class T>
void correlate_group(const Conv2dGeometry& g, const std::vector<PixelVector>& pixels,
                     const std::vector<int64_t>& offsets, int64_t images, const T* framed, int64_t framed_size,
                     const T* upstream, int64_t upstream_size, int64_t upstream_channel_size, T* weight_grad) {
    const bool whole_vectors = g.output.w % kLanes<T> == 0;
    for (int64_t first_channel = 0; first_channel < g.group_out(); first_channel += kChannelsInTile) {
        const int64_t channels = std::min<int64_t>(kChannelsInTile, g.group_out() - first_channel);
        dispatch_tile_rows<kChannelsInTile>(channels, [&](auto channels_constant) {
            constexpr int kChannels = channels_constant();
            const auto correlate =
                whole_vectors ? correlate_tile<T, kChannels, true> : correlate_tile<T, kChannels, false>;
            for (int64_t first_tap = 0; first_tap < g.taps(); first_tap += kTapsInTile) {
                int64_t tile_offsets[kTapsInTile];  // beyond the last kernel element the last one is computed again,
                                                    // and dropped
                for (int k = 0; k < kTapsInTile; k++) tile_offsets[k] = offsets[std::min(first_tap + k, g.taps() - 1)];
                T totals[kChannels * kTapsInTile];
                correlate(pixels, tile_offsets, images, framed, framed_size,
                          upstream + first_channel * upstream_channel_size, upstream_size, upstream_channel_size,
                          totals);
                for (int64_t o = 0; o < kChannels; o++) {
                    for (int64_t k = 0; k < std::min<int64_t>(kTapsInTile, g.taps() - first_tap); k++) {
                        weight_grad[(first_channel + o) * g.taps() + first_tap + k] += totals[o * kTapsInTile + k];
                    }
                }
            }
        });
    }
}

template <class T>
void weight_grad_of(const Conv2dGeometry& g, const T* upstream, const T* input, NDArray& weight_grad) {
    const DType dtype = dtype_of<T>();
    const Frame<T> frame(g.input, g.output, g.window);
    const std::vector<int64_t> offsets = tap_offsets(g, frame);
    const int64_t framed_size = g.group_in() * frame.channel_size();

    // Where upstream's rows are not whole vectors, they too are framed: the zeros behind the last pixel add nothing.
    const bool frames_upstream = g.output.w % kLanes<T> != 0;
    const Frame<T> upstream_frame(g.output, g.output, Window{{1, 1}});
    const int64_t upstream_size = g.group_out() * upstream_frame.channel_size();
    std::vector<PixelVector> pixels = cut_into_vectors<T>(g, frame.row_stride);
    for (PixelVector& vector : pixels)
        vector.output = vector.output / g.output.w * upstream_frame.row_stride + vector.output % g.output.w;

    const BatchSlots slots(g.batch);
    const int64_t channels_in_tile = std::min<int64_t>(kChannelsInTile, g.group_out());
    const int64_t image_bytes =
        (framed_size + channels_in_tile * upstream_frame.channel_size()) * static_cast<int64_t>(sizeof(T));
    const int64_t together =
        std::clamp<int64_t>(kBytesTogether / image_bytes, 1, divide_up(g.batch, std::max<int64_t>(slots.count, 1)));
    const int64_t work_in_slot =
        divide_up(g.batch, std::max<int64_t>(slots.count, 1)) * g.out_channels * g.taps() * g.output_pixels();
    const int64_t workers = worker_count(slots.count, divide_up(kMultiplyAddsPerThread, work_in_slot + 1));
    NDArray framed = zeros<T>(workers, together * framed_size, dtype);
    NDArray framed_upstream = zeros<T>(workers, frames_upstream ? together * upstream_size : 0, dtype);
    NDArray slot_sums = zeros<T>(slots.count, weight_grad.size(), dtype);

    parallel_for_workers(slots.count, workers, [&](int64_t worker, int64_t begin, int64_t end) {
        T* my_framed = framed.data<T>() + worker * together * framed_size;
        T* my_upstream = frames_upstream ? framed_upstream.data<T>() + worker * together * upstream_size : nullptr;
        for (int64_t slot = begin; slot < end; slot++) {
            for (int64_t first = slots.begin(slot); first < slots.begin(slot + 1); first += together) {
                const int64_t images = std::min(together, slots.begin(slot + 1) - first);
                for (int64_t group = 0; group < g.groups; group++) {
                    const T* group_input = input + (first * g.groups + group) * g.group_in() * g.input_pixels();
                    const T* group_upstream = upstream + (first * g.groups + group) * g.group_out() * g.output_pixels();
                    for (int64_t i = 0; i < images; i++) {
                        frame.fill(group_input + i * g.in_channels * g.input_pixels(), g.group_in(),
                                   my_framed + i * framed_size);
                        if (!frames_upstream) continue;
                        upstream_frame.fill(group_upstream + i * g.out_channels * g.output_pixels(), g.group_out(),
                                            my_upstream + i * upstream_size);
                    }
                    correlate_group(g, pixels, offsets, images, my_framed, framed_size,
                                    frames_upstream ? my_upstream : group_upstream,
                                    frames_upstream ? upstream_size : g.out_channels * g.output_pixels(),
                                    upstream_frame.channel_size(),
                                    slot_sums.data<T>() + slot * weight_grad.size() + group * g.group_out() * g.taps());
                }
            }
        }
    });
    slots.add_up(slot_sums.data<T>(), weight_grad.size(), weight_grad.data<T>());
}

}  // namespace

void conv2d_direct(const Conv2dGeometry& g, const NDArray& input, const NDArray& weight, const NDArray* bias,
                   NDArray& output) {
    if (!serves(g, output.dtype())) return conv2d_im2col_gemm(g, input, weight, bias, output);
    dispatch_floating(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        convolve(g, input.data<T>(), weight.data<T>(), bias == nullptr ? nullptr : bias->data<T>(), output.data<T>());
    });
}

void conv2d_direct_input_grad(const Conv2dGeometry& g, const NDArray& upstream, const NDArray& weight,
                              NDArray& input_grad) {
    const Conv2dGeometry mirror = mirrored(g);
    const bool is_cropped =
        mirror.window.padding.h < 0 || mirror.window.padding.w < 0;  // some upstream pixels saw padding alone
    if (is_cropped || !serves(mirror, input_grad.dtype()))
        return conv2d_im2col_gemm_input_grad(g, upstream, weight, input_grad);
    dispatch_floating(input_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const NDArray turned_weight = turned<T>(g, weight);
        convolve<T>(mirror, upstream.data<T>(), turned_weight.data<T>(), nullptr, input_grad.data<T>());
    });
}

void conv2d_direct_weight_grad(const Conv2dGeometry& g, const NDArray& upstream, const NDArray& input,
                               NDArray& weight_grad) {
    if (!serves(g, weight_grad.dtype())) return conv2d_im2col_gemm_weight_grad(g, upstream, input, weight_grad);
    dispatch_floating(weight_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        weight_grad_of(g, upstream.data<T>(), input.data<T>(), weight_grad);
    });
}

}  // namespace mt::cpu
