// Kernels: softmax, log_softmax, their derivatives, logsumexp.
// One idea for all: exp overflows from 88.7 on in float32, but a constant subtracted from a whole slice changes nothing
// in a softmax, so the maximum is subtracted first and no exponent is positive. How slices are walked by registers:
// slices.h.
#include "../ops/softmax.h"

#include <cmath>

#include "slices.h"
#include "vector_math.h"

namespace mt::cpu {
namespace {

template <class T>
Vector<T> log_lanes(Vector<T> values) {
    for (int lane = 0; lane < kLanes<T>; lane++) values[lane] = std::log(values[lane]);
    return values;
}

template <class T, class Slices>
Vector<T> sum_of_exp(const Slices& slices, const T* x, Vector<T> maximum) {
    Vector<T> sum{};
    for (int64_t step = 0; step < slices.steps; step++)
        sum += exp_lanes(slices.load(x, step, -std::numeric_limits<T>::infinity()) - maximum);
    return slices.sum(sum);
}

template <class Body>
void for_each_slice_of(const NDArray& array, const Body& body) {
    dispatch_floating(array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        for_each_slice<T>(array.shape(0), array.shape(1), array.shape(2),
                          [&](const auto& slices) { body(zero, slices); });
    });
}

// Three passes: maximum; exponentials and their sum; division.
void softmax(const NDArray& x_array, NDArray& output_array) {
    for_each_slice_of(x_array, [&](auto zero, const auto& slices) {
        using T = decltype(zero);
        const T* x = x_array.data<T>();
        T* output = output_array.data<T>();
        const Vector<T> maximum = slice_maximum(slices, x);
        Vector<T> sum{};
        for (int64_t step = 0; step < slices.steps; step++) {
            const Vector<T> exponential =
                exp_lanes(slices.load(x, step, -std::numeric_limits<T>::infinity()) - maximum);
            slices.store(output, step, exponential);
            sum += exponential;
        }
        sum = slices.sum(sum);
        for (int64_t step = 0; step < slices.steps; step++)
            slices.store(output, step, slices.load(output, step, T{0}) / sum);
    });
}

// (x - maximum) - log sum: the maximum first, since maximum + log sum would round away the log of the sum where x is
// large.
void log_softmax(const NDArray& x_array, NDArray& output_array) {
    for_each_slice_of(x_array, [&](auto zero, const auto& slices) {
        using T = decltype(zero);
        const T* x = x_array.data<T>();
        const Vector<T> maximum = slice_maximum(slices, x);
        const Vector<T> log_sum = log_lanes<T>(sum_of_exp<T>(slices, x, maximum));
        for (int64_t step = 0; step < slices.steps; step++) {
            slices.store(output_array.data<T>(), step, (slices.load(x, step, T{0}) - maximum) - log_sum);
        }
    });
}

// output * (upstream - sum of upstream * output)
void softmax_backward(const NDArray& upstream_array, const NDArray& output_array, NDArray& gradient_array) {
    for_each_slice_of(upstream_array, [&](auto zero, const auto& slices) {
        using T = decltype(zero);
        const T* upstream = upstream_array.data<T>();
        const T* output = output_array.data<T>();
        Vector<T> sum{};
        for (int64_t step = 0; step < slices.steps; step++)
            sum += slices.load(upstream, step, T{0}) * slices.load(output, step, T{0});
        sum = slices.sum(sum);
        for (int64_t step = 0; step < slices.steps; step++) {
            slices.store(gradient_array.data<T>(), step,
                         slices.load(output, step, T{0}) * (slices.load(upstream, step, T{0}) - sum));
        }
    });
}

// upstream - exp(output) * sum of upstream
void log_softmax_backward(const NDArray& upstream_array, const NDArray& output_array, NDArray& gradient_array) {
    for_each_slice_of(upstream_array, [&](auto zero, const auto& slices) {
        using T = decltype(zero);
        const T* upstream = upstream_array.data<T>();
        const T* output = output_array.data<T>();
        Vector<T> sum{};
        for (int64_t step = 0; step < slices.steps; step++) sum += slices.load(upstream, step, T{0});
        sum = slices.sum(sum);
        for (int64_t step = 0; step < slices.steps; step++) {
            const Vector<T> probability = exp_lanes(slices.load(output, step, T{0}));
            slices.store(gradient_array.data<T>(), step, slices.load(upstream, step, T{0}) - probability * sum);
        }
    });
}

// maximum + log(sum of exp(x - maximum)). An infinite maximum is not subtracted, since infinity - infinity is NaN: a
// slice of minus infinities then gives log(0) = minus infinity, and one that holds infinity gives infinity.
void logsumexp(const NDArray& x_array, NDArray& output_array) {
    for_each_slice_of(x_array, [&](auto zero, const auto& slices) {
        using T = decltype(zero);
        const T* x = x_array.data<T>();
        Vector<T> maximum = slice_maximum(slices, x);
        constexpr T kInfinity = std::numeric_limits<T>::infinity();
        maximum = (maximum == kInfinity) | (maximum == -kInfinity) ? Vector<T>{} : maximum;
        slices.store_per_slice(output_array.data<T>(), maximum + log_lanes<T>(sum_of_exp<T>(slices, x, maximum)));
    });
}

constexpr Rung<AlongDimKernel> kSoftmaxRungs[] = {
    {"shifted", "Subtracts the maximum, so that exp cannot overflow; then exponentials, their sum, division.",
     softmax}};
constexpr Rung<AlongDimBackwardKernel> kSoftmaxBackwardRungs[] = {
    {"two_pass", "Sums upstream * output, then output * (upstream - sum).", softmax_backward}};
constexpr Rung<AlongDimKernel> kLogSoftmaxRungs[] = {
    {"shifted", "Subtracts the maximum, then the logarithm of the sum of exponentials.", log_softmax}};
constexpr Rung<AlongDimBackwardKernel> kLogSoftmaxBackwardRungs[] = {
    {"two_pass", "Sums upstream, then upstream - exp(output) * sum.", log_softmax_backward}};
constexpr Rung<AlongDimKernel> kLogsumexpRungs[] = {
    {"shifted", "The maximum, plus the logarithm of the sum of exponentials of what lies below it.", logsumexp}};

}  // namespace

constexpr Ladder<AlongDimKernel> softmax_ladder(kSoftmaxRungs);
constexpr Ladder<AlongDimBackwardKernel> softmax_backward_ladder(kSoftmaxBackwardRungs);
constexpr Ladder<AlongDimKernel> log_softmax_ladder(kLogSoftmaxRungs);
constexpr Ladder<AlongDimBackwardKernel> log_softmax_backward_ladder(kLogSoftmaxBackwardRungs);
constexpr Ladder<AlongDimKernel> logsumexp_ladder(kLogsumexpRungs);

}  // namespace mt::cpu
