// What a training step needs besides the graph: the batch and the optimizer's step.
#include "../ops/gather_batch.h"
#include "../ops/sgd.h"
#include "bindings.h"

namespace mt {

void bind_training(py::module_& m) {
    def_op(
        m, "sgd_step_",
        [](std::vector<NDArray> parameters, const std::vector<NDArray>& gradients, std::vector<NDArray> velocities,
           double lr, double momentum, double dampening, double weight_decay, bool nesterov, bool first_step) {
            sgd_step_(parameters, gradients, velocities, {lr, momentum, dampening, weight_decay, nesterov, first_step});
        },
        "One step of torch.optim.SGD for all parameters, in place. "
        "velocities may be empty without momentum; first_step sets them.",
        py::arg("parameters"), py::arg("gradients"), py::arg("velocities"), py::arg("lr"), py::arg("momentum") = 0.0,
        py::arg("dampening") = 0.0, py::arg("weight_decay") = 0.0, py::arg("nesterov") = false,
        py::arg("first_step") = false);
    def_op(m, "gather_batch", &gather_batch,
           "images uint8 (N, C, H, W), index int64 (B,), mean and std float32 (C,) -> float32 (B, C, H, W): "
           "(x / 255 - mean) / std. crop int64 (B, 2): "
           "corner of the window in the image padded with black; flip uint8 (B,): mirrored where not 0.",
           py::arg("images"), py::arg("index"), py::arg("mean"), py::arg("std"), py::arg("flip") = py::none(),
           py::arg("crop") = py::none(), py::arg("padding") = 0);
}

}  // namespace mt
