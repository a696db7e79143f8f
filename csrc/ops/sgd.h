// Stochastic gradient descent.
#pragma once

#include "../ndarray/ndarray.h"
#include "ladder.h"

namespace mt {

struct SgdSettings {
    double lr, momentum, dampening, weight_decay;
    bool nesterov;
    bool first_step;  // the velocities are not there yet: they become the gradients
};

// One step of torch.optim.SGD for all parameters, in place; bumps the versions of parameters and velocities:
//     gradient  += weight_decay * parameter
//     velocity   = first_step ? gradient : momentum * velocity + (1 - dampening) * gradient   (where momentum is not 0)
//     direction  = nesterov ? gradient + momentum * velocity : velocity
//     parameter -= lr * direction
// The lists run in parallel; the arrays of one place agree in shape, all arrays in dtype (float32 or float64).
// velocities may be empty where momentum is 0. The gradients are not changed.
void sgd_step_(std::vector<NDArray>& parameters, const std::vector<NDArray>& gradients,
               std::vector<NDArray>& velocities, const SgdSettings& settings);

// The memory of one parameter: `size` elements each. velocity is nullptr without momentum.
struct SgdTensor {
    void* parameter;
    const void* gradient;
    void* velocity;
    int64_t size;
};
using SgdKernel = void(const std::vector<SgdTensor>& tensors, const SgdSettings& settings, DType dtype);

constexpr Op<SgdKernel> kSgdOp{"sgd_step_"};

namespace cpu {
extern const Ladder<SgdKernel> sgd_ladder;
}  // namespace cpu

}  // namespace mt
