// Cross entropy of logits (N, C, inner) and target classes. The rungs:
//
//   naive         one thread an item, and the formula as it stands: exp of the logits themselves, which overflows
//   log_sum_exp   the maximum is taken off before exp, so nothing overflows; a warp an item: its lanes read
//                 neighbouring classes and find maximum and sum through shuffles. The logits are read twice
//   online        maximum and sum in one pass (Milakov and Gimelshein, "Online normalizer calculation for softmax",
//                 2018): when a larger maximum turns up, the sum so far is scaled down to it. The logits are read once
//
// and of its derivative, softmax minus the one-hot target: naive (one thread an item) and warp.
#include "../ops/cross_entropy.h"
#include "losses.h"
#include "team.h"

namespace mt {
namespace {

// ---------------------------------------------------------------------------------------------------------- arguments

template <class T>
struct Options {
    int64_t items, classes, inner, ignore_index;
    T smoothing;
    Reduction reduction;

    // The logits of an item are number begin(item), begin(item) + inner, ...
    __device__ int64_t begin(int64_t item) const { return item / inner * classes * inner + item % inner; }
};

template <class T>
Options<T> options_of(const NDArray& logits, const LossOptions& options) {
    return {logits.shape(0) * logits.shape(2),       logits.shape(1),  logits.shape(2), options.ignore_index,
            static_cast<T>(options.label_smoothing), options.reduction};
}

// ---------------------------------------------------------------------------------------------------------- forward

// log sum exp(x) as shift + log(sum): the maximum, and the sum of exp(x - maximum).
template <class T>
struct ShiftedSum {
    T shift, sum;
};

template <class T>
struct Naive {
    using Team = OneThread;
    __device__ static ShiftedSum<T> of(const T* x, const Options<T>& options) {
        T sum = 0;
        for (int64_t c = 0; c < options.classes; c++) sum += ::exp(x[c * options.inner]);
        return {0, sum};
    }
};

template <class T>
struct LogSumExp {
    using Team = OneWarp;
    __device__ static ShiftedSum<T> of(const T* x, const Options<T>& options) {
        T maximum = lowest<T>();
        for (int64_t c = Team::rank(); c < options.classes; c += Team::kSize) {
            const T value = x[c * options.inner];
            maximum = value > maximum ? value : maximum;
        }
        maximum = Team::maximum(maximum);
        T sum = 0;
        for (int64_t c = Team::rank(); c < options.classes; c += Team::kSize)
            sum += ::exp(x[c * options.inner] - maximum);
        return {maximum, Team::sum(sum)};
    }
};

template <class T>
struct Online {
    using Team = OneWarp;
    // exp(x - shift), and 0 for minus infinity even where the shift is minus infinity too.
    __device__ static T scaled(T x, T shift) { return x == lowest<T>() ? T{0} : ::exp(x - shift); }

