// How the softmax family walks an array. Its functions work along one dimension: seen as (outer, length, inner), the
// array consists of outer * inner slices of `length` elements each, which lie `inner` apart. Slice number o * inner + i
// begins at element (o, 0, i).
//
// Two shapes of the same walk, so that a kernel is written once:
//
//   RowSlice, where inner = 1: a slice is contiguous. A register holds kLanes elements of one slice, and a sum ends by
//   adding up the lanes.
//
//   NeighbourSlices, where inner > 1: a register holds the same element of kLanes neighbouring slices, one a lane.
//
// A step reads or writes one register; `steps` of them go through the slice or slices.
#pragma once

#include <limits>

#include "parallel.h"
#include "simd.h"

namespace mt::cpu {

template <class T>
inline Vector<T> every_lane(T value) {
    return Vector<T>{} + value;
}

template <class T>
class RowSlice {
 public:
    RowSlice(int64_t slice, int64_t length)
        : first_slice(slice),
          slices(1),
          steps(divide_up(length, kLanes<T>)),
          element_stride(1),
          begin_(slice * length),
          length_(length) {}

    const int64_t first_slice, slices, steps, element_stride;

    int64_t begin(int64_t) const { return begin_; }

    // Lanes beyond the end of the slice hold `padding`.
    Vector<T> load(const T* array, int64_t step, T padding) const { return load_padded(array + begin_, step, padding); }
    void store(T* array, int64_t step, Vector<T> values) const {
        T* to = array + begin_ + step * kLanes<T>;
        const int64_t left = length_ - step * kLanes<T>;
        if (left >= kLanes<T>)
            cpu::store<T>(to, values);
        else
            store_first<T>(to, values, left);
    }
    // One number for each element along the dimension, the same for every slice: class weights.
    Vector<T> load_per_element(const T* numbers, int64_t step) const { return load_padded(numbers, step, T{0}); }
    // One number for each slice.
    Vector<T> load_per_slice(const T* numbers) const { return every_lane(numbers[first_slice]); }
    void store_per_slice(T* numbers, Vector<T> values) const { numbers[first_slice] = values[0]; }

    // Of the whole slice, in every lane.
    Vector<T> maximum(Vector<T> lanes) const {
        T best = lanes[0];
        for (int lane = 1; lane < kLanes<T>; lane++) best = lanes[lane] > best ? lanes[lane] : best;
        return every_lane(best);
    }
    Vector<T> sum(Vector<T> lanes) const {
        T total = 0;
        for (int lane = 0; lane < kLanes<T>; lane++) total += lanes[lane];
        return every_lane(total);
    }

 private:
    Vector<T> load_padded(const T* row, int64_t step, T padding) const {
        const int64_t left = length_ - step * kLanes<T>;
        if (left >= kLanes<T>) return cpu::load(row + step * kLanes<T>);
        Vector<T> values = every_lane(padding);
        std::memcpy(&values, row + step * kLanes<T>, static_cast<size_t>(left) * sizeof(T));
        return values;
    }

    int64_t begin_, length_;
};

template <class T>
class NeighbourSlices {
 public:
    // `slices` of them, at most kLanes, from (outer, :, first_inner) on. Lanes beyond hold padding, of which nothing is
    // stored.
    NeighbourSlices(int64_t outer, int64_t first_inner, int64_t slices, int64_t length, int64_t inner)
        : first_slice(outer * inner + first_inner),
          slices(slices),
          steps(length),
          element_stride(inner),
          begin_(outer * length * inner + first_inner) {}

    const int64_t first_slice, slices, steps, element_stride;

    int64_t begin(int64_t slice) const { return begin_ + slice; }

    Vector<T> load(const T* array, int64_t step, T) const {
        return load_slices(array + begin_ + step * element_stride);
    }
    void store(T* array, int64_t step, Vector<T> values) const {
        store_slices(array + begin_ + step * element_stride, values);
    }
    Vector<T> load_per_element(const T* numbers, int64_t step) const { return every_lane(numbers[step]); }
    Vector<T> load_per_slice(const T* numbers) const { return load_slices(numbers + first_slice); }
    void store_per_slice(T* numbers, Vector<T> values) const { store_slices(numbers + first_slice, values); }

    Vector<T> maximum(Vector<T> lanes) const { return lanes; }
    Vector<T> sum(Vector<T> lanes) const { return lanes; }

 private:
    Vector<T> load_slices(const T* from) const {
        return slices == kLanes<T> ? cpu::load(from) : load_first(from, slices);
    }
    void store_slices(T* to, Vector<T> values) const {
        if (slices == kLanes<T>)
            cpu::store<T>(to, values);
        else
            store_first<T>(to, values, slices);
    }

    int64_t begin_;
};

// Calls body(RowSlice) or body(NeighbourSlices) until all slices of an (outer, length, inner) array were visited; body
// is a generic lambda.
template <class T, class Body>
void for_each_slice(int64_t outer, int64_t length, int64_t inner, const Body& body) {
    constexpr int64_t kElementsPerThread = 4096;
    const int64_t groups = inner == 1 ? 1 : divide_up(inner, kLanes<T>);  // of neighbouring slices
    const int64_t elements = std::max<int64_t>(1, inner == 1 ? length : length * std::min<int64_t>(inner, kLanes<T>));
    parallel_for(outer * groups, std::max<int64_t>(1, kElementsPerThread / elements), [&](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; item++) {
            if (inner == 1) {
                body(RowSlice<T>(item, length));
            } else {
                const int64_t first = item % groups * kLanes<T>;
                body(NeighbourSlices<T>(item / groups, first, std::min<int64_t>(kLanes<T>, inner - first), length,
                                        inner));
            }
        }
    });
}

// The largest element of each slice; minus infinity when it has none. NaN is passed over: it comes back by way of the
// sum.
template <class T, class Slices>
inline Vector<T> slice_maximum(const Slices& slices, const T* x) {
    constexpr T kLowest = -std::numeric_limits<T>::infinity();
    Vector<T> best = every_lane(kLowest);
    for (int64_t step = 0; step < slices.steps; step++) {
        const Vector<T> values = slices.load(x, step, kLowest);
        best = values > best ? values : best;
    }
    return slices.maximum(best);
}

}  // namespace mt::cpu
