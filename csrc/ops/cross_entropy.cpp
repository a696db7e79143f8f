#include "cross_entropy.h"

#include "kernel_table.h"

namespace mt {
namespace {

KernelTable table(kCrossEntropyOp, cpu::cross_entropy_ladder);
KernelTable backward_table(kCrossEntropyBackwardOp, cpu::cross_entropy_backward_ladder);

void check_label_smoothing(const char* op, double label_smoothing) {
    require<ValueError>(label_smoothing >= 0.0 && label_smoothing <= 1.0, op, ": label_smoothing is ", label_smoothing,
                        "; wanted a number from 0 to 1");
}

}  // namespace

std::tuple<NDArray, NDArray, NDArray> cross_entropy(const NDArray& logits, const NDArray& target,
                                                    const std::optional<NDArray>& weight, const std::string& reduction,
                                                    int64_t ignore_index, double label_smoothing) {
    const LossOptions options{parse_reduction("cross_entropy", reduction), ignore_index, label_smoothing};
    check_label_smoothing("cross_entropy", label_smoothing);
    check_class_targets("cross_entropy", "logits", logits, target, weight, ignore_index);
    const DType dtype = logits.dtype();
    const Device device = logits.device();
    const NDArray* weights = weight ? &*weight : nullptr;

    NDArray item_losses = NDArray::empty(target.shape(), dtype, device);
    NDArray log_sum_exp = NDArray::empty(target.shape(), dtype, device);
    table.pick(device)(logits.reshape(class_shape(logits.shape())), target, weights, options, item_losses, log_sum_exp);
    NDArray loss = options.reduction == Reduction::none ? item_losses : NDArray::empty({}, dtype, device);
    NDArray total_weight = NDArray::empty({}, dtype, device);
    reduce_losses(item_losses, target, weights, options, loss, total_weight);
    return {loss, log_sum_exp, total_weight};
}

NDArray cross_entropy_backward(const NDArray& upstream, const NDArray& logits, const NDArray& target,
                               const NDArray& log_sum_exp, const NDArray& total_weight,
                               const std::optional<NDArray>& weight, const std::string& reduction, int64_t ignore_index,
                               double label_smoothing) {
    const char* op = "cross_entropy_backward";
    const LossOptions options{parse_reduction(op, reduction), ignore_index, label_smoothing};
    check_label_smoothing(op, label_smoothing);
    check_class_targets(op, "logits", logits, target, weight, ignore_index);
    check_loss_upstream(op, upstream, target, total_weight, options.reduction, logits.dtype());
    require_same_dtype(op, "logits", logits, "log_sum_exp", log_sum_exp);
    require_same_device(op, "logits", logits, "log_sum_exp", log_sum_exp);
    require_shape(op, "log_sum_exp", log_sum_exp, target.shape());

    const Shape along_classes = class_shape(logits.shape());
    NDArray gradient = NDArray::empty(along_classes, logits.dtype(), logits.device());
    backward_table.pick(logits.device())(upstream, logits.reshape(along_classes), target, log_sum_exp, total_weight,
                                         weight ? &*weight : nullptr, options, gradient);
    return gradient.reshape(logits.shape());
}

}  // namespace mt
