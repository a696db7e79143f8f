#include "im2col.h"

#include "kernel_table.h"

namespace mt {
namespace {

KernelTable table(kIm2colOp, cpu::im2col_ladder);

void require_not_empty(const char* op, const char* argument, Pair size) {
    require<ValueError>(size.h >= 1 && size.w >= 1, op, ": ", argument, " is (", size.h, ", ", size.w,
                        "); both must be at least 1");
}

}  // namespace

NDArray im2col(const NDArray& input, Pair kernel_size, Pair dilation, Pair padding, Pair stride) {
    require_floating("im2col", "input", input);
    require_ndim("im2col", "input", input, 4, "(N, C, H, W)");
    const Window window{kernel_size, stride, padding, dilation};
    check_window("im2col", window);
    const Pair size{input.shape(2), input.shape(3)};
    require_not_empty("im2col", "the input's (H, W)", size);
    const Pair windows = window_counts("im2col", size, window);

    const int64_t rows = checked_size({input.shape(1), kernel_size.h, kernel_size.w}, 1);
    NDArray columns =
        NDArray::empty({input.shape(0), rows, checked_size({windows.h, windows.w}, 1)}, input.dtype(), input.device());
    table.pick(input.device()).im2col(input, window, windows, columns);
    return columns;
}

NDArray col2im(const NDArray& columns, Pair output_size, Pair kernel_size, Pair dilation, Pair padding, Pair stride) {
    require_floating("col2im", "columns", columns);
    require_ndim("col2im", "columns", columns, 3, "(N, C * kernel height * kernel width, number of windows)");
    const Window window{kernel_size, stride, padding, dilation};
    check_window("col2im", window);
    require_not_empty("col2im", "output_size", output_size);
    const Pair windows = window_counts("col2im", output_size, window);
    const int64_t kernel_elements = checked_size({kernel_size.h, kernel_size.w}, 1);
    require<ValueError>(columns.shape(1) % kernel_elements == 0, "col2im: columns has shape ",
                        to_string(columns.shape()), ", that is ", columns.shape(1),
                        " rows; wanted a multiple of the kernel's ", kernel_elements, " elements");
    require<ValueError>(columns.shape(2) == checked_size({windows.h, windows.w}, 1), "col2im: columns has shape ",
                        to_string(columns.shape()), ", that is ", columns.shape(2), " windows; an image of ",
                        output_size.h, " x ", output_size.w, " has ", windows.h, " x ", windows.w,
                        " with this kernel_size, dilation, padding and stride");

    NDArray image = NDArray::empty({columns.shape(0), columns.shape(1) / kernel_elements, output_size.h, output_size.w},
                                   columns.dtype(), columns.device());
    table.pick(columns.device()).col2im(columns, window, windows, image);
    return image;
}

}  // namespace mt
