// The geometry of sliding windows, shared by convolution, im2col and pooling.
#pragma once

#include "../ndarray/ndarray.h"

namespace mt {

// A spatial parameter: one number for the height, one for the width.
struct Pair {
    int64_t h = 0;
    int64_t w = 0;
};

inline bool operator==(const Pair& a, const Pair& b) { return a.h == b.h && a.w == b.w; }

// Windows of `kernel` elements, `dilation` apart, that start every `stride` elements of an input with `padding` on each
// side.
struct Window {
    Pair kernel;
    Pair stride{1, 1};
    Pair padding{0, 0};
    Pair dilation{1, 1};
};

// Throws ValueError unless kernel, stride and dilation are positive and padding is not negative.
void check_window(const char* op, const Window& window);

// How many windows fit: (input + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1, rounded down; with ceil_mode
// rounded up, where the last window must still start inside the input or its left padding (torch's rule for pooling).
// Throws ValueError when no window fits.
int64_t window_count(const char* op, const char* side, int64_t input, int64_t kernel, int64_t stride, int64_t padding,
                     int64_t dilation, bool ceil_mode = false);
Pair window_counts(const char* op, Pair input, const Window& window, bool ceil_mode = false);

}  // namespace mt
