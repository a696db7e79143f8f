#include "loss_arguments.h"

#include "../ndarray/value_range.h"
#include "kernel_table.h"

namespace mt {
namespace {

KernelTable reduce_table(kReduceLossesOp, cpu::reduce_losses_ladder);

}  // namespace

void reduce_losses(const NDArray& item_losses, const NDArray& target, const NDArray* weight, const LossOptions& options,
                   NDArray& loss, NDArray& total_weight) {
    reduce_table.pick(item_losses.device())(item_losses, target, weight, options, loss, total_weight);
}

Reduction parse_reduction(const char* op, const std::string& reduction) {
    if (reduction == "none") return Reduction::none;
    if (reduction == "mean") return Reduction::mean;
    if (reduction == "sum") return Reduction::sum;
    throw ValueError(message(op, ": reduction is '", reduction, "'; wanted 'none', 'mean' or 'sum'"));
}

void check_class_targets(const char* op, const char* input_name, const NDArray& input, const NDArray& target,
                         const std::optional<NDArray>& weight, int64_t ignore_index) {
    require_floating(op, input_name, input);
    require<ValueError>(input.ndim() >= 2, op, ": ", input_name, " has shape ", to_string(input.shape()),
                        "; wanted (N, C) or (N, C, d1, d2, ...)");
    require_dtype(op, "target", target, DType::int64);
    require_same_device(op, input_name, input, "target", target);
    Shape wanted = input.shape();
    wanted.erase(wanted.begin() + 1);
    require<ValueError>(target.shape() == wanted, op, ": target has shape ", to_string(target.shape()), "; for ",
                        input_name, " of shape ", to_string(input.shape()), " wanted ", to_string(wanted),
                        ", one class number for each item");
    const int64_t classes = input.shape(1);
    if (weight) {
        require_same_dtype(op, input_name, input, "weight", *weight);
        require_same_device(op, input_name, input, "weight", *weight);
        require_shape(op, "weight", *weight, {classes});
    }

    if (known_to_lie_in(target, 0, static_cast<double>(classes))) return;
    const NDArray on_cpu = target.to(Device::cpu);
    const int64_t* labels = on_cpu.data<int64_t>();
    for (int64_t i = 0; i < target.size(); i++) {
        if ((labels[i] >= 0 && labels[i] < classes) || labels[i] == ignore_index) continue;
        Shape position(target.ndim());
        int64_t rest = i;
        for (size_t axis = target.ndim(); axis-- > 0;) {
            position[axis] = rest % target.shape(axis);
            rest /= target.shape(axis);
        }
        throw IndexError(message(op, ": target at position ", to_string(position), " is ", labels[i],
                                 "; labels go from 0 to ", classes - 1, ", since ", input_name, " of shape ",
                                 to_string(input.shape()), " has ", classes, " classes (or are ignore_index, ",
                                 ignore_index, ")"));
    }
}

void check_loss_upstream(const char* op, const NDArray& upstream, const NDArray& target, const NDArray& total_weight,
                         Reduction reduction, DType dtype) {
    require_dtype(op, "upstream", upstream, dtype);
    require_same_device(op, "upstream", upstream, "target", target);
    require_shape(op, "upstream", upstream, reduction == Reduction::none ? target.shape() : Shape{});
    require_dtype(op, "total_weight", total_weight, dtype);
    require_same_device(op, "total_weight", total_weight, "target", target);
    require_shape(op, "total_weight", total_weight, {});
}

Shape class_shape(const Shape& shape) {
    int64_t inner = 1;
    for (size_t axis = 2; axis < shape.size(); axis++) inner *= shape[axis];
    return {shape[0], shape[1], inner};
}

}  // namespace mt