    __device__ static ShiftedSum<T> of(const T* x, const Options<T>& options) {
        ShiftedSum<T> mine{lowest<T>(), 0};
        for (int64_t c = Team::rank(); c < options.classes; c += Team::kSize) {
            const T value = x[c * options.inner];
            if (value > mine.shift) {
                mine.sum = mine.sum * scaled(mine.shift, value) + 1;
                mine.shift = value;
            } else {
                mine.sum += scaled(value, mine.shift);
            }
        }
        for (int away = Team::kSize / 2; away > 0; away /= 2) {
            const T shift = __shfl_xor_sync(kAllLanes, mine.shift, away);
            const T sum = __shfl_xor_sync(kAllLanes, mine.sum, away);
            const T larger = shift > mine.shift ? shift : mine.shift;
            mine.sum = mine.sum * scaled(mine.shift, larger) + sum * scaled(shift, larger);
            mine.shift = larger;
        }
        return mine;
    }
};

// The shift is taken off a logit first: shift + log(sum) would round away most of the logarithm where logits are large.
template <template <class> class Method, class T>
__global__ void cross_entropy(const T* logits, const int64_t* target, const T* weight, T* item_losses, T* log_sum_exp,
                              Options<T> options) {
    using Team = typename Method<T>::Team;
    const int64_t item = Team::row();
    if (item >= options.items) return;
    const T* x = logits + options.begin(item);
    const ShiftedSum<T> shifted = Method<T>::of(x, options);
    const T log_sum = ::log(shifted.sum);

    T smooth = 0;  // the loss summed over all classes
    if (options.smoothing != 0) {
        for (int64_t c = Team::rank(); c < options.classes; c += Team::kSize) {
            const T class_loss = (shifted.shift - x[c * options.inner]) + log_sum;
            smooth += weight != nullptr ? weight[c] * class_loss : class_loss;
        }
        smooth = Team::sum(smooth);
    }
    if (Team::rank() != 0) return;
    log_sum_exp[item] = shifted.shift + log_sum;
    const int64_t label = target[item];
    if (label == options.ignore_index) {
        item_losses[item] = 0;
        return;
    }
    T loss = (shifted.shift - x[label * options.inner]) + log_sum;
    if (weight != nullptr) loss *= weight[label];
    if (options.smoothing != 0)
        loss = (1 - options.smoothing) * loss + options.smoothing / static_cast<T>(options.classes) * smooth;
    item_losses[item] = loss;
}

// ---------------------------------------------------------------------------------------------------------- backward

// The probabilities are exp(x - log_sum_exp), so that the forward pass need not keep them. The rounding error of a
// large log_sum_exp would be a common factor of them all: dividing by their sum takes it out.
template <class Team, class T>
__global__ void softmax_minus_one_hot(const T* upstream, const T* logits, const int64_t* target, const T* log_sum_exp,
                                      const T* total_weight, const T* weight, T* gradient, Options<T> options) {
    const int64_t item = Team::row();
    if (item >= options.items) return;
    const T* x = logits + options.begin(item);
    gradient += options.begin(item);
    const T shift = log_sum_exp[item];
    const int64_t label = target[item];

    // Only smoothing asks for the weights of all classes. Without it an absent class may weigh infinity.
    T sum = 0, sum_of_weights = 0;
    for (int64_t c = Team::rank(); c < options.classes; c += Team::kSize) {
        sum += ::exp(x[c * options.inner] - shift);
        if (options.smoothing != 0) sum_of_weights += weight != nullptr ? weight[c] : T{1};
    }
    sum = Team::sum(sum);
    sum_of_weights = Team::sum(sum_of_weights);

    T of_target = 0, of_weight = 0;  // the factors of the one-hot target and of weight[c]; 0: the item is ignored
    if (label != options.ignore_index) {
        const T share = upstream_of_item(upstream, total_weight, options.reduction, item);
        of_target = share * (1 - options.smoothing) * (weight != nullptr ? weight[label] : T{1});
        of_weight = options.smoothing == 0 ? T{0} : share * options.smoothing / static_cast<T>(options.classes);
    }
    const T of_probability = (of_target + of_weight * sum_of_weights) / sum;
    for (int64_t c = Team::rank(); c < options.classes; c += Team::kSize) {
        T value = ::exp(x[c * options.inner] - shift) * of_probability;
        if (of_weight != 0) value -= of_weight * (weight != nullptr ? weight[c] : T{1});
        if (c == label) value -= of_target;
        gradient[c * options.inner] = value;
    }
}

// ---------------------------------------------------------------------------------------------------------- launchers

template <template <class> class Method>
void launch_forward(const NDArray& logits, const NDArray& target, const NDArray* weight, const LossOptions& options,
                    NDArray& item_losses, NDArray& log_sum_exp) {
    dispatch_floating_device(logits.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch((cross_entropy<Method, T>), blocks_of_teams<typename Method<T>::Team>(target.size()), kTeamThreads, 0,
               logits.data<T>(), target.data<int64_t>(), data_or_null<T>(weight), item_losses.data<T>(),
               log_sum_exp.data<T>(), options_of<T>(logits, options));
    });
}

template <class Team>
void launch_backward(const NDArray& upstream, const NDArray& logits, const NDArray& target, const NDArray& log_sum_exp,
                     const NDArray& total_weight, const NDArray* weight, const LossOptions& options,
                     NDArray& gradient) {
    dispatch_floating_device(logits.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch((softmax_minus_one_hot<Team, T>), blocks_of_teams<Team>(target.size()), kTeamThreads, 0,
               upstream.data<T>(), logits.data<T>(), target.data<int64_t>(), log_sum_exp.data<T>(),
               total_weight.data<T>(), data_or_null<T>(weight), gradient.data<T>(), options_of<T>(logits, options));
    });
}

constexpr Rung<CrossEntropyKernel> kRungs[] = {
    {"log_sum_exp", "A warp an item: maximum, then the sum of what lies below it, through shuffles.", 75,
     launch_forward<LogSumExp>},
    {"online", "A warp an item, one pass: the sum is scaled down whenever a larger maximum turns up.", 75,
     launch_forward<Online>},
    {"naive",
     "One thread an item, exp of the logits themselves, which overflows to infinity on purpose (float32: from 88.7 "
     "on).",
     75, launch_forward<Naive>},
};

constexpr Rung<CrossEntropyBackwardKernel> kBackwardRungs[] = {
    {"warp", "A warp an item: probabilities from logits and log-sum-exp, then the target's share is taken off.", 75,
     launch_backward<OneWarp>},
    {"naive", "One thread an item: the same, class after class.", 75, launch_backward<OneThread>},
};

}  // namespace

const DeviceLadder cross_entropy_ladder(kCrossEntropyOp, kRungs);
const DeviceLadder cross_entropy_backward_ladder(kCrossEntropyBackwardOp, kBackwardRungs);

}  // namespace mt
