// Arguments that nll_loss and cross_entropy share, and their checks.
#pragma once

#include <optional>
#include <string>

#include "../ndarray/ndarray.h"
#include "ladder.h"

namespace mt {

// One loss for each item, their sum, or their sum divided by the sum of the items' class weights.
enum class Reduction : uint8_t { none, mean, sum };

struct LossOptions {
    Reduction reduction;
    int64_t ignore_index;          // items with this label do not count
    double label_smoothing = 0.0;  // this share of the target is spread over all classes
};

// "none", "mean" or "sum"; else throws ValueError.
Reduction parse_reduction(const char* op, const std::string& reduction);

// input: floating (N, C, ...). target: int64 (N, ...), classes from 0 to C - 1 or ignore_index; else throws IndexError
// with the first wrong label. weight: (C,), of input's dtype.
void check_class_targets(const char* op, const char* input_name, const NDArray& input, const NDArray& target,
                         const std::optional<NDArray>& weight, int64_t ignore_index);

// upstream and total_weight, as the backward functions take them: upstream has the loss's shape.
void check_loss_upstream(const char* op, const NDArray& upstream, const NDArray& target, const NDArray& total_weight,
                         Reduction reduction, DType dtype);

// (N, C, d1, d2, ...) as (N, C, d1 * d2 * ...).
Shape class_shape(const Shape& shape);

// item_losses, target: as many items -> total_weight (): the sum of the weights of the items that count; loss (): for
// "mean" and "sum"; for "none" it is item_losses and stays.
using ReduceLossesKernel = void(const NDArray& item_losses, const NDArray& target, const NDArray* weight,
                                const LossOptions& options, NDArray& loss, NDArray& total_weight);
void reduce_losses(const NDArray& item_losses, const NDArray& target, const NDArray* weight, const LossOptions& options,
                   NDArray& loss, NDArray& total_weight);

constexpr Op<ReduceLossesKernel> kReduceLossesOp{"reduce_losses"};

namespace cpu {
extern const Ladder<ReduceLossesKernel> reduce_losses_ladder;
}  // namespace cpu

}  // namespace mt
