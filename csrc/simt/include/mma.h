// Tensor cores: wmma fragments of bfloat16 (16 x 16 x 16, 32 x 8 x 16, 8 x 32 x 16) and of tf32 (16 x 16 x 8).
//
// Which lane holds which element of a matrix is CUDA's own business, and another here than on a GPU: lane t holds
// elements t, t + 32, t + 64 ... of the matrix in row-major order. Sums are made in float, in another order than a
// GPU's.
#pragma once

#include "cuda_bf16.h"

// tf32: a float with 10 bits after the point, rounded to nearest, ties away from zero.
inline float __float_to_tf32(float value) {
    if (value != value || value - value != 0) return value;  // NaN, infinity
    return __uint_as_float((__float_as_uint(value) + 0x1000u) & ~0x1fffu);
}

namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
namespace precision {
struct tf32;
}
enum layout_t { mem_row_major, mem_col_major };

// What an element is stored as.
template <class T>
struct Stored {
    using type = T;
};
template <>
struct Stored<precision::tf32> {
    using type = float;
};

template <class Use, int M, int N, int K>
struct Extent;
template <int M, int N, int K>
struct Extent<matrix_a, M, N, K> {
    static constexpr int rows = M, columns = K;
};
template <int M, int N, int K>
struct Extent<matrix_b, M, N, K> {
    static constexpr int rows = K, columns = N;
};
template <int M, int N, int K>
struct Extent<accumulator, M, N, K> {
    static constexpr int rows = M, columns = N;
};

// What one lane holds of a matrix.
template <class Use, int M, int N, int K, class T, class Layout = void>
struct fragment {
    using element_type = typename Stored<T>::type;
    using storage_element_type = element_type;
    static constexpr int rows = Extent<Use, M, N, K>::rows;
    static constexpr int columns = Extent<Use, M, N, K>::columns;
    static constexpr int num_elements = rows * columns / 32;
    element_type x[num_elements];
};

namespace detail {

// Element `number` (row-major) of a matrix in memory.
template <class Fragment>
size_t place_of(int number, unsigned int stride, bool is_row_major) {
    const auto row = static_cast<size_t>(number / Fragment::columns),
               column = static_cast<size_t>(number % Fragment::columns);
    return is_row_major ? row * stride + column : column * stride + row;
}

template <class Fragment, class T>
SIMT_UNSEEN void load(Fragment& to, const T* from, unsigned int stride, bool is_row_major, mt::simt::Place place) {
    mt::simt::warp_call(0xffffffffu, "load_matrix_sync", nullptr, nullptr, place);
    for (int i = 0; i < Fragment::num_elements; i++) {
        const T* element = from + place_of<Fragment>(i * 32 + mt::simt::lane_id(), stride, is_row_major);
        mt::simt::report_access(mt::simt::AccessKind::read, element, sizeof(T), place);
        to.x[i] = *element;
    }
}

// A lane's fragments of D = A * B + C.
template <class D, class A, class B, class C>
struct Product {
    D* d;
    const A* a;
    const B* b;
    const C* c;
};

// What a tensor core reads of a float as tf32: it ignores the lowest bits, whether or not they were rounded before.
SIMT_UNSEEN float operand(float value, precision::tf32*) { return __uint_as_float(__float_as_uint(value) & ~0x1fffu); }
template <class T>
SIMT_UNSEEN float operand(T value, T*) {
    return value;
}

template <class T, class D, class A, class B, class C>
SIMT_UNSEEN void multiply(uint32_t lanes, void** operands) {
    using Lane = Product<D, A, B, C>;
    if (lanes != 0xffffffffu) mt::simt::fail("mma_sync: lanes of the warp are missing", {});
    const auto lane = [operands](int number) { return static_cast<Lane*>(operands[number % 32]); };
    for (int m = 0; m < D::rows; m++) {
        for (int n = 0; n < D::columns; n++) {
            const int number = m * D::columns + n;
            float sum = lane(number)->c->x[number / 32];
            for (int k = 0; k < A::columns; k++) {
                const int a = m * A::columns + k, b = k * B::columns + n;
                sum += operand(lane(a)->a->x[a / 32], static_cast<T*>(nullptr)) *
                       operand(lane(b)->b->x[b / 32], static_cast<T*>(nullptr));
            }
            lane(number)->d->x[number / 32] = sum;
        }
    }
}

}  // namespace detail

template <class Fragment, class T>
void fill_fragment(Fragment& fragment, T value) {
    for (int i = 0; i < Fragment::num_elements; i++) fragment.x[i] = value;
}

template <class Use, int M, int N, int K, class T, class P>
void load_matrix_sync(fragment<Use, M, N, K, T, row_major>& to, const P* from, unsigned int stride, SIMT_PLACE) {
    detail::load(to, from, stride, true, {file, line});
}
template <class Use, int M, int N, int K, class T, class P>
void load_matrix_sync(fragment<Use, M, N, K, T, col_major>& to, const P* from, unsigned int stride, SIMT_PLACE) {
    detail::load(to, from, stride, false, {file, line});
}
template <int M, int N, int K, class T, class P>
void load_matrix_sync(fragment<accumulator, M, N, K, T>& to, const P* from, unsigned int stride, layout_t layout,
                      SIMT_PLACE) {
    detail::load(to, from, stride, layout == mem_row_major, {file, line});
}

template <int M, int N, int K, class T, class P>
SIMT_UNSEEN void store_matrix_sync(P* to, const fragment<accumulator, M, N, K, T>& from, unsigned int stride,
                                   layout_t layout, SIMT_PLACE) {
    using Fragment = fragment<accumulator, M, N, K, T>;
    mt::simt::warp_call(0xffffffffu, "store_matrix_sync", nullptr, nullptr, {file, line});
    for (int i = 0; i < Fragment::num_elements; i++) {
        P* element = to + detail::place_of<Fragment>(i * 32 + mt::simt::lane_id(), stride, layout == mem_row_major);
        mt::simt::report_access(mt::simt::AccessKind::write, element, sizeof(P), {file, line});
        *element = from.x[i];
    }
}

// D = A * B + C; D may be C.
template <int M, int N, int K, class T, class LayoutA, class LayoutB, class Sum>
void mma_sync(fragment<accumulator, M, N, K, Sum>& d, const fragment<matrix_a, M, N, K, T, LayoutA>& a,
              const fragment<matrix_b, M, N, K, T, LayoutB>& b, const fragment<accumulator, M, N, K, Sum>& c,
              SIMT_PLACE) {
    using D = fragment<accumulator, M, N, K, Sum>;
    using A = fragment<matrix_a, M, N, K, T, LayoutA>;
    using B = fragment<matrix_b, M, N, K, T, LayoutB>;
    detail::Product<D, A, B, D> mine = {&d, &a, &b, &c};
    mt::simt::warp_call(0xffffffffu, "mma_sync", &mine, detail::multiply<T, D, A, B, D>, {file, line});
}

}  // namespace nvcuda::wmma
