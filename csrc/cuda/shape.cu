// Ops that move elements and compute nothing. The rungs of permute:
//
//   naive   thread i writes element i of the output; where the dimensions change places, a warp reads 32 elements from
//           32 places far apart
//   tiled   a block takes a tile of 32 x 32 elements into shared memory, in the order of the input, and writes it in
//           the order of the output: both sides go along neighbours
//
// and of cat, narrow and narrow_backward, which move contiguous slabs:
//
//   bytes   one thread a byte
//   words   one thread eight or four bytes, where all sizes and places are multiples of that
#include "../ops/shape.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

// ---------------------------------------------------------------------------------------------------------- permute

constexpr int kMostDimensions = 16;

// The output's dimensions in its order, each with its stride in the input and in the output.
struct Walk {
    int ndim = 0;
    int64_t shape[kMostDimensions], from[kMostDimensions], to[kMostDimensions];

    // Places in input and output of element number `index` of the walk.
    __device__ void offsets(int64_t index, int64_t& at_from, int64_t& at_to) const {
        at_from = at_to = 0;
        for (int dim = ndim - 1; dim >= 0; dim--) {
            const int64_t position = index % shape[dim];
            index /= shape[dim];
            at_from += position * from[dim];
            at_to += position * to[dim];
        }
    }
};

void add_dimension(Walk& walk, int64_t size, int64_t from, int64_t to) {
    require<NotSupported>(walk.ndim < kMostDimensions, "permute: more than ", kMostDimensions,
                          " dimensions change places; permute in two steps");
    walk.shape[walk.ndim] = size;
    walk.from[walk.ndim] = from;
    walk.to[walk.ndim] = to;
    walk.ndim++;
}

// All dimensions but `left_out`.
Walk walk_of(const Shape& shape, const Shape& strides, const std::vector<size_t>& left_out) {
    std::vector<int64_t> to(shape.size(), 1);
    for (size_t dim = shape.size(); dim-- > 1;) to[dim - 1] = to[dim] * shape[dim];
    Walk walk;
    for (size_t dim = 0; dim < shape.size(); dim++) {
        bool is_left_out = false;
        for (size_t other : left_out) is_left_out = is_left_out || other == dim;
        if (!is_left_out) add_dimension(walk, shape[dim], strides[dim], to[dim]);
    }
    return walk;
}

template <class T>
__global__ void permute_naive(const T* x, T* output, Walk walk, int64_t count) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int64_t from, to;
    walk.offsets(i, from, to);
    output[to] = x[from];
}

constexpr int kTile = 32;
constexpr int kTileRows = 8;  // a block has 32 x 8 threads; each takes four elements of the tile

// Two dimensions of the output that change places: `row`, along which the input goes on by one, and `column`, along
// which the output does. A block takes one tile of one place of the others.
struct Turn {
    int64_t rows, columns;              // sizes of the two
    int64_t column_stride, row_stride;  // of a column step in the input, of a row step in the output
    int64_t tiles_down, tiles_across;
};

template <class T>
__global__ void permute_tiled(const T* x, T* output, Walk others, Turn turn) {
    // One element more a row: else the 32 elements of a column would lie in one bank of the shared memory, to be read
    // one after the other.
    __shared__ T tile[kTile][kTile + 1];
    const int64_t first_column = blockIdx.x % turn.tiles_across * kTile;
    const int64_t first_row = blockIdx.x / turn.tiles_across % turn.tiles_down * kTile;
    int64_t from, to;
    others.offsets(blockIdx.x / turn.tiles_across / turn.tiles_down, from, to);

    for (int step = threadIdx.y; step < kTile; step += kTileRows) {
        const int64_t row = first_row + threadIdx.x, column = first_column + step;
        if (row < turn.rows && column < turn.columns)
            tile[step][threadIdx.x] = x[from + row + column * turn.column_stride];
    }
    __syncthreads();
    for (int step = threadIdx.y; step < kTile; step += kTileRows) {
        const int64_t row = first_row + step, column = first_column + threadIdx.x;
        if (row < turn.rows && column < turn.columns)
            output[to + row * turn.row_stride + column] = tile[threadIdx.x][step];
    }
}

// Calls body(T{}) with an integer as large as the dtype's elements: bits are moved, whatever they mean.
template <class Body>
void dispatch_size(DType dtype, Body&& body) {
    dispatch_all_device(dtype, [&](auto zero) {
        if constexpr (sizeof(zero) == 1) body(uint8_t{});
        if constexpr (sizeof(zero) == 4) body(uint32_t{});
        if constexpr (sizeof(zero) == 8) body(uint64_t{});
    });
}

template <class T>
const T* bits_of(const NDArray& array) {
    return static_cast<const T*>(array.raw());
}

void launch_permute_naive(const NDArray& x, const Shape& shape, const Shape& strides, NDArray& output) {
    dispatch_size(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        T* target = static_cast<T*>(output.raw());
        const T* source = bits_of<T>(x);
        launch(permute_naive<T>, blocks_for(output.size(), kThreads), kThreads, 0, source, target,
               walk_of(shape, strides, {}), output.size());
    });
}

