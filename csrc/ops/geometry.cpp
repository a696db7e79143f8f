#include "geometry.h"

namespace mt {
namespace {

void require_at_least(const char* op, const char* name, Pair pair, int64_t minimum) {
    require<ValueError>(pair.h >= minimum && pair.w >= minimum, op, ": ", name, " is (", pair.h, ", ", pair.w,
                        "); both must be at least ", minimum);
}

}  // namespace

void check_window(const char* op, const Window& window) {
    require_at_least(op, "kernel_size", window.kernel, 1);
    require_at_least(op, "stride", window.stride, 1);
    require_at_least(op, "dilation", window.dilation, 1);
    require_at_least(op, "padding", window.padding, 0);
}

int64_t window_count(const char* op, const char* side, int64_t input, int64_t kernel, int64_t stride, int64_t padding,
                     int64_t dilation, bool ceil_mode) {
    // Far beyond any image, and small enough that the sums below cannot overflow.
    constexpr int64_t kLargest = int64_t{1} << 30;
    require<ValueError>(kernel <= kLargest && stride <= kLargest && padding <= kLargest && dilation <= kLargest &&
                            input <= kLargest * 4,
                        op, ": the ", side, "'s kernel_size ", kernel, ", stride ", stride, ", padding ", padding,
                        " or dilation ", dilation, " is larger than 2^30");
    const int64_t padded = input + 2 * padding;
    const int64_t extent = dilation * (kernel - 1) + 1;
    // Rounded up, a window may reach up to stride - 1 elements beyond the padding.
    const int64_t beyond = ceil_mode ? stride - 1 : 0;
    require<ValueError>(extent <= padded + beyond, op, ": the kernel covers ", extent, " elements of the ", side,
                        " (kernel ", kernel, ", dilation ", dilation, "), but the padded input has only ", padded, " (",
                        input, " and padding ", padding, " on each side); use a smaller kernel or more padding");
    int64_t count = (padded - extent + beyond) / stride + 1;
    if (ceil_mode && (count - 1) * stride >= input + padding) count--;
    return count;
}

Pair window_counts(const char* op, Pair input, const Window& window, bool ceil_mode) {
    return {window_count(op, "height", input.h, window.kernel.h, window.stride.h, window.padding.h, window.dilation.h,
                         ceil_mode),
            window_count(op, "width", input.w, window.kernel.w, window.stride.w, window.padding.w, window.dilation.w,
                         ceil_mode)};
}

}  // namespace mt
