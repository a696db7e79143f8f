#include "nll_loss.h"

#include "kernel_table.h"

namespace mt {
namespace {

KernelTable table(kNllLossOp, cpu::nll_loss_ladder);
KernelTable backward_table(kNllLossBackwardOp, cpu::nll_loss_backward_ladder);

}  // namespace

std::pair<NDArray, NDArray> nll_loss(const NDArray& log_probabilities, const NDArray& target,
                                     const std::optional<NDArray>& weight, const std::string& reduction,
                                     int64_t ignore_index) {
    const LossOptions options{parse_reduction("nll_loss", reduction), ignore_index};
    check_class_targets("nll_loss", "log_probabilities", log_probabilities, target, weight, ignore_index);
    const DType dtype = log_probabilities.dtype();
    const Device device = log_probabilities.device();
    const NDArray* weights = weight ? &*weight : nullptr;

    NDArray item_losses = NDArray::empty(target.shape(), dtype, device);
    table.pick(device)(log_probabilities.reshape(class_shape(log_probabilities.shape())), target, weights, ignore_index,
                       item_losses);
    NDArray loss = options.reduction == Reduction::none ? item_losses : NDArray::empty({}, dtype, device);
    NDArray total_weight = NDArray::empty({}, dtype, device);
    reduce_losses(item_losses, target, weights, options, loss, total_weight);
    return {loss, total_weight};
}

NDArray nll_loss_backward(const NDArray& upstream, const NDArray& target, const Shape& input_shape,
                          const std::optional<NDArray>& weight, const std::string& reduction, int64_t ignore_index,
                          const NDArray& total_weight) {
    const char* op = "nll_loss_backward";
    const LossOptions options{parse_reduction(op, reduction), ignore_index};
    require_floating(op, "upstream", upstream);
    NDArray input_gradient = NDArray::empty(input_shape, upstream.dtype(), upstream.device());
    check_class_targets(op, "the array of input_shape", input_gradient, target, weight, ignore_index);
    check_loss_upstream(op, upstream, target, total_weight, options.reduction, upstream.dtype());
    NDArray along_classes = input_gradient.reshape(class_shape(input_shape));
    backward_table.pick(upstream.device())(upstream, target, weight ? &*weight : nullptr, options, total_weight,
                                           along_classes);
    return input_gradient;
}

}  // namespace mt
