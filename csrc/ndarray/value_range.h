// Between which values an array's elements lie: how ops check labels and indices that are on a GPU.
//
// A wrong index must be an IndexError, not a read of foreign memory. On the CPU the op looks at every element before
// the kernel runs. To look at a GPU's memory, the CPU would have to wait for the GPU at every step of training. So a
// storage remembers the smallest and the largest of its elements once they are known, until something writes to it: an
// array of indices brings them along when it is copied from the CPU, what is selected from it lies between the same
// two, and max_pool2d knows how large its indices can be.
#pragma once

#include "ndarray.h"

namespace mt {

// Whether low <= every element < high is known. On devices other than the CPU: true, or the elements break the rule
// (one of them; NaN does too). What is not known is looked up. On the CPU always false: there, ops look for themselves,
// and name the place. float32 and int64.
bool known_to_lie_in(const NDArray& array, double low, double high);

// The op that wrote `array` knows that lowest <= every element <= highest.
void note_range(NDArray& array, double lowest, double highest);

// `to` holds elements of `from` only.
void inherit_range(NDArray& to, const NDArray& from);

// The same where `to` is the copy of an array on the CPU: int64 arrays, which serve as indices, are looked through.
void bring_range(NDArray& to, const NDArray& on_cpu);

}  // namespace mt
