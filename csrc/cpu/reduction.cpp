// CPU kernels of the reductions.
//
//   sum, mean, amax, amin   one pass over x in its own order, in blocks whose size depends on the shape alone; the
//                           blocks' results are combined pairwise
//   argmax                  compares row by row, so that neighbouring columns are done at once
#include "../ops/reduction.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "parallel.h"

namespace mt::cpu {
namespace {

// Sums are kept in double (floating) or modulo 2^64 (integers).
//
// Error of a sum of n float32 or float64 numbers x, with e = 2^-53: a block adds at most kBlock numbers one after the
// other, and the blocks' sums are added pairwise, so the double result is within (kBlock + log2(n / kBlock) + 1) * e *
// sum|x|, about 4e-13 * sum|x|; a float32 result is rounded once more.
template <class T>
struct Sum {
    using Accumulator = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
    using Result = std::conditional_t<std::is_floating_point_v<T>, T, int64_t>;
    static constexpr Accumulator start() { return 0; }
    static Accumulator include(Accumulator total, T value) { return total + static_cast<Accumulator>(value); }
    static Accumulator merge(Accumulator a, Accumulator b) { return a + b; }
    static Result finish(Accumulator total, int64_t) { return static_cast<Result>(total); }
};

template <class T>
struct Mean : Sum<T> {
    static T finish(double total, int64_t count) { return static_cast<T>(total / static_cast<double>(count)); }
};

// A NaN stays once it is there, and replaces any number.
template <class T>
struct Maximum {
    using Accumulator = T;
    using Result = T;
    static constexpr T start() {
        return std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
    }
    static T include(T best, T value) { return (value > best) | (value != value) ? value : best; }
    static T merge(T a, T b) { return include(a, b); }
    static T finish(T best, int64_t) { return best; }
};

template <class T>
struct Minimum {
    using Accumulator = T;
    using Result = T;
    static constexpr T start() {
        return std::is_floating_point_v<T> ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
    }
    static T include(T best, T value) { return (value < best) | (value != value) ? value : best; }
    static T merge(T a, T b) { return include(a, b); }
    static T finish(T best, int64_t) { return best; }
};

constexpr int64_t kBlock = 4096;   // elements of one result that are combined one after the other
constexpr int64_t kColumns = 256;  // neighbouring results that are computed at once, where the last dimension is kept
constexpr int64_t kLanes = 16;     // partial results side by side, where the last dimension is reduced
constexpr int64_t kGrain = 32768;  // elements a thread

// A walk over some of an array's dimensions, as nested loops: where does place number `index` lie?
struct Walk {
    Shape shape;
    Shape strides;
    int64_t count = 1;

    void add(int64_t size, int64_t stride) {
        shape.push_back(size);
        strides.push_back(stride);
        count *= size;
    }
    int64_t offset(int64_t index) const {
        int64_t at = 0;
        for (size_t dim = shape.size(); dim-- > 0;) {
            at += index % shape[dim] * strides[dim];
            index /= shape[dim];
        }
        return at;
    }
};

// The dimensions before the last, apart: those that are kept and those that are reduced.
struct Walks {
    Walk kept, reduced;

