// Cross entropy. The kernels:
//
//   cross_entropy_log_sum_exp   log sum exp(x) = m + log sum exp(x - m). With the maximum as m no exponent is positive,
//                               so nothing overflows
//   cross_entropy_naive         log sum exp(x), computed just so; infinite as soon as one exp is
//   cross_entropy_backward      softmax minus the one-hot target. The softmax is exp(x - log_sum_exp), so the forward
//                               pass need not keep it
//
// How slices (here: the logits of one item) are walked by registers: slices.h.
#include "../ops/cross_entropy.h"

#include <cmath>

#include "losses.h"
#include "slices.h"
#include "vector_math.h"

namespace mt::cpu {
namespace {

// The loss of one item. Its logits are x[0], x[stride], ...; log_sum_exp is shift + log_sum. The shift (the maximum) is
// subtracted from a logit first: shift + log_sum would round away most of log_sum where logits are large.
template <class T>
T item_loss(const T* x, int64_t classes, int64_t stride, T shift, T log_sum, int64_t label, const T* weight,
            const LossOptions& options) {
    if (label == options.ignore_index) return 0;
    const T smoothing = static_cast<T>(options.label_smoothing);
    T loss = (shift - x[label * stride]) + log_sum;
    if (weight) loss *= weight[label];
    if (smoothing == 0) return loss;
    T sum_over_classes = 0;
    for (int64_t c = 0; c < classes; c++) {
        const T class_loss = (shift - x[c * stride]) + log_sum;
        sum_over_classes += weight ? weight[c] * class_loss : class_loss;
    }
    return (1 - smoothing) * loss + smoothing / static_cast<T>(classes) * sum_over_classes;
}

void cross_entropy_log_sum_exp(const NDArray& logits_array, const NDArray& target_array, const NDArray* weight_array,
                               const LossOptions& options, NDArray& losses_array, NDArray& log_sum_exp_array) {
    const int64_t items = logits_array.shape(0), classes = logits_array.shape(1), inner = logits_array.shape(2);
    const int64_t* target = target_array.data<int64_t>();
    dispatch_floating(logits_array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* x = logits_array.data<T>();
        const T* weight = weight_array ? weight_array->data<T>() : nullptr;
        T* losses = losses_array.data<T>();
        T* log_sum_exp = log_sum_exp_array.data<T>();
        for_each_slice<T>(items, classes, inner, [=](const auto& slices) {
            const Vector<T> maximum = slice_maximum(slices, x);
            Vector<T> sum{};
            for (int64_t step = 0; step < slices.steps; step++)
                sum += exp_lanes(slices.load(x, step, -std::numeric_limits<T>::infinity()) - maximum);
            sum = slices.sum(sum);
            for (int64_t slice = 0; slice < slices.slices; slice++) {
                const int64_t item = slices.first_slice + slice;
                const T log_sum = std::log(sum[slice]);
                log_sum_exp[item] = maximum[slice] + log_sum;
                losses[item] = item_loss(x + slices.begin(slice), classes, inner, maximum[slice], log_sum, target[item],
                                         weight, options);
            }
        });
    });
}

void cross_entropy_naive(const NDArray& logits_array, const NDArray& target_array, const NDArray* weight_array,
                         const LossOptions& options, NDArray& losses_array, NDArray& log_sum_exp_array) {
    const int64_t classes = logits_array.shape(1), inner = logits_array.shape(2);
    const int64_t* target = target_array.data<int64_t>();
    dispatch_floating(logits_array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* weight = weight_array ? weight_array->data<T>() : nullptr;
        for (int64_t item = 0; item < target_array.size(); item++) {
            const T* x = logits_array.data<T>() + item / inner * classes * inner + item % inner;
            T sum = 0;
            for (int64_t c = 0; c < classes; c++) sum += std::exp(x[c * inner]);
            const T log_sum = std::log(sum);
            log_sum_exp_array.data<T>()[item] = log_sum;
            losses_array.data<T>()[item] = item_loss(x, classes, inner, T{0}, log_sum, target[item], weight, options);
        }
    });
}

