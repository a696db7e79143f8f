// CPU kernels for rows chosen by an index.
//
//   index_select            copies row by row
//   index_select_backward   each thread owns a range of output rows, reads the whole index, and adds the rows that
//                           belong to it: no two threads write one row, and the order of the additions is the index's
#include "../ops/rows.h"

#include <algorithm>
#include <cstring>

#include "parallel.h"

namespace mt::cpu {
namespace {

void index_select(const NDArray& x, const NDArray& index, NDArray& out) {
    const int64_t row_bytes = static_cast<int64_t>(out.bytes()) / index.size();
    const char* from = static_cast<const char*>(x.raw());
    char* to = static_cast<char*>(out.raw());
    const int64_t* row = index.data<int64_t>();
    parallel_for(index.size(), std::max<int64_t>(64 * 1024 / row_bytes, 1), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) std::memcpy(to + i * row_bytes, from + row[i] * row_bytes, row_bytes);
    });
}

void index_select_backward(const NDArray& upstream, const NDArray& index, NDArray& out) {
    const int64_t rows = out.shape(0), width = out.size() / rows, count = index.size();
    const int64_t* row = index.data<int64_t>();
    dispatch_floating(out.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* from = upstream.data<T>();
        T* to = out.data<T>();
        parallel_for(rows, std::max<int64_t>(32768 / width, 1), [=](int64_t begin, int64_t end) {
            std::fill(to + begin * width, to + end * width, T{0});
            for (int64_t i = 0; i < count; i++) {
                if (row[i] < begin || row[i] >= end) continue;
                const T* addend = from + i * width;
                T* sum = to + row[i] * width;
#pragma omp simd
                for (int64_t column = 0; column < width; column++) sum[column] += addend[column];
            }
        });
    });
}

constexpr Rung<RowsKernel> kRungs[] = {{"rows", "copies row by row", index_select}};
constexpr Rung<RowsKernel> kBackwardRungs[] = {
    {"owner", "each thread owns a range of output rows and adds what belongs there", index_select_backward}};

}  // namespace

constexpr Ladder<RowsKernel> index_select_ladder(kRungs);
constexpr Ladder<RowsKernel> index_select_backward_ladder(kBackwardRungs);

}  // namespace mt::cpu