    explicit Walks(const ReducedDimensions& reduction) {
        Shape strides(reduction.shape.size(), 1);
        for (size_t dim = strides.size(); dim-- > 1;) strides[dim - 1] = strides[dim] * reduction.shape[dim];
        for (size_t dim = 0; dim + 1 < strides.size(); dim++) {
            (reduction.is_reduced[dim] ? reduced : kept).add(reduction.shape[dim], strides[dim]);
        }
    }
};

// Combines `count` results that lie `step` apart, halves first: the error grows with log2(count) only.
template <class Reducer>
typename Reducer::Accumulator merge_pairwise(const typename Reducer::Accumulator* parts, int64_t count, int64_t step) {
    if (count == 0) return Reducer::start();
    if (count == 1) return *parts;
    const int64_t half = count / 2;
    return Reducer::merge(merge_pairwise<Reducer>(parts, half, step),
                          merge_pairwise<Reducer>(parts + half * step, count - half, step));
}

// lanes[i % kLanes] takes in values[i].
template <class Reducer, class T>
void include_run(const T* values, int64_t count, typename Reducer::Accumulator* lanes) {
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
#pragma omp simd
        for (int64_t lane = 0; lane < kLanes; lane++) lanes[lane] = Reducer::include(lanes[lane], values[i + lane]);
    }
    const int64_t rest = std::min(count - i, kLanes - 1);
    for (int64_t lane = 0; lane < rest; lane++) lanes[lane] = Reducer::include(lanes[lane], values[i + lane]);
}

// x: (kept and reduced dimensions, length), the last one reduced. The reduced elements of one result, number 0 to total
// - 1 in the order of memory, are cut into blocks of kBlock.
template <class Reducer, class T>
void reduce_last(const Walks& walks, int64_t length, const T* x, typename Reducer::Result* out) {
    using Accumulator = typename Reducer::Accumulator;
    const int64_t total = walks.reduced.count * length;
    const int64_t blocks = (total + kBlock - 1) / kBlock;
    std::vector<Accumulator> parts(walks.kept.count * blocks);
    const int64_t block_cost = std::max<int64_t>(std::min(total, kBlock), 1);
    parallel_for(walks.kept.count * blocks, std::max<int64_t>(kGrain / block_cost, 1), [&](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; item++) {
            const T* from = x + walks.kept.offset(item / blocks);
            int64_t at = item % blocks * kBlock;
            const int64_t stop = std::min(total, at + kBlock);
            Accumulator lanes[kLanes];
            std::fill_n(lanes, kLanes, Reducer::start());
            while (at < stop) {
                const int64_t run = at / length, column = at % length;
                const int64_t count = std::min(stop - at, length - column);
                include_run<Reducer>(from + walks.reduced.offset(run) + column, count, lanes);
                at += count;
            }
            parts[item] = merge_pairwise<Reducer>(lanes, kLanes, 1);
        }
    });
    parallel_for(walks.kept.count, std::max<int64_t>(kGrain / std::max<int64_t>(blocks, 1), 1),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t result = begin; result < end; result++) {
                         out[result] =
                             Reducer::finish(merge_pairwise<Reducer>(parts.data() + result * blocks, blocks, 1), total);
                     }
                 });
}

// totals[i] takes in row[i].
template <class Reducer, class T>
void include_row(const T* row, int64_t columns, typename Reducer::Accumulator* totals) {
#pragma omp simd
    for (int64_t i = 0; i < columns; i++) totals[i] = Reducer::include(totals[i], row[i]);
}

// x: (kept and reduced dimensions, columns), the last one kept: whole rows are combined. A result's rows are cut into
// blocks so that an item takes in about kBlock elements, and columns into groups of kColumns.
template <class Reducer, class T>
void reduce_rows(const Walks& walks, int64_t columns, const T* x, typename Reducer::Result* out) {
    using Accumulator = typename Reducer::Accumulator;
    const int64_t rows = walks.reduced.count;
    const int64_t width = std::min(columns, kColumns);
    const int64_t groups = (columns + width - 1) / width;
    const int64_t block_rows = std::max<int64_t>(kBlock / width, 64);
    const int64_t blocks = (rows + block_rows - 1) / block_rows;
    std::vector<Accumulator> parts(walks.kept.count * blocks * columns);  // (kept, blocks, columns)
    const int64_t block_cost = std::max<int64_t>(std::min(rows, block_rows) * width, 1);
    parallel_for(walks.kept.count * blocks * groups, std::max<int64_t>(kGrain / block_cost, 1),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t item = begin; item < end; item++) {
                         const int64_t first_column = item % groups * width;
                         const int64_t block = item / groups % blocks;
                         const int64_t kept = item / groups / blocks;
                         const int64_t count = std::min(width, columns - first_column);
                         const T* from = x + walks.kept.offset(kept) + first_column;
                         Accumulator totals[kColumns];
                         std::fill_n(totals, count, Reducer::start());
                         for (int64_t row = block * block_rows; row < std::min(rows, (block + 1) * block_rows); row++) {
                             include_row<Reducer>(from + walks.reduced.offset(row), count, totals);
                         }
                         std::copy_n(totals, count, parts.data() + (kept * blocks + block) * columns + first_column);
                     }
                 });
    parallel_for(walks.kept.count * columns, std::max<int64_t>(kGrain / std::max<int64_t>(blocks, 1), 1),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t result = begin; result < end; result++) {
                         const Accumulator* first =
                             parts.data() + result / columns * blocks * columns + result % columns;
                         out[result] = Reducer::finish(merge_pairwise<Reducer>(first, blocks, columns), rows);
                     }
                 });
}

