// im2col and col2im: convolution's windows as the columns of a matrix, and back. torch calls them unfold and fold.
#pragma once

#include "geometry.h"
#include "ladder.h"

namespace mt {

// (N, C, H, W) -> (N, C * kh * kw, L): column l of image n is window l, row (c, r, s) its element in channel c, row r,
// column s.
NDArray im2col(const NDArray& input, Pair kernel_size, Pair dilation, Pair padding, Pair stride);

// (N, C * kh * kw, L) -> (N, C, H, W): each pixel is the sum of what the windows hold at its place. im2col's
// derivative, not its inverse.
NDArray col2im(const NDArray& columns, Pair output_size, Pair kernel_size, Pair dilation, Pair padding, Pair stride);

// What a kernel of this op computes: image (N, C, H, W) <-> columns (N, C * kh * kw, windows.h * windows.w).
struct Im2colKernels {
    void (*im2col)(const NDArray& image, const Window& window, Pair windows, NDArray& columns);
    void (*col2im)(const NDArray& columns, const Window& window, Pair windows, NDArray& image);
};

constexpr Op<Im2colKernels> kIm2colOp{"im2col"};

namespace cpu {
extern const Ladder<Im2colKernels> im2col_ladder;
}  // namespace cpu

}  // namespace mt
