// Reductions: many elements become one. The rungs of sum, mean, amax and amin:
//
//   naive       one thread a result: it walks over all elements by itself. The sum of a whole array is the work of one
//               thread, and neighbouring threads read far apart
//   two_stage   the elements of a result are cut into chunks, a block each. Its threads read neighbours and combine
//               what they have through shuffles (last dimension reduced) or shared memory (last dimension kept); a
//               second launch combines the chunks. The chunks depend on the shape alone and everything is combined in
//               a fixed order: the same bits every time, without atomics
//
// and of argmax: naive (one thread a result) and warp (32 threads a result, combined through shuffles).
#include <limits>

#include "../ops/reduction.h"
#include "team.h"

namespace mt {
namespace {

// ---------------------------------------------------------------------------------------------------------- operations

// start: what nothing gives. include: one more element; merge: two parts; finish: the result of `count` elements.
template <class T>
struct Sum {
    using Accumulator = std::conditional_t<std::is_floating_point_v<T>, T, uint64_t>;  // integers wrap around
    using Result = std::conditional_t<std::is_floating_point_v<T>, T, int64_t>;
    __device__ static Accumulator start() { return 0; }
    __device__ static Accumulator include(Accumulator total, T value) {
        return total + static_cast<Accumulator>(value);
    }
    __device__ static Accumulator merge(Accumulator a, Accumulator b) { return a + b; }
    __device__ static Result finish(Accumulator total, int64_t) { return static_cast<Result>(total); }
};

template <class T>
struct Mean : Sum<T> {
    __device__ static T finish(T total, int64_t count) { return total / static_cast<T>(count); }
};

// A NaN stays once it is there, and replaces any number.
template <class T>
struct Maximum {
    using Accumulator = T;
    using Result = T;
    static constexpr T kStart =
        std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
    __device__ static T start() { return kStart; }
    __device__ static T include(T best, T value) { return value > best || value != value ? value : best; }
    __device__ static T merge(T a, T b) { return include(a, b); }
    __device__ static T finish(T best, int64_t) { return best; }
};

template <class T>
struct Minimum {
    using Accumulator = T;
    using Result = T;
    static constexpr T kStart =
        std::is_floating_point_v<T> ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
    __device__ static T start() { return kStart; }
    __device__ static T include(T best, T value) { return value < best || value != value ? value : best; }
    __device__ static T merge(T a, T b) { return include(a, b); }
    __device__ static T finish(T best, int64_t) { return best; }
};

// ---------------------------------------------------------------------------------------------------------- places

constexpr int kMostDimensions = 16;  // kept ones, and reduced ones

// A walk over some of an array's dimensions: where does place number `index` lie?
struct Walk {
    int ndim = 0;
    int64_t count = 1;
    int64_t shape[kMostDimensions];
    int64_t strides[kMostDimensions];

    __device__ int64_t offset(int64_t index) const {
        int64_t at = 0;
        for (int dim = ndim - 1; dim > 0; dim--) {
            at += index % shape[dim] * strides[dim];
            index /= shape[dim];
        }
        return ndim > 0 ? at + index * strides[0] : 0;
    }
};

struct Walks {
    Walk kept, reduced;
};

void add_dimension(Walk& walk, int64_t size, int64_t stride) {
    require<NotSupported>(walk.ndim < kMostDimensions, "this reduction alternates between kept and reduced dimensions ",
                          "more than ", kMostDimensions, " times; permute the array first");
    walk.shape[walk.ndim] = size;
    walk.strides[walk.ndim] = stride;
    walk.ndim++;
    walk.count *= size;
}

Walks walks_of(const ReducedDimensions& reduction) {
    std::vector<int64_t> strides(reduction.shape.size(), 1);
    for (size_t dim = strides.size(); dim-- > 1;) strides[dim - 1] = strides[dim] * reduction.shape[dim];
    Walks walks;
    for (size_t dim = 0; dim < strides.size(); dim++)
        add_dimension(reduction.is_reduced[dim] ? walks.reduced : walks.kept, reduction.shape[dim], strides[dim]);
    return walks;
}

// ---------------------------------------------------------------------------------------------------------- naive

template <class Reducer, class T>
__global__ void reduce_naive(const T* x, typename Reducer::Result* output, Walks walks) {
    const int64_t result = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (result >= walks.kept.count) return;
    const int64_t first = walks.kept.offset(result);
    auto total = Reducer::start();
    for (int64_t k = 0; k < walks.reduced.count; k++)
        total = Reducer::include(total, x[first + walks.reduced.offset(k)]);
    output[result] = Reducer::finish(total, walks.reduced.count);
}

// ---------------------------------------------------------------------------------------------------------- two stages

constexpr int kThreads = 256;  // a block
constexpr int kWarps = kThreads / 32;
constexpr int64_t kRowChunk = 4096;    // elements of one result a block takes: 16 a thread
constexpr int64_t kColumnChunk = 256;  // the same where 32 results share the block: 32 a thread

// All 32 lanes' parts in lane 0, halves first.
template <class Reducer>
__device__ typename Reducer::Accumulator merge_warp(typename Reducer::Accumulator part) {
    for (int away = 16; away > 0; away /= 2) part = Reducer::merge(part, __shfl_down_sync(kAllLanes, part, away));
    return part;
}

// What a block has of a result: the result itself if there are no other chunks, else a part.
template <class Reducer>
__device__ void store(typename Reducer::Accumulator total, int64_t result, int64_t chunk, int64_t chunks, int64_t count,
                      typename Reducer::Accumulator* parts, typename Reducer::Result* output) {
    if (chunks == 1)
        output[result] = Reducer::finish(total, count);
    else
        parts[result * chunks + chunk] = total;
}

// The last dimension is reduced: a block has one chunk of one result, and its threads read neighbours.
template <class Reducer, class T>
__global__ void reduce_row_chunks(const T* x, typename Reducer::Accumulator* parts, typename Reducer::Result* output,
                                  Walks walks, int64_t chunks) {
    __shared__ typename Reducer::Accumulator of_warp[kWarps];
    const int64_t result = blockIdx.x / chunks, chunk = blockIdx.x % chunks;
    const int64_t first = walks.kept.offset(result);
    const int64_t count = walks.reduced.count;
    const int64_t end = (chunk + 1) * kRowChunk < count ? (chunk + 1) * kRowChunk : count;

    auto total = Reducer::start();
    for (int64_t k = chunk * kRowChunk + threadIdx.x; k < end; k += kThreads)
        total = Reducer::include(total, x[first + walks.reduced.offset(k)]);

    total = merge_warp<Reducer>(total);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = total;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int warp = 1; warp < kWarps; warp++) total = Reducer::merge(total, of_warp[warp]);
        store<Reducer>(total, result, chunk, chunks, count, parts, output);
    }
}

