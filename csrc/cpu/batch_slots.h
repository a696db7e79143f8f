// A sum over the images of a batch, shared by threads, with the same bits for any number of threads: the images are cut
// into slots whose number depends on the size of the batch alone, each slot is summed by one thread, and the slots'
// sums are added in order.
#pragma once

#include "parallel.h"

namespace mt::cpu {

struct BatchSlots {
    explicit BatchSlots(int64_t batch) : batch(batch), count(std::min<int64_t>(batch, 16)) {}

    int64_t batch;
    int64_t count;

    // The images of slot i are [begin(i), begin(i + 1)).
    int64_t begin(int64_t slot) const { return batch * slot / count; }

    // slot_sums (count, size) -> sum (size).
    template <class T>
    void add_up(const T* slot_sums, int64_t size, T* sum) const {
        parallel_for(size, 20'000 / (count + 1), [=, count = count](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++) {
                T total = 0;
                for (int64_t slot = 0; slot < count; slot++) total += slot_sums[slot * size + i];
                sum[i] = total;
            }
        });
    }
};

}  // namespace mt::cpu
