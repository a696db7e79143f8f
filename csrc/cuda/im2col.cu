// im2col and col2im on the GPU. The rungs:
//
//   naive       one thread an element, window after window: neighbouring threads write far apart
//   coalesced   one thread an element, in the order of memory: a warp's 32 threads write 32 neighbours
//   atomic      (col2im) every element of the columns adds itself to its pixel
//   gather      (col2im) every pixel collects its sum: no two threads write one place, so the bits are always the same
//
// image (N, C, H, W); columns (N, C * kh * kw, L), L = windows.h * windows.w: column l of an image is its window l,
// row (c, r, s) the window's element in channel c, row r, column s.
#include "../ops/im2col.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

// ---------------------------------------------------------------------------------------------------------- places

// What the kernels need to know of the sizes. Passed by value: it travels in the kernel's parameters.
struct Sizes {
    int64_t images, channels;
    Pair image;  // H, W
    Window window;
    Pair windows;

    __host__ __device__ int64_t rows() const { return channels * window.kernel.h * window.kernel.w; }
    __host__ __device__ int64_t window_count() const { return windows.h * windows.w; }
    __host__ __device__ int64_t columns_size() const { return images * rows() * window_count(); }
    __host__ __device__ int64_t image_size() const { return images * channels * image.h * image.w; }
};

// Where element `row` of window `l` of image n stands in the image: -1 in the padding.
__device__ int64_t place_in_image(const Sizes& sizes, int64_t n, int64_t row, int64_t l) {
    const Window& window = sizes.window;
    const int64_t s = row % window.kernel.w;
    const int64_t r = row / window.kernel.w % window.kernel.h;
    const int64_t c = row / (window.kernel.w * window.kernel.h);
    const int64_t h = l / sizes.windows.w * window.stride.h - window.padding.h + r * window.dilation.h;
    const int64_t w = l % sizes.windows.w * window.stride.w - window.padding.w + s * window.dilation.w;
    if (h < 0 || h >= sizes.image.h || w < 0 || w >= sizes.image.w) return -1;
    return ((n * sizes.channels + c) * sizes.image.h + h) * sizes.image.w + w;
}

// ---------------------------------------------------------------------------------------------------------- im2col

// Thread i takes window i / rows and there element i % rows: the order in which one reads "for every window, for every
// element of it". The threads of a warp then write L elements apart, each into a sector (32 bytes) of its own.
template <class T>
__global__ void im2col_naive(const T* image, T* columns, Sizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.columns_size()) return;
    const int64_t row = i % sizes.rows();
    const int64_t l = i / sizes.rows() % sizes.window_count();
    const int64_t n = i / (sizes.rows() * sizes.window_count());

    const int64_t place = place_in_image(sizes, n, row, l);
    columns[(n * sizes.rows() + row) * sizes.window_count() + l] = place >= 0 ? image[place] : T{0};
}

// Thread i writes element i of the columns: the threads of a warp take neighbouring windows of one row, so that they
// write neighbours (float: 4 full sectors a warp), and with stride 1 read neighbours as well.
template <class T>
__global__ void im2col_coalesced(const T* image, T* columns, Sizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.columns_size()) return;
    const int64_t l = i % sizes.window_count();
    const int64_t row = i / sizes.window_count() % sizes.rows();
    const int64_t n = i / (sizes.window_count() * sizes.rows());

    const int64_t place = place_in_image(sizes, n, row, l);
    columns[i] = place >= 0 ? image[place] : T{0};
}

// ---------------------------------------------------------------------------------------------------------- col2im

template <class T>
__global__ void set_to_zero(T* image, int64_t count) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < count) image[i] = T{0};
}

// Thread i adds element i of the columns to its pixel; image holds zeros. Several threads meet at a pixel: without the
// atomic, sums would be lost. In which order they arrive is open, and rounding depends on the order.
template <class T>
__global__ void col2im_atomic(const T* columns, T* image, Sizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.columns_size()) return;
    const int64_t l = i % sizes.window_count();
    const int64_t row = i / sizes.window_count() % sizes.rows();
    const int64_t n = i / (sizes.window_count() * sizes.rows());

    const int64_t place = place_in_image(sizes, n, row, l);
    if (place >= 0) atomicAdd(&image[place], columns[i]);
}

