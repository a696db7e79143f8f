// softmax, log_softmax, their derivatives, and logsumexp, along the middle dimension of (outer, length, inner).
// The rungs:
//
//   naive   one thread a slice: where the slices are rows (inner is 1), a warp's threads read from 32 rows at once
//   warp    32 threads a slice: they read neighbours, and find maximum and sum through shuffles. Slices that are
//           columns stay with one thread each: there, neighbouring threads have neighbouring columns
//
// The kernels are written once, for a Team of either size (team.h).
#include "../ops/softmax.h"
#include "team.h"

namespace mt {
namespace {

// The arrays as slices: element k of slice s is number begin(s) + k * inner.
struct Slices {
    int64_t count, length, inner;

    __device__ int64_t begin(int64_t slice) const { return slice / inner * length * inner + slice % inner; }
};

// NaN is passed over; it comes back by way of the sum.
template <class Team, class T>
__device__ T slice_maximum(const T* x, const Slices& slices) {
    T maximum = lowest<T>();
    for (int64_t k = Team::rank(); k < slices.length; k += Team::kSize) {
        const T value = x[k * slices.inner];
        maximum = value > maximum ? value : maximum;
    }
    return Team::maximum(maximum);
}

template <class Team, class T>
__device__ T sum_of_exp(const T* x, const Slices& slices, T shift) {
    T sum = 0;
    for (int64_t k = Team::rank(); k < slices.length; k += Team::kSize) sum += ::exp(x[k * slices.inner] - shift);
    return Team::sum(sum);
}

// Without the maximum taken off, exp would overflow from 88.7 on.
template <class Team, class T>
__global__ void softmax_of_team(const T* x, T* output, Slices slices) {
    const int64_t slice = Team::row();
    if (slice >= slices.count) return;
    x += slices.begin(slice);
    output += slices.begin(slice);
    const T maximum = slice_maximum<Team>(x, slices);
    const T sum = sum_of_exp<Team>(x, slices, maximum);
    for (int64_t k = Team::rank(); k < slices.length; k += Team::kSize)
        output[k * slices.inner] = ::exp(x[k * slices.inner] - maximum) / sum;
}

// (x - maximum) - log sum: the maximum first, since maximum + log sum would round away the log of the sum where x is
// large.
template <class Team, class T>
__global__ void log_softmax_of_team(const T* x, T* output, Slices slices) {
    const int64_t slice = Team::row();
    if (slice >= slices.count) return;
    x += slices.begin(slice);
    output += slices.begin(slice);
    const T maximum = slice_maximum<Team>(x, slices);
    const T log_sum = ::log(sum_of_exp<Team>(x, slices, maximum));
    for (int64_t k = Team::rank(); k < slices.length; k += Team::kSize)
        output[k * slices.inner] = (x[k * slices.inner] - maximum) - log_sum;
}

// An infinite maximum is not taken off, since infinity - infinity is NaN: a slice of minus infinities then gives
// log(0), minus infinity, and one that holds infinity gives infinity.
template <class Team, class T>
__global__ void logsumexp_of_team(const T* x, T* output, Slices slices) {
    const int64_t slice = Team::row();
    if (slice >= slices.count) return;
    x += slices.begin(slice);
    T maximum = slice_maximum<Team>(x, slices);
    if (maximum == lowest<T>() || maximum == -lowest<T>()) maximum = 0;
    const T sum = sum_of_exp<Team>(x, slices, maximum);
    if (Team::rank() == 0) output[slice] = maximum + ::log(sum);
}

// gradient = output * (upstream - sum of upstream * output)
template <class Team, class T>
__global__ void softmax_backward_of_team(const T* upstream, const T* output, T* gradient, Slices slices) {
    const int64_t slice = Team::row();
    if (slice >= slices.count) return;
    const int64_t begin = slices.begin(slice);
    T sum = 0;
    for (int64_t k = Team::rank(); k < slices.length; k += Team::kSize)
        sum += upstream[begin + k * slices.inner] * output[begin + k * slices.inner];
    sum = Team::sum(sum);
    for (int64_t k = Team::rank(); k < slices.length; k += Team::kSize) {
        const int64_t i = begin + k * slices.inner;
        gradient[i] = output[i] * (upstream[i] - sum);
    }
}

// gradient = upstream - exp(output) * sum of upstream
template <class Team, class T>
__global__ void log_softmax_backward_of_team(const T* upstream, const T* output, T* gradient, Slices slices) {
    const int64_t slice = Team::row();
    if (slice >= slices.count) return;
    const int64_t begin = slices.begin(slice);
    T sum = 0;
    for (int64_t k = Team::rank(); k < slices.length; k += Team::kSize) sum += upstream[begin + k * slices.inner];
    sum = Team::sum(sum);
    for (int64_t k = Team::rank(); k < slices.length; k += Team::kSize) {
        const int64_t i = begin + k * slices.inner;
        gradient[i] = upstream[i] - ::exp(output[i]) * sum;
    }
}

// ---------------------------------------------------------------------------------------------------------- launchers

Slices slices_of(const NDArray& array) { return {array.shape(0) * array.shape(2), array.shape(1), array.shape(2)}; }

// Calls body(zero, Team{}): a warp a slice where the slices are rows and the rung asks for warps.
template <class MostTeam, class Body>
void dispatch_team(const NDArray& array, const Body& body) {
    dispatch_floating_device(array.dtype(), [&](auto zero) {
        if (array.shape(2) == 1)
            body(zero, MostTeam{});
        else
            body(zero, OneThread{});
    });
}

template <class MostTeam>
void launch_softmax(const NDArray& x, NDArray& output) {
    const Slices slices = slices_of(x);
    dispatch_team<MostTeam>(x, [&](auto zero, auto team) {
        using T = decltype(zero);
        using Team = decltype(team);
        launch((softmax_of_team<Team, T>), blocks_of_teams<Team>(slices.count), kTeamThreads, 0, x.data<T>(),
               output.data<T>(), slices);
    });
}

template <class MostTeam>
void launch_log_softmax(const NDArray& x, NDArray& output) {
    const Slices slices = slices_of(x);
    dispatch_team<MostTeam>(x, [&](auto zero, auto team) {
        using T = decltype(zero);
        using Team = decltype(team);
        launch((log_softmax_of_team<Team, T>), blocks_of_teams<Team>(slices.count), kTeamThreads, 0, x.data<T>(),
               output.data<T>(), slices);
    });
}

template <class MostTeam>
void launch_logsumexp(const NDArray& x, NDArray& output) {
    const Slices slices = slices_of(x);
    dispatch_team<MostTeam>(x, [&](auto zero, auto team) {
        using T = decltype(zero);
        using Team = decltype(team);
        launch((logsumexp_of_team<Team, T>), blocks_of_teams<Team>(slices.count), kTeamThreads, 0, x.data<T>(),
               output.data<T>(), slices);
    });
}

template <class MostTeam>
void launch_softmax_backward(const NDArray& upstream, const NDArray& output, NDArray& gradient) {
    const Slices slices = slices_of(output);
    dispatch_team<MostTeam>(output, [&](auto zero, auto team) {
        using T = decltype(zero);
        using Team = decltype(team);
        launch((softmax_backward_of_team<Team, T>), blocks_of_teams<Team>(slices.count), kTeamThreads, 0,
               upstream.data<T>(), output.data<T>(), gradient.data<T>(), slices);
    });
}

template <class MostTeam>
void launch_log_softmax_backward(const NDArray& upstream, const NDArray& output, NDArray& gradient) {
    const Slices slices = slices_of(output);
    dispatch_team<MostTeam>(output, [&](auto zero, auto team) {
        using T = decltype(zero);
        using Team = decltype(team);
        launch((log_softmax_backward_of_team<Team, T>), blocks_of_teams<Team>(slices.count), kTeamThreads, 0,
               upstream.data<T>(), output.data<T>(), gradient.data<T>(), slices);
    });
}

template <class Kernel, Kernel* warp, Kernel* naive>
constexpr Rung<Kernel> rungs[] = {
    {"warp", "32 threads a row, which read neighbours and combine through shuffles; columns: as naive.", 75, warp},
    {"naive", "One thread a slice.", 75, naive},
};
template <AlongDimKernel* warp, AlongDimKernel* naive>
constexpr auto& forward = rungs<AlongDimKernel, warp, naive>;
template <AlongDimBackwardKernel* warp, AlongDimBackwardKernel* naive>
constexpr auto& backward = rungs<AlongDimBackwardKernel, warp, naive>;

}  // namespace

const DeviceLadder softmax_ladder(kSoftmaxOp, forward<launch_softmax<OneWarp>, launch_softmax<OneThread>>);
const DeviceLadder log_softmax_ladder(kLogSoftmaxOp,
                                      forward<launch_log_softmax<OneWarp>, launch_log_softmax<OneThread>>);
const DeviceLadder logsumexp_ladder(kLogsumexpOp, forward<launch_logsumexp<OneWarp>, launch_logsumexp<OneThread>>);
const DeviceLadder softmax_backward_ladder(
    kSoftmaxBackwardOp, backward<launch_softmax_backward<OneWarp>, launch_softmax_backward<OneThread>>);
const DeviceLadder log_softmax_backward_ladder(
    kLogSoftmaxBackwardOp, backward<launch_log_softmax_backward<OneWarp>, launch_log_softmax_backward<OneThread>>);

}  // namespace mt
