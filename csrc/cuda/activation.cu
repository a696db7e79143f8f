// Functions of one element. The rungs of relu and its derivative:
//
//   elements   one thread an element; a warp reads and writes 32 neighbours, 128 bytes
//   float4     one thread four neighbouring elements, with one 16-byte load and store: a quarter of the instructions
//              for the same bytes
//
// The other functions have the first rung only.
#include "../ops/activation.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

// ---------------------------------------------------------------------------------------------------------- functions

struct Relu {
    template <class T>
    __device__ static T apply(T x) {
        return x < T{0} ? T{0} : x;  // NaN < 0 is false, so NaN stays NaN
    }
};
// Integers without a sign wrap around; the smallest one has no negative and stays itself.
struct Negative {
    template <class T>
    __device__ static T apply(T x) {
        if constexpr (std::is_floating_point_v<T>)
            return -x;
        else
            return static_cast<T>(uint64_t{0} - static_cast<uint64_t>(x));
    }
};
struct Absolute {
    template <class T>
    __device__ static T apply(T x) {
        if constexpr (std::is_floating_point_v<T>)
            return ::fabs(x);
        else if constexpr (std::is_unsigned_v<T>)
            return x;
        else
            return x < T{0} ? Negative::apply(x) : x;
    }
};
struct Exponential {
    template <class T>
    __device__ static T apply(T x) {
        return ::exp(x);
    }
};
struct Logarithm {
    template <class T>
    __device__ static T apply(T x) {
        return ::log(x);
    }
};
struct SquareRoot {
    template <class T>
    __device__ static T apply(T x) {
        return ::sqrt(x);
    }
};
struct HyperbolicTangent {
    template <class T>
    __device__ static T apply(T x) {
        return ::tanh(x);
    }
};
struct Sigmoid {
    template <class T>
    __device__ static T apply(T x) {
        return T{1} / (T{1} + ::exp(-x));
    }
};

// ---------------------------------------------------------------------------------------------------------- kernels

// output[i] = function(x[i]) for all i < count.
template <class Function, class T>
__global__ void map_elements(const T* x, T* output, int64_t count) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < count) output[i] = Function::apply(x[i]);
}

// Thread i takes elements 4i to 4i + 3; the last thread may find fewer.
__global__ void relu_float4(const float* x, float* output, int64_t count) {
    const int64_t first = 4 * (int64_t{blockIdx.x} * blockDim.x + threadIdx.x);
    if (first + 4 <= count) {
        const float4 in = *reinterpret_cast<const float4*>(x + first);
        const float4 out = {Relu::apply(in.x), Relu::apply(in.y), Relu::apply(in.z), Relu::apply(in.w)};
        *reinterpret_cast<float4*>(output + first) = out;
    } else {
        for (int64_t i = first; i < count; i++) output[i] = Relu::apply(x[i]);
    }
}

// NaN <= 0 is false, so NaN passes the gradient on.
template <class T>
__global__ void relu_backward_elements(const T* upstream, const T* output, T* gradient, int64_t count) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < count) gradient[i] = output[i] <= T{0} ? T{0} : upstream[i];
}

__global__ void relu_backward_float4(const float* upstream, const float* output, float* gradient, int64_t count) {
    const int64_t first = 4 * (int64_t{blockIdx.x} * blockDim.x + threadIdx.x);
    if (first + 4 <= count) {
        const float4 from = *reinterpret_cast<const float4*>(upstream + first);
        const float4 gate = *reinterpret_cast<const float4*>(output + first);
        const float4 to = {gate.x <= 0 ? 0 : from.x, gate.y <= 0 ? 0 : from.y, gate.z <= 0 ? 0 : from.z,
                           gate.w <= 0 ? 0 : from.w};
        *reinterpret_cast<float4*>(gradient + first) = to;
    } else {
        for (int64_t i = first; i < count; i++) gradient[i] = output[i] <= 0 ? 0 : upstream[i];
    }
}

// ---------------------------------------------------------------------------------------------------------- launchers

template <class Function>
void launch_floating(const NDArray& x, NDArray& output) {
    dispatch_floating_device(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch((map_elements<Function, T>), blocks_for(x.size(), kThreads), kThreads, 0, x.data<T>(), output.data<T>(),
               x.size());
    });
}

template <class Function>
void launch_signed(const NDArray& x, NDArray& output) {
    dispatch_all_device(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch((map_elements<Function, T>), blocks_for(x.size(), kThreads), kThreads, 0, x.data<T>(), output.data<T>(),
               x.size());
    });
}

void launch_relu_float4(const NDArray& x, NDArray& output) {
    if (x.dtype() != DType::float32 || !is_aligned(x, 16)) return launch_floating<Relu>(x, output);
    launch(relu_float4, blocks_for(x.size(), 4 * kThreads), kThreads, 0, x.data<float>(), output.data<float>(),
           x.size());
}

void launch_relu_backward_elements(const NDArray& upstream, const NDArray& output, NDArray& gradient) {
    dispatch_floating_device(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(relu_backward_elements<T>, blocks_for(output.size(), kThreads), kThreads, 0, upstream.data<T>(),
               output.data<T>(), gradient.data<T>(), output.size());
    });
}

void launch_relu_backward_float4(const NDArray& upstream, const NDArray& output, NDArray& gradient) {
    if (output.dtype() != DType::float32 || !is_aligned(upstream, 16) || !is_aligned(output, 16))
        return launch_relu_backward_elements(upstream, output, gradient);
    launch(relu_backward_float4, blocks_for(output.size(), 4 * kThreads), kThreads, 0, upstream.data<float>(),
           output.data<float>(), gradient.data<float>(), output.size());
}

constexpr const char* kElements = "One thread an element: a warp reads and writes 32 neighbours.";
constexpr const char* kFloat4 = "One thread four neighbours, with 16-byte loads and stores; float64: as elements.";

constexpr Rung<UnaryKernel> kReluRungs[] = {
    {"float4", kFloat4, 75, launch_relu_float4},
    {"elements", kElements, 75, launch_floating<Relu>},
};
constexpr Rung<ReluBackwardKernel> kReluBackwardRungs[] = {
    {"float4", kFloat4, 75, launch_relu_backward_float4},
    {"elements", kElements, 75, launch_relu_backward_elements},
};
// Of the other functions.
template <UnaryKernel* kernel>
constexpr Rung<UnaryKernel> elements[] = {{"elements", kElements, 75, kernel}};

}  // namespace

const DeviceLadder relu_ladder(kReluOp, kReluRungs);
const DeviceLadder relu_backward_ladder(kReluBackwardOp, kReluBackwardRungs);
const DeviceLadder neg_ladder(kNegOp, elements<launch_signed<Negative>>);
const DeviceLadder abs_ladder(kAbsOp, elements<launch_signed<Absolute>>);
const DeviceLadder exp_ladder(kExpOp, elements<launch_floating<Exponential>>);
const DeviceLadder log_ladder(kLogOp, elements<launch_floating<Logarithm>>);
const DeviceLadder sqrt_ladder(kSqrtOp, elements<launch_floating<SquareRoot>>);
const DeviceLadder tanh_ladder(kTanhOp, elements<launch_floating<HyperbolicTangent>>);
const DeviceLadder sigmoid_ladder(kSigmoidOp, elements<launch_floating<Sigmoid>>);

}  // namespace mt
