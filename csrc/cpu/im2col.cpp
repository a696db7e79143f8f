// im2col and col2im. The kernels:
//
//   rows    a row of the image, seen through one element of the kernel, is again a row: whole rows are copied (im2col)
//           or added (col2im), and where the padding begins and ends is worked out once a row
//   naive   one flat index for each element that is written; division and remainder take it apart
#include "im2col.h"

#include <algorithm>
#include <cstring>

#include "../ops/im2col.h"
#include "parallel.h"
#include "simd.h"

namespace mt::cpu {
namespace {

constexpr int64_t kElementsPerThread = 20'000;

// Which windows, [begin, end), have kernel element `tap` inside the image: those with 0 <= window * stride + offset <
// size.
struct InsideImage {
    InsideImage(int64_t tap, int64_t size, int64_t windows, int64_t stride, int64_t padding, int64_t dilation)
        : offset(tap * dilation - padding) {
        begin = offset >= 0 ? 0 : std::min(windows, divide_up(-offset, stride));
        end = offset >= size ? begin : std::max(begin, std::min(windows, divide_up(size - offset, stride)));
    }

    int64_t offset;
    int64_t begin, end;
};

// One channel seen through kernel element (r, s): (H, W) -> (windows.h, windows.w).
template <class T>
void copy_tap(const T* channel, Pair size, const Window& window, Pair windows, int64_t r, int64_t s, T* column_row) {
    const InsideImage rows(r, size.h, windows.h, window.stride.h, window.padding.h, window.dilation.h);
    const InsideImage columns(s, size.w, windows.w, window.stride.w, window.padding.w, window.dilation.w);
    for (int64_t y = 0; y < windows.h; y++) {
        T* to = column_row + y * windows.w;
        if (y < rows.begin || y >= rows.end) {
            std::fill(to, to + windows.w, T{0});
            continue;
        }
        const T* from = channel + (y * window.stride.h + rows.offset) * size.w + columns.offset;
        std::fill(to, to + columns.begin, T{0});
        if (window.stride.w == 1) {
            std::copy(from + columns.begin, from + columns.end, to + columns.begin);
        } else {
            for (int64_t x = columns.begin; x < columns.end; x++) to[x] = from[x * window.stride.w];
        }
        std::fill(to + columns.end, to + windows.w, T{0});
    }
}

// The reverse: what the windows hold at kernel element (r, s) is added to the channel.
template <class T>
void add_tap(const T* column_row, Pair size, const Window& window, Pair windows, int64_t r, int64_t s, T* channel) {
    const InsideImage rows(r, size.h, windows.h, window.stride.h, window.padding.h, window.dilation.h);
    const InsideImage columns(s, size.w, windows.w, window.stride.w, window.padding.w, window.dilation.w);
    for (int64_t y = rows.begin; y < rows.end; y++) {
        const T* from = column_row + y * windows.w;
        T* to = channel + (y * window.stride.h + rows.offset) * size.w + columns.offset;
        if (window.stride.w == 1) {
#pragma omp simd
            for (int64_t x = columns.begin; x < columns.end; x++) to[x] += from[x];
        } else {
            for (int64_t x = columns.begin; x < columns.end; x++) to[x * window.stride.w] += from[x];
        }
    }
}

}  // namespace

template <class T>
void im2col_channels(const T* image, int64_t channels, Pair size, const Window& window, Pair windows, T* columns) {
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t r = 0; r < window.kernel.h; r++) {
            for (int64_t s = 0; s < window.kernel.w; s++) {
                copy_tap(image + c * size.h * size.w, size, window, windows, r, s, columns);
                columns += windows.h * windows.w;
            }
        }
    }
}

template <class T>
void col2im_channels(const T* columns, int64_t channels, Pair size, const Window& window, Pair windows, T* image) {
    std::fill(image, image + channels * size.h * size.w, T{0});
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t r = 0; r < window.kernel.h; r++) {
            for (int64_t s = 0; s < window.kernel.w; s++) {
                add_tap(columns, size, window, windows, r, s, image + c * size.h * size.w);
                columns += windows.h * windows.w;
            }
        }
    }
}

template void im2col_channels(const float*, int64_t, Pair, const Window&, Pair, float*);
template void im2col_channels(const double*, int64_t, Pair, const Window&, Pair, double*);
template void col2im_channels(const float*, int64_t, Pair, const Window&, Pair, float*);
template void col2im_channels(const double*, int64_t, Pair, const Window&, Pair, double*);

// The channels of all images are one long list, cut among the threads.
void im2col_rows(const NDArray& image, const Window& window, Pair windows, NDArray& columns) {
    const Pair size{image.shape(2), image.shape(3)};
    const int64_t channel_size = size.h * size.w;
    const int64_t columns_size = window.kernel.h * window.kernel.w * windows.h * windows.w;  // of one channel
    dispatch_floating(image.dtype(), [&](auto zero) {
        using T = decltype(zero);
        parallel_for(image.shape(0) * image.shape(1), kElementsPerThread / columns_size + 1,
                     [&](int64_t begin, int64_t end) {
                         im2col_channels(image.data<T>() + begin * channel_size, end - begin, size, window, windows,
                                         columns.data<T>() + begin * columns_size);
                     });
    });
}