void cross_entropy_backward(const NDArray& upstream_array, const NDArray& logits_array, const NDArray& target_array,
                            const NDArray& log_sum_exp_array, const NDArray& total_weight_array,
                            const NDArray* weight_array, const LossOptions& options, NDArray& gradient_array) {
    const int64_t items = logits_array.shape(0), classes = logits_array.shape(1), inner = logits_array.shape(2);
    const int64_t* target = target_array.data<int64_t>();
    dispatch_floating(logits_array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* upstream = upstream_array.data<T>();
        const T* x = logits_array.data<T>();
        const T* log_sum_exp = log_sum_exp_array.data<T>();
        const T* total_weight = total_weight_array.data<T>();
        const T* weight = weight_array ? weight_array->data<T>() : nullptr;
        T* gradient = gradient_array.data<T>();
        const T smoothing = static_cast<T>(options.label_smoothing);
        // Only smoothing asks for the weights of all classes. Without it an absent class may weigh infinity.
        T sum_of_weights = 0;
        if (smoothing != 0)
            for (int64_t c = 0; c < classes; c++) sum_of_weights += weight ? weight[c] : T{1};
        for_each_slice<T>(items, classes, inner, [=](const auto& slices) {
            // The probabilities exp(x - log_sum_exp). The rounding error of a large log_sum_exp would be a common
            // factor of them all: dividing by their sum takes it out.
            const Vector<T> shift = slices.load_per_slice(log_sum_exp);
            Vector<T> sum{};
            for (int64_t step = 0; step < slices.steps; step++) {
                const Vector<T> probability =
                    exp_lanes(slices.load(x, step, -std::numeric_limits<T>::infinity()) - shift);
                slices.store(gradient, step, probability);
                sum += probability;
            }
            sum = slices.sum(sum);

            Vector<T> of_probability{}, of_target{},
                of_weight{};  // the factors of p[c], of the one-hot target and of weight[c]; 0: ignored
            for (int64_t slice = 0; slice < slices.slices; slice++) {
                const int64_t item = slices.first_slice + slice, label = target[item];
                if (label != options.ignore_index) {
                    const T share = upstream_of_item(upstream, total_weight, options.reduction, item);
                    of_target[slice] = share * (1 - smoothing) * (weight ? weight[label] : T{1});
                    of_weight[slice] = smoothing == 0 ? T{0} : share * smoothing / static_cast<T>(classes);
                }
                of_probability[slice] = of_target[slice] + of_weight[slice] * sum_of_weights;
            }
            if (slices.slices == 1) {  // one slice may fill all lanes
                of_probability = every_lane<T>(of_probability[0]);
                of_weight = every_lane<T>(of_weight[0]);
            }
            const Vector<T> scale = of_probability / sum;
            for (int64_t step = 0; step < slices.steps; step++) {
                Vector<T> values = slices.load(gradient, step, T{0}) * scale;
                if (smoothing != 0)
                    values -= of_weight * (weight ? slices.load_per_element(weight, step) : every_lane(T{1}));
                slices.store(gradient, step, values);
            }
            for (int64_t slice = 0; slice < slices.slices; slice++) {
                const int64_t label = target[slices.first_slice + slice];
                if (label != options.ignore_index) gradient[slices.begin(slice) + label * inner] -= of_target[slice];
            }
        });
    });
}

constexpr Rung<CrossEntropyKernel> kRungs[] = {
    {"log_sum_exp", "Subtracts the maximum logit before exp, so that large logits do not overflow.",
     cross_entropy_log_sum_exp},
    {"naive",
     "The formula as it stands: exp of the logits themselves, which overflows to infinity on purpose (float32: from "
     "88.7 on).",
     cross_entropy_naive},
};
constexpr Rung<CrossEntropyBackwardKernel> kBackwardRungs[] = {
    {"softmax_minus_one_hot", "Probabilities from logits and log-sum-exp, then the target's share is taken off.",
     cross_entropy_backward}};

}  // namespace

constexpr Ladder<CrossEntropyKernel> cross_entropy_ladder(kRungs);
constexpr Ladder<CrossEntropyBackwardKernel> cross_entropy_backward_ladder(kBackwardRungs);

}  // namespace mt::cpu