void launch_permute_tiled(const NDArray& x, const Shape& shape, const Shape& strides, NDArray& output) {
    // The input's last dimension is the output's as well: reads and writes go along neighbours as it is.
    if (strides.back() == 1) return launch_permute_naive(x, shape, strides, output);
    const size_t last = shape.size() - 1;
    size_t along = 0;
    while (strides[along] != 1) along++;
    int64_t row_stride = 1;
    for (size_t dim = along + 1; dim < shape.size(); dim++) row_stride *= shape[dim];
    const Turn turn{shape[along],
                    shape[last],
                    strides[last],
                    row_stride,
                    (shape[along] + kTile - 1) / kTile,
                    (shape[last] + kTile - 1) / kTile};
    const int64_t places = output.size() / (turn.rows * turn.columns);
    dispatch_size(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        T* target = static_cast<T*>(output.raw());
        const T* source = bits_of<T>(x);
        launch(permute_tiled<T>, grid_of(places * turn.tiles_down * turn.tiles_across), dim3(kTile, kTileRows), 0,
               source, target, walk_of(shape, strides, {along, last}), turn);
    });
}

// ---------------------------------------------------------------------------------------------------------- slabs

// Slab number s, `length` words, from start + s * stride of x to out_start + s * out_stride of the output.
template <class Word>
__global__ void copy_slabs(const Word* x, Word* output, Slabs slabs, int64_t out_start, int64_t out_stride) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= slabs.outer * slabs.length) return;
    const int64_t slab = i / slabs.length, word = i % slabs.length;
    output[out_start + slab * out_stride + word] = x[slabs.start + slab * slabs.stride + word];
}

// The same, and zeros around them: one thread a word of the output.
template <class Word>
__global__ void pad_slabs(const Word* x, Word* output, Slabs slabs, int64_t out_start, int64_t out_stride) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= slabs.outer * out_stride) return;
    const int64_t slab = i / out_stride, word = i % out_stride - out_start;
    output[i] = word >= 0 && word < slabs.length ? x[slabs.start + slab * slabs.stride + word] : Word{0};
}

// Lengths and places in words of T instead of bytes.
template <class T>
Slabs in_words(const Slabs& slabs) {
    constexpr int64_t kBytes = sizeof(T);
    return {slabs.outer, slabs.length / kBytes, slabs.start / kBytes, slabs.stride / kBytes};
}

template <class Word>
void launch_copy(const NDArray& x, const Slabs& slabs, NDArray& output, int64_t out_start, int64_t out_stride) {
    constexpr int64_t kBytes = sizeof(Word);
    Word* target = static_cast<Word*>(output.raw());
    const Word* source = bits_of<Word>(x);
    if (slabs.length == 0) return;
    launch(copy_slabs<Word>, blocks_for(slabs.outer * slabs.length / kBytes, kThreads), kThreads, 0, source, target,
           in_words<Word>(slabs), out_start / kBytes, out_stride / kBytes);
}

template <class Word>
void launch_pad(const NDArray& x, const Slabs& slabs, NDArray& output, int64_t out_start, int64_t out_stride) {
    constexpr int64_t kBytes = sizeof(Word);
    Word* target = static_cast<Word*>(output.raw());
    const Word* source = bits_of<Word>(x);
    if (out_stride == 0) return;
    launch(pad_slabs<Word>, blocks_for(slabs.outer * out_stride / kBytes, kThreads), kThreads, 0, source, target,
           in_words<Word>(slabs), out_start / kBytes, out_stride / kBytes);
}

// Calls body(Word{}) with the longest word, of 8, 4 or 1 bytes, that divides everything.
template <class Body>
void dispatch_words(const NDArray& x, const Slabs& slabs, const NDArray& output, int64_t out_start, int64_t out_stride,
                    const Body& body) {
    const int64_t bits = slabs.length | slabs.start | slabs.stride | out_start | out_stride;
    if (bits % 8 == 0 && is_aligned(x, 8) && is_aligned(output, 8))
        body(uint64_t{});
    else if (bits % 4 == 0 && is_aligned(x, 4) && is_aligned(output, 4))
        body(uint32_t{});
    else
        body(uint8_t{});
}

void launch_copy_words(const NDArray& x, const Slabs& slabs, NDArray& output, int64_t out_start, int64_t out_stride) {
    dispatch_words(x, slabs, output, out_start, out_stride,
                   [&](auto zero) { launch_copy<decltype(zero)>(x, slabs, output, out_start, out_stride); });
}

void launch_pad_words(const NDArray& x, const Slabs& slabs, NDArray& output, int64_t out_start, int64_t out_stride) {
    dispatch_words(x, slabs, output, out_start, out_stride,
                   [&](auto zero) { launch_pad<decltype(zero)>(x, slabs, output, out_start, out_stride); });
}

constexpr Rung<PermuteKernel> kPermuteRungs[] = {
    {"tiled", "Tiles of 32 x 32 turn around in shared memory: reads and writes both go along neighbours.", 75,
     launch_permute_tiled},
    {"naive", "One thread an element of the output; its reads are far apart.", 75, launch_permute_naive},
};
template <SlabsKernel* words, SlabsKernel* bytes>
constexpr Rung<SlabsKernel> slabs[] = {
    {"words", "One thread eight or four bytes, where sizes and places are multiples of that.", 75, words},
    {"bytes", "One thread a byte.", 75, bytes},
};

}  // namespace

const DeviceLadder permute_ladder(kPermuteOp, kPermuteRungs);
const DeviceLadder cat_ladder(kCatOp, slabs<launch_copy_words, launch_copy<uint8_t>>);
const DeviceLadder narrow_ladder(kNarrowOp, slabs<launch_copy_words, launch_copy<uint8_t>>);
const DeviceLadder narrow_backward_ladder(kNarrowBackwardOp, slabs<launch_pad_words, launch_pad<uint8_t>>);

}  // namespace mt
