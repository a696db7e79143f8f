// What the convolution kernels use of im2col and col2im (im2col.cpp).
#pragma once

#include "../ops/geometry.h"

namespace mt::cpu {

// image (N, C, H, W) <-> columns (N, C * kh * kw, windows.h * windows.w), element by element.
void im2col_naive(const NDArray& image, const Window& window, Pair windows, NDArray& columns);
void col2im_naive(const NDArray& columns, const Window& window, Pair windows, NDArray& image);

// The same by rows, of `channels` channels of one image, on the calling thread.
template <class T>
void im2col_channels(const T* image, int64_t channels, Pair size, const Window& window, Pair windows, T* columns);
template <class T>
void col2im_channels(const T* columns, int64_t channels, Pair size, const Window& window, Pair windows, T* image);

}  // namespace mt::cpu