// The last dimension is kept: a block has one chunk of 32 neighbouring results, thread (x, y) every 8th element of
// result x. So a warp, whose threads have one y, reads neighbours.
template <class Reducer, class T>
__global__ void reduce_column_chunks(const T* x, typename Reducer::Accumulator* parts, typename Reducer::Result* output,
                                     Walks walks, int64_t chunks) {
    __shared__ typename Reducer::Accumulator of_thread[kWarps][32];
    const int64_t result = blockIdx.x / chunks * 32 + threadIdx.x, chunk = blockIdx.x % chunks;
    const int64_t count = walks.reduced.count;
    const int64_t end = (chunk + 1) * kColumnChunk < count ? (chunk + 1) * kColumnChunk : count;

    auto total = Reducer::start();
    if (result < walks.kept.count) {
        const int64_t first = walks.kept.offset(result);
        for (int64_t k = chunk * kColumnChunk + threadIdx.y; k < end; k += kWarps)
            total = Reducer::include(total, x[first + walks.reduced.offset(k)]);
    }

    of_thread[threadIdx.y][threadIdx.x] = total;
    __syncthreads();
    if (threadIdx.y == 0 && result < walks.kept.count) {
        for (int other = 1; other < kWarps; other++) total = Reducer::merge(total, of_thread[other][threadIdx.x]);
        store<Reducer>(total, result, chunk, chunks, count, parts, output);
    }
}

// The second stage: a warp combines the chunks of a result.
template <class Reducer>
__global__ void merge_chunks(const typename Reducer::Accumulator* parts, typename Reducer::Result* output,
                             int64_t results, int64_t chunks, int64_t count) {
    const int64_t result = OneWarp::row();
    if (result >= results) return;
    auto total = Reducer::start();
    for (int64_t chunk = OneWarp::rank(); chunk < chunks; chunk += OneWarp::kSize)
        total = Reducer::merge(total, parts[result * chunks + chunk]);
    total = merge_warp<Reducer>(total);
    if (OneWarp::rank() == 0) output[result] = Reducer::finish(total, count);
}

// ---------------------------------------------------------------------------------------------------------- argmax

// Is (value, place) to be taken rather than (best, best_place)? The larger, a NaN before any number, the first of
// equals.
template <class T>
__device__ bool is_better(T value, int64_t place, T best, int64_t best_place) {
    const bool is_nan = value != value, best_is_nan = best != best;
    if (is_nan || best_is_nan) return is_nan && (!best_is_nan || place < best_place);
    return value > best || (value == best && place < best_place);
}

// x (outer, length, inner) -> output (outer, inner).
template <class Team, class T>
__global__ void argmax_of_team(const T* x, int64_t* output, int64_t results, int64_t length, int64_t inner) {
    const int64_t result = Team::row();
    if (result >= results) return;
    x += result / inner * length * inner + result % inner;
    T best = x[0];
    int64_t best_place = 0;
    for (int64_t place = Team::rank(); place < length; place += Team::kSize) {
        const T value = x[place * inner];
        if (is_better(value, place, best, best_place)) {
            best = value;
            best_place = place;
        }
    }
    for (int away = Team::kSize / 2; away > 0; away /= 2) {
        const T value = __shfl_down_sync(kAllLanes, best, away);
        const int64_t place = __shfl_down_sync(kAllLanes, best_place, away);
        if (is_better(value, place, best, best_place)) {
            best = value;
            best_place = place;
        }
    }
    if (Team::rank() == 0) output[result] = best_place;
}

