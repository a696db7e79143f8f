// The step of stochastic gradient descent. The rungs:
//
//   one_launch_a_tensor   a launch for every parameter: a small network has ten small ones, and starting a kernel takes
//                         longer than any of them
//   multi_tensor          one launch for all: the kernel's parameters carry a list of the tensors, and every block
//                         finds its own there
#include <algorithm>

#include "../ops/sgd.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;     // a block
constexpr int kMostTensors = 64;  // a launch; the list must fit the 4 KiB of a kernel's parameters

// The settings in the parameters' own type, as torch rounds them.
template <class T>
struct Factors {
    T lr, momentum, undamped, weight_decay;
    bool nesterov, first_step;
};

template <class T>
Factors<T> factors_of(const SgdSettings& settings) {
    return {static_cast<T>(settings.lr),
            static_cast<T>(settings.momentum),
            static_cast<T>(1.0 - settings.dampening),
            static_cast<T>(settings.weight_decay),
            settings.nesterov,
            settings.first_step};
}

template <class T>
struct TensorList {
    int count;
    T* parameter[kMostTensors];
    const T* gradient[kMostTensors];
    T* velocity[kMostTensors];  // nullptr without momentum
    int64_t size[kMostTensors];
    int64_t first_block[kMostTensors];  // the tensor's blocks begin with this one
};

// Element i of one parameter. ops/sgd.h has the formula.
template <class T>
__device__ void step_element(T* parameter, const T* gradient, T* velocity, int64_t i, const Factors<T>& factors) {
    const T slope = gradient[i] + factors.weight_decay * parameter[i];
    T direction = slope;
    if (velocity != nullptr) {
        const T speed = factors.first_step ? slope : factors.momentum * velocity[i] + factors.undamped * slope;
        velocity[i] = speed;
        direction = factors.nesterov ? slope + factors.momentum * speed : speed;
    }
    parameter[i] -= factors.lr * direction;
}

template <class T>
__global__ void sgd_tensor(T* parameter, const T* gradient, T* velocity, int64_t size, Factors<T> factors) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < size) step_element(parameter, gradient, velocity, i, factors);
}

// All threads of a block look for the same tensor, so they go through the list together.
template <class T>
__global__ void sgd_list(TensorList<T> list, Factors<T> factors) {
    int tensor = 0;
    while (tensor + 1 < list.count && list.first_block[tensor + 1] <= blockIdx.x) tensor++;
    const int64_t i = (blockIdx.x - list.first_block[tensor]) * blockDim.x + threadIdx.x;
    if (i < list.size[tensor])
        step_element(list.parameter[tensor], list.gradient[tensor], list.velocity[tensor], i, factors);
}

void launch_each(const std::vector<SgdTensor>& tensors, const SgdSettings& settings, DType dtype) {
    dispatch_floating_device(dtype, [&](auto zero) {
        using T = decltype(zero);
        for (const SgdTensor& tensor : tensors) {
            T* parameter = static_cast<T*>(tensor.parameter);
            const T* gradient = static_cast<const T*>(tensor.gradient);
            T* velocity = static_cast<T*>(tensor.velocity);
            launch(sgd_tensor<T>, blocks_for(tensor.size, kThreads), kThreads, 0, parameter, gradient, velocity,
                   tensor.size, factors_of<T>(settings));
        }
    });
}

void launch_list(const std::vector<SgdTensor>& tensors, const SgdSettings& settings, DType dtype) {
    dispatch_floating_device(dtype, [&](auto zero) {
        using T = decltype(zero);
        for (size_t first = 0; first < tensors.size(); first += kMostTensors) {
            TensorList<T> list{};
            list.count = static_cast<int>(std::min<size_t>(kMostTensors, tensors.size() - first));
            unsigned int blocks = 0;
            for (int i = 0; i < list.count; i++) {
                const SgdTensor& tensor = tensors[first + i];
                list.parameter[i] = static_cast<T*>(tensor.parameter);
                list.gradient[i] = static_cast<const T*>(tensor.gradient);
                list.velocity[i] = static_cast<T*>(tensor.velocity);
                list.size[i] = tensor.size;
                list.first_block[i] = blocks;
                blocks += blocks_for(tensor.size, kThreads);
            }
            launch(sgd_list<T>, blocks, kThreads, 0, list, factors_of<T>(settings));
        }
    });
}

constexpr Rung<SgdKernel> kRungs[] = {
    {"multi_tensor", "One launch for all parameters (64 at a time): every block finds its tensor in a list.", 75,
     launch_list},
    {"one_launch_a_tensor", "A launch for every parameter.", 75, launch_each},
};

}  // namespace

const DeviceLadder sgd_ladder(kSgdOp, kRungs);

}  // namespace mt