void col2im_rows(const NDArray& columns, const Window& window, Pair windows, NDArray& image) {
    const Pair size{image.shape(2), image.shape(3)};
    const int64_t channel_size = size.h * size.w;
    const int64_t columns_size = window.kernel.h * window.kernel.w * windows.h * windows.w;
    dispatch_floating(image.dtype(), [&](auto zero) {
        using T = decltype(zero);
        parallel_for(image.shape(0) * image.shape(1), kElementsPerThread / columns_size + 1,
                     [&](int64_t begin, int64_t end) {
                         col2im_channels(columns.data<T>() + begin * columns_size, end - begin, size, window, windows,
                                         image.data<T>() + begin * channel_size);
                     });
    });
}

// columns[n][c][r][s][y][x] = image[n][c][y * stride - padding + r * dilation][x * stride - padding + s * dilation], or
// 0 outside the image.
void im2col_naive(const NDArray& image, const Window& window, Pair windows, NDArray& columns) {
    const int64_t channels = image.shape(1), height = image.shape(2), width = image.shape(3);
    const auto [kernel, stride, padding, dilation] = window;
    dispatch_floating(image.dtype(),
                      [&, kernel = kernel, stride = stride, padding = padding, dilation = dilation](auto zero) {
                          using T = decltype(zero);
                          const T* from = image.data<T>();
                          T* to = columns.data<T>();
                          parallel_for(columns.size(), kElementsPerThread, [=](int64_t begin, int64_t end) {
                              for (int64_t i = begin; i < end; i++) {
                                  const int64_t x = i % windows.w;
                                  const int64_t y = i / windows.w % windows.h;
                                  const int64_t s = i / (windows.w * windows.h) % kernel.w;
                                  const int64_t r = i / (windows.w * windows.h * kernel.w) % kernel.h;
                                  const int64_t c = i / (windows.w * windows.h * kernel.w * kernel.h) % channels;
                                  const int64_t n = i / (windows.w * windows.h * kernel.w * kernel.h * channels);

                                  const int64_t h = y * stride.h - padding.h + r * dilation.h;
                                  const int64_t w = x * stride.w - padding.w + s * dilation.w;
                                  const bool is_inside = h >= 0 && h < height && w >= 0 && w < width;
                                  to[i] = is_inside ? from[((n * channels + c) * height + h) * width + w] : T{0};
                              }
                          });
                      });
}

// image[n][c][h][w] = sum over all (r, s) of columns[n][c][r][s][y][x], where window (y, x) has its element (r, s) at
// (h, w), if there is one. Each pixel gathers its sum: were the elements of the columns to add themselves to their
// pixels, two threads could add to one pixel at once.
void col2im_naive(const NDArray& columns, const Window& window, Pair windows, NDArray& image) {
    const int64_t height = image.shape(2), width = image.shape(3);
    const auto [kernel, stride, padding, dilation] = window;
    dispatch_floating(image.dtype(), [&, kernel = kernel, stride = stride, padding = padding,
                                      dilation = dilation](auto zero) {
        using T = decltype(zero);
        const T* from = columns.data<T>();
        T* to = image.data<T>();
        parallel_for(image.size(), kElementsPerThread / (kernel.h * kernel.w) + 1, [=](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++) {
                const int64_t w = i % width;
                const int64_t h = i / width % height;
                const int64_t n_c = i / (width * height);  // image and channel together

                T sum = 0;
                for (int64_t r = 0; r < kernel.h; r++) {
                    for (int64_t s = 0; s < kernel.w; s++) {
                        const int64_t y_strided = h + padding.h - r * dilation.h;
                        const int64_t x_strided = w + padding.w - s * dilation.w;
                        if (y_strided < 0 || y_strided % stride.h != 0 || x_strided < 0 || x_strided % stride.w != 0)
                            continue;
                        const int64_t y = y_strided / stride.h, x = x_strided / stride.w;
                        if (y >= windows.h || x >= windows.w) continue;
                        sum += from[(((n_c * kernel.h + r) * kernel.w + s) * windows.h + y) * windows.w + x];
                    }
                }
                to[i] = sum;
            }
        });
    });
}

namespace {

constexpr Im2colKernels kRows{im2col_rows, col2im_rows};
constexpr Im2colKernels kNaive{im2col_naive, col2im_naive};

constexpr Rung<Im2colKernels> kRungs[] = {
    {"rows", "Copies (col2im: adds) whole rows of the image: the padding's borders are worked out once a row.", &kRows},
    {"naive", "One element at a time: divisions and remainders take its flat index apart.", &kNaive},
};

}  // namespace

constexpr Ladder<Im2colKernels> im2col_ladder(kRungs);

}  // namespace mt::cpu