// Thread i sums pixel i: for every element (r, s) of the kernel, the one window, if any, that has it at this pixel.
template <class T>
__global__ void col2im_gather(const T* columns, T* image, Sizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.image_size()) return;
    const Window& window = sizes.window;
    const int64_t w = i % sizes.image.w;
    const int64_t h = i / sizes.image.w % sizes.image.h;
    const int64_t n_c = i / (sizes.image.w * sizes.image.h);  // image and channel together

    T sum = 0;
    for (int64_t r = 0; r < window.kernel.h; r++) {
        for (int64_t s = 0; s < window.kernel.w; s++) {
            const int64_t y_strided = h + window.padding.h - r * window.dilation.h;
            const int64_t x_strided = w + window.padding.w - s * window.dilation.w;
            if (y_strided < 0 || y_strided % window.stride.h != 0) continue;
            if (x_strided < 0 || x_strided % window.stride.w != 0) continue;
            const int64_t y = y_strided / window.stride.h, x = x_strided / window.stride.w;
            if (y >= sizes.windows.h || x >= sizes.windows.w) continue;
            const int64_t row = (n_c * window.kernel.h + r) * window.kernel.w + s;
            sum += columns[row * sizes.window_count() + y * sizes.windows.w + x];
        }
    }
    image[i] = sum;
}

// ---------------------------------------------------------------------------------------------------------- launchers

Sizes sizes_of(const NDArray& image, const Window& window, Pair windows) {
    return {image.shape(0), image.shape(1), {image.shape(2), image.shape(3)}, window, windows};
}

void launch_im2col_naive(const NDArray& image, const Window& window, Pair windows, NDArray& columns) {
    dispatch_floating_device(image.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(im2col_naive<T>, blocks_for(columns.size(), kThreads), kThreads, 0, image.data<T>(), columns.data<T>(),
               sizes_of(image, window, windows));
    });
}

void launch_im2col_coalesced(const NDArray& image, const Window& window, Pair windows, NDArray& columns) {
    dispatch_floating_device(image.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(im2col_coalesced<T>, blocks_for(columns.size(), kThreads), kThreads, 0, image.data<T>(),
               columns.data<T>(), sizes_of(image, window, windows));
    });
}

void launch_col2im_atomic(const NDArray& columns, const Window& window, Pair windows, NDArray& image) {
    dispatch_floating_device(image.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(set_to_zero<T>, blocks_for(image.size(), kThreads), kThreads, 0, image.data<T>(), image.size());
        launch(col2im_atomic<T>, blocks_for(columns.size(), kThreads), kThreads, 0, columns.data<T>(), image.data<T>(),
               sizes_of(image, window, windows));
    });
}

void launch_col2im_gather(const NDArray& columns, const Window& window, Pair windows, NDArray& image) {
    dispatch_floating_device(image.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(col2im_gather<T>, blocks_for(image.size(), kThreads), kThreads, 0, columns.data<T>(), image.data<T>(),
               sizes_of(image, window, windows));
    });
}

constexpr Im2colKernels kCoalesced{launch_im2col_coalesced, launch_col2im_gather};
constexpr Im2colKernels kNaive{launch_im2col_naive, launch_col2im_gather};
constexpr Im2colKernels kAtomic{launch_im2col_coalesced, launch_col2im_atomic};

constexpr Rung<Im2colKernels> kRungs[] = {
    {"coalesced",
     "Neighbouring threads take neighbouring windows, so a warp writes whole sectors; col2im: every pixel gathers its "
     "sum.",
     75, &kCoalesced},
    {"naive",
     "One thread an element, window after window: a warp's writes are far apart; col2im: every pixel gathers its sum.",
     75, &kNaive},
    {"atomic",
     "im2col as coalesced; col2im: every element of the columns adds itself to its pixel, in an order, and so with "
     "bits, that vary from run to run.",
     75, &kAtomic},
};

}  // namespace

const DeviceLadder im2col_ladder(kIm2colOp, kRungs);

}  // namespace mt
