// Kernels: relu, relu_backward, neg, abs, exp, log, sqrt, tanh, sigmoid.
// One idea for all: each thread walks its part of the elements; arithmetic, exp and sigmoid work on a register full of
// elements at once, log and tanh on one.
#include "../ops/activation.h"

#include <cmath>

#include "parallel.h"
#include "simd.h"
#include "vector_math.h"

namespace mt::cpu {
namespace {

// A thread is woken for this many elements at least.
constexpr int64_t kElementsPerThread = 16384;
constexpr int64_t kSlowElementsPerThread = 1024;  // log, tanh, exp in double precision: tens of cycles each

// output[i] = function(x[i]) for i in [0, size), one element at a time or, where the function is simple, a register at
// a time.
template <class T, class Function>
void map_elements(const NDArray& x_array, NDArray& output_array, int64_t grain, Function function) {
    const T* x = x_array.data<T>();
    T* output = output_array.data<T>();
    parallel_for(x_array.size(), grain, [=](int64_t begin, int64_t end) {
#pragma omp simd
        for (int64_t i = begin; i < end; i++) output[i] = function(x[i]);
    });
}

// The same for a function of a Vector<T>.
template <class T, class Function>
void map_vectors(const NDArray& x_array, NDArray& output_array, int64_t grain, Function function) {
    const T* x = x_array.data<T>();
    T* output = output_array.data<T>();
    parallel_for(x_array.size(), grain, [=](int64_t begin, int64_t end) {
        int64_t i = begin;
        for (; i + kLanes<T> <= end; i += kLanes<T>) store<T>(output + i, function(load(x + i)));
        if (i < end) store_first<T>(output + i, function(load_first(x + i, end - i)), end - i);
    });
}

}  // namespace

void relu(const NDArray& x, NDArray& output) {
    dispatch_floating(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        // NaN < 0 is false, so NaN stays NaN.
        map_vectors<T>(x, output, kElementsPerThread,
                       [](Vector<T> value) { return value < T{0} ? Vector<T>{} : value; });
    });
}

void relu_backward(const NDArray& upstream_array, const NDArray& output_array, NDArray& gradient_array) {
    dispatch_floating(upstream_array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* upstream = upstream_array.data<T>();
        const T* output = output_array.data<T>();
        T* gradient = gradient_array.data<T>();
        // NaN <= 0 is false, so NaN passes the gradient on.
        parallel_for(upstream_array.size(), kElementsPerThread, [=](int64_t begin, int64_t end) {
            int64_t i = begin;
            for (; i + kLanes<T> <= end; i += kLanes<T>) {
                const Vector<T> passed = load(upstream + i);
                store<T>(gradient + i, load(output + i) <= T{0} ? Vector<T>{} : passed);
            }
            for (; i < end; i++) gradient[i] = output[i] <= T{0} ? T{0} : upstream[i];
        });
    });
}

void neg(const NDArray& x, NDArray& output) {
    dispatch_all(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_floating_point_v<T>) {
            map_elements<T>(x, output, kElementsPerThread, [](T value) { return -value; });
        } else {  // the smallest integer has no negative and stays itself, as in torch: unsigned arithmetic says so
                  // without overflow
            using Unsigned = std::make_unsigned_t<T>;
            map_elements<T>(x, output, kElementsPerThread,
                            [](T value) { return static_cast<T>(Unsigned{0} - static_cast<Unsigned>(value)); });
        }
    });
}

void abs(const NDArray& x, NDArray& output) {
    dispatch_all(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_floating_point_v<T>) {
            map_elements<T>(x, output, kElementsPerThread, [](T value) { return std::fabs(value); });
        } else {
            using Unsigned = std::make_unsigned_t<T>;
            map_elements<T>(x, output, kElementsPerThread, [](T value) {
                const Unsigned bits = static_cast<Unsigned>(value);
                return static_cast<T>(value < T{0} ? Unsigned{0} - bits : bits);
            });
        }
    });
}

void exp(const NDArray& x, NDArray& output) {
    dispatch_floating(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        map_vectors<T>(x, output, kSlowElementsPerThread, [](Vector<T> value) { return exp_lanes(value); });
    });
}

void log(const NDArray& x, NDArray& output) {
    dispatch_floating(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        map_elements<T>(x, output, kSlowElementsPerThread, [](T value) { return std::log(value); });
    });
}

void sqrt(const NDArray& x, NDArray& output) {
    dispatch_floating(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        map_elements<T>(x, output, kElementsPerThread, [](T value) { return std::sqrt(value); });
    });
}

void tanh(const NDArray& x, NDArray& output) {
    dispatch_floating(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        map_elements<T>(x, output, kSlowElementsPerThread, [](T value) { return std::tanh(value); });
    });
}

void sigmoid(const NDArray& x, NDArray& output) {
    dispatch_floating(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        map_vectors<T>(x, output, kSlowElementsPerThread,
                       [](Vector<T> value) { return T{1} / (T{1} + exp_lanes(-value)); });
    });
}

namespace {

constexpr Rung<UnaryKernel> kReluRungs[] = {
    {"vectorised", "Compares a register full of elements with 0 at once.", relu}};
constexpr Rung<ReluBackwardKernel> kReluBackwardRungs[] = {
    {"vectorised", "Compares a register full of outputs with 0 and keeps the gradients of those above.",
     relu_backward}};
constexpr Rung<UnaryKernel> kNegRungs[] = {{"elementwise", "Changes the sign of each element.", neg}};
constexpr Rung<UnaryKernel> kAbsRungs[] = {{"elementwise", "Drops the sign of each element.", abs}};
constexpr Rung<UnaryKernel> kExpRungs[] = {
    {"vectorised", "2^n times a polynomial, for a register full of elements at once.", exp}};
constexpr Rung<UnaryKernel> kLogRungs[] = {{"elementwise", "The C++ library's logarithm of each element.", log}};
constexpr Rung<UnaryKernel> kSqrtRungs[] = {{"elementwise", "The processor's square root of each element.", sqrt}};
constexpr Rung<UnaryKernel> kTanhRungs[] = {
    {"elementwise", "The C++ library's hyperbolic tangent of each element.", tanh}};
constexpr Rung<UnaryKernel> kSigmoidRungs[] = {
    {"vectorised", "1 / (1 + exp(-x)) for a register full of elements at once.", sigmoid}};

}  // namespace

constexpr Ladder<UnaryKernel> relu_ladder(kReluRungs);
constexpr Ladder<ReluBackwardKernel> relu_backward_ladder(kReluBackwardRungs);
constexpr Ladder<UnaryKernel> neg_ladder(kNegRungs);
constexpr Ladder<UnaryKernel> abs_ladder(kAbsRungs);
constexpr Ladder<UnaryKernel> exp_ladder(kExpRungs);
constexpr Ladder<UnaryKernel> log_ladder(kLogRungs);
constexpr Ladder<UnaryKernel> sqrt_ladder(kSqrtRungs);
constexpr Ladder<UnaryKernel> tanh_ladder(kTanhRungs);
constexpr Ladder<UnaryKernel> sigmoid_ladder(kSigmoidRungs);

}  // namespace mt::cpu