template <class Reducer, class T>
void reduce(const ReducedDimensions& reduction, const NDArray& x, NDArray& out) {
    const Walks walks(reduction);
    auto* results = out.data<typename Reducer::Result>();
    if (reduction.is_reduced.back())
        reduce_last<Reducer>(walks, reduction.shape.back(), x.data<T>(), results);
    else
        reduce_rows<Reducer>(walks, reduction.shape.back(), x.data<T>(), results);
}

void sum(const ReducedDimensions& reduction, const NDArray& x, NDArray& out) {
    dispatch_all(x.dtype(), [&](auto zero) { reduce<Sum<decltype(zero)>, decltype(zero)>(reduction, x, out); });
}

void mean(const ReducedDimensions& reduction, const NDArray& x, NDArray& out) {
    dispatch_floating(x.dtype(), [&](auto zero) { reduce<Mean<decltype(zero)>, decltype(zero)>(reduction, x, out); });
}

void amax(const ReducedDimensions& reduction, const NDArray& x, NDArray& out) {
    dispatch_all(x.dtype(), [&](auto zero) { reduce<Maximum<decltype(zero)>, decltype(zero)>(reduction, x, out); });
}

void amin(const ReducedDimensions& reduction, const NDArray& x, NDArray& out) {
    dispatch_all(x.dtype(), [&](auto zero) { reduce<Minimum<decltype(zero)>, decltype(zero)>(reduction, x, out); });
}

// Results [first, first + count) of one outer index, at most kColumns: best[i] is the largest so far of column i,
// out[i] its place.
template <class T>
void argmax_columns(const T* x, int64_t length, int64_t inner, int64_t count, int64_t* out) {
    T best[kColumns];
    std::copy_n(x, count, best);
    std::fill_n(out, count, int64_t{0});
    for (int64_t place = 1; place < length; place++) {
        const T* row = x + place * inner;
#pragma omp simd
        for (int64_t i = 0; i < count; i++) {
            // Larger, or the first NaN: nothing beats a NaN that came before.
            const bool is_better = (row[i] > best[i]) | ((row[i] != row[i]) & (best[i] == best[i]));
            best[i] = is_better ? row[i] : best[i];
            out[i] = is_better ? place : out[i];
        }
    }
}

void argmax(const NDArray& x, int64_t outer, int64_t length, int64_t inner, NDArray& out) {
    const int64_t width = std::max<int64_t>(std::min(inner, kColumns), 1);
    const int64_t groups = (inner + width - 1) / width;
    dispatch_all(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* from = x.data<T>();
        int64_t* to = out.data<int64_t>();
        parallel_for(outer * groups, std::max<int64_t>(kGrain / (length * width), 1), [=](int64_t begin, int64_t end) {
            for (int64_t item = begin; item < end; item++) {
                const int64_t row = item / groups, first = item % groups * width;
                argmax_columns(from + row * length * inner + first, length, inner, std::min(width, inner - first),
                               to + row * inner + first);
            }
        });
    });
}

template <ReductionKernel* kernel>
constexpr Rung<ReductionKernel> blocked[] = {
    {"blocked", "blocks of a fixed size, vectorised, combined pairwise", kernel}};
constexpr Rung<ArgmaxKernel> kArgmaxRungs[] = {{"columns", "compares neighbouring columns at once", argmax}};

}  // namespace

constexpr Ladder<ReductionKernel> sum_ladder(blocked<sum>);
constexpr Ladder<ReductionKernel> mean_ladder(blocked<mean>);
constexpr Ladder<ReductionKernel> amax_ladder(blocked<amax>);
constexpr Ladder<ReductionKernel> amin_ladder(blocked<amin>);
constexpr Ladder<ArgmaxKernel> argmax_ladder(kArgmaxRungs);

}  // namespace mt::cpu
