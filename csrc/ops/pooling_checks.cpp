#include "pooling_checks.h"

namespace mt {

void check_pooling(const char* op, const NDArray& input, const Window& window) {
    require_ndim(op, "input", input, 4, "(N, C, H, W)");
    check_window(op, window);
    require<ValueError>(window.padding.h <= window.kernel.h / 2 && window.padding.w <= window.kernel.w / 2, op,
                        ": padding is (", window.padding.h, ", ", window.padding.w, ") and kernel_size (",
                        window.kernel.h, ", ", window.kernel.w,
                        "); padding must be at most half of kernel_size, so that windows reach the input");
    require<ValueError>(input.shape(2) > 0 && input.shape(3) > 0, op, ": input has shape ", to_string(input.shape()),
                        "; only the batch and the channels may be empty, not the height or the width");
}

void check_pooling_upstream(const char* op, const NDArray& upstream, const Shape& input_shape) {
    require_floating(op, "upstream", upstream);
    require_ndim(op, "upstream", upstream, 4, "(N, C, OH, OW)");
    require<ValueError>(input_shape.size() == 4, op, ": input_shape is ", to_string(input_shape),
                        "; wanted (N, C, H, W)");
    require<ValueError>(upstream.shape(0) == input_shape[0] && upstream.shape(1) == input_shape[1], op,
                        ": upstream has shape ", to_string(upstream.shape()), " and input_shape is ",
                        to_string(input_shape), "; batch and channels, the first two, must be equal");
}

}  // namespace mt
