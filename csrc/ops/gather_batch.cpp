#include "gather_batch.h"

#include <limits>

#include "../ndarray/value_range.h"
#include "kernel_table.h"
#include "rows.h"

namespace mt {
namespace {

KernelTable gather_table(kGatherBatchOp, cpu::gather_batch_ladder);

void check_std(const char* op, const NDArray& std) {
    if (known_to_lie_in(std, std::numeric_limits<float>::denorm_min(), std::numeric_limits<double>::infinity())) return;
    const NDArray on_cpu = std.to(Device::cpu);
    for (int64_t c = 0; c < std.size(); c++) {
        const float value = on_cpu.data<float>()[c];
        require<ValueError>(value > 0, op, ": std[", c, "] is ", value, "; wanted a number above 0");
    }
}

void check_crop(const char* op, const NDArray& crop, int64_t batch, int64_t padding) {
    require_dtype(op, "crop", crop, DType::int64);
    require_shape(op, "crop", crop, {batch, 2});
    if (known_to_lie_in(crop, 0, static_cast<double>(2 * padding + 1))) return;
    const NDArray on_cpu = crop.to(Device::cpu);
    const int64_t* corner = on_cpu.data<int64_t>();
    for (int64_t i = 0; i < crop.size(); i++) {
        require<ValueError>(corner[i] >= 0 && corner[i] <= 2 * padding, op, ": crop[", i / 2, ", ", i % 2, "] is ",
                            corner[i], "; with padding ", padding, " it must be 0 to ", 2 * padding);
    }
}

}  // namespace

NDArray gather_batch(const NDArray& images, const NDArray& index, const NDArray& mean, const NDArray& std,
                     const std::optional<NDArray>& flip, const std::optional<NDArray>& crop, int64_t padding) {
    const char* op = "gather_batch";
    require_dtype(op, "images", images, DType::uint8);
    require_ndim(op, "images", images, 4, "(N, C, H, W)");
    require_same_device(op, "images", images, "index", index);
    require_same_device(op, "images", images, "mean", mean);
    require_same_device(op, "images", images, "std", std);
    if (flip) require_same_device(op, "images", images, "flip", *flip);
    if (crop) require_same_device(op, "images", images, "crop", *crop);
    require_rows(op, index, images.shape(0));
    const int64_t batch = index.size(), channels = images.shape(1);
    require_dtype(op, "mean", mean, DType::float32);
    require_shape(op, "mean", mean, {channels});
    require_dtype(op, "std", std, DType::float32);
    require_shape(op, "std", std, {channels});
    check_std(op, std);
    require<ValueError>(padding >= 0 && padding <= (int64_t{1} << 30), op, ": padding is ", padding,
                        "; wanted 0 to 2^30");
    require<ValueError>(crop.has_value() || padding == 0, op, ": padding is ", padding,
                        " but crop, which chooses a window in the padded image, is None");
    if (crop) check_crop(op, *crop, batch, padding);
    if (flip) {
        require_dtype(op, "flip", *flip, DType::uint8);
        require_shape(op, "flip", *flip, {batch});
    }
    NDArray out = NDArray::empty({batch, channels, images.shape(2), images.shape(3)}, DType::float32, images.device());
    if (out.size() > 0) {
        gather_table.pick(images.device())(images, index, mean, std, flip ? flip->data<uint8_t>() : nullptr,
                                           crop ? crop->data<int64_t>() : nullptr, padding, out);
    }
    return out;
}

}  // namespace mt