// ---------------------------------------------------------------------------------------------------------- launchers

template <class Reducer, class T>
void launch_naive(const ReducedDimensions& reduction, const NDArray& x, NDArray& output) {
    const Walks walks = walks_of(reduction);
    launch((reduce_naive<Reducer, T>), blocks_for(walks.kept.count, kThreads), kThreads, 0, x.data<T>(),
           output.data<typename Reducer::Result>(), walks);
}

template <class Reducer, class T>
void launch_two_stage(const ReducedDimensions& reduction, const NDArray& x, NDArray& output) {
    const Walks walks = walks_of(reduction);
    const int64_t results = walks.kept.count, count = walks.reduced.count;
    const bool is_row = reduction.is_reduced.back();
    const int64_t chunk_size = is_row ? kRowChunk : kColumnChunk;
    const int64_t chunks = count > chunk_size ? (count + chunk_size - 1) / chunk_size : 1;
    Scratch<typename Reducer::Accumulator> parts(chunks > 1 ? results * chunks : 0);
    if (is_row)
        launch((reduce_row_chunks<Reducer, T>), grid_of(results * chunks), kThreads, 0, x.data<T>(), parts.data(),
               output.data<typename Reducer::Result>(), walks, chunks);
    else
        launch((reduce_column_chunks<Reducer, T>), grid_of(blocks_for(results, 32) * chunks), dim3(32, kWarps), 0,
               x.data<T>(), parts.data(), output.data<typename Reducer::Result>(), walks, chunks);
    if (chunks > 1)
        launch(merge_chunks<Reducer>, blocks_of_teams<OneWarp>(results), kTeamThreads, 0, parts.data(),
               output.data<typename Reducer::Result>(), results, chunks, count);
}

template <template <class> class Reducer>
void naive(const ReducedDimensions& reduction, const NDArray& x, NDArray& output) {
    dispatch_all_device(
        x.dtype(), [&](auto zero) { launch_naive<Reducer<decltype(zero)>, decltype(zero)>(reduction, x, output); });
}
template <template <class> class Reducer>
void two_stage(const ReducedDimensions& reduction, const NDArray& x, NDArray& output) {
    dispatch_all_device(
        x.dtype(), [&](auto zero) { launch_two_stage<Reducer<decltype(zero)>, decltype(zero)>(reduction, x, output); });
}

void naive_mean(const ReducedDimensions& reduction, const NDArray& x, NDArray& output) {
    dispatch_floating_device(
        x.dtype(), [&](auto zero) { launch_naive<Mean<decltype(zero)>, decltype(zero)>(reduction, x, output); });
}
void two_stage_mean(const ReducedDimensions& reduction, const NDArray& x, NDArray& output) {
    dispatch_floating_device(
        x.dtype(), [&](auto zero) { launch_two_stage<Mean<decltype(zero)>, decltype(zero)>(reduction, x, output); });
}

template <class Team>
void launch_argmax(const NDArray& x, int64_t outer, int64_t length, int64_t inner, NDArray& output) {
    dispatch_all_device(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch((argmax_of_team<Team, T>), blocks_of_teams<Team>(outer * inner), kTeamThreads, 0, x.data<T>(),
               output.data<int64_t>(), outer * inner, length, inner);
    });
}

template <ReductionKernel* two_stage_kernel, ReductionKernel* naive_kernel>
constexpr Rung<ReductionKernel> rungs[] = {
    {"two_stage",
     "Blocks reduce chunks through shuffles and shared memory, a second launch the chunks: a fixed order, no atomics.",
     75, two_stage_kernel},
    {"naive", "One thread a result walks over all its elements.", 75, naive_kernel},
};
constexpr Rung<ArgmaxKernel> kArgmaxRungs[] = {
    {"warp", "A warp a result: its lanes compare neighbours, then each other through shuffles.", 75,
     launch_argmax<OneWarp>},
    {"naive", "One thread a result walks over all its elements.", 75, launch_argmax<OneThread>},
};

}  // namespace

const DeviceLadder sum_ladder(kSumOp, rungs<two_stage<Sum>, naive<Sum>>);
const DeviceLadder mean_ladder(kMeanOp, rungs<two_stage_mean, naive_mean>);
const DeviceLadder amax_ladder(kAmaxOp, rungs<two_stage<Maximum>, naive<Maximum>>);
const DeviceLadder amin_ladder(kAminOp, rungs<two_stage<Minimum>, naive<Minimum>>);
const DeviceLadder argmax_ladder(kArgmaxOp, kArgmaxRungs);

}  // namespace mt
