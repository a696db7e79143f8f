// What an error of CUDA is told with: the kernels launched last, how, and for which op on which arrays.
//
// A kernel runs after launch() has returned, so its error appears at some later call. Each launch is noted, together
// with the op that is under way in this thread (bindings/op_scope.h). Notes are plain numbers of a fixed size: a launch
// must stay cheap. They become text only when an error is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "../../base/error.h"

namespace mt::cuda {

constexpr int kNotedArrays = 6;
constexpr int kNotedDimensions = 6;

struct ArrayNote {
    const char* argument;  // its name in Python; a literal
    const char* type;      // "float32"; "" for an argument that is itself a shape; a literal
    int ndim;
    int64_t shape[kNotedDimensions];
};

struct OpNote {
    const char* op = nullptr;  // a literal; nullptr: nobody said
    int arrays = 0;            // of its arguments; only the first kNotedArrays stand in `array`
    ArrayNote array[kNotedArrays];

    void clear() {
        op = nullptr;
        arrays = 0;
    }
    void add(const char* argument, const char* type, const Shape& shape);
};

// The op under way in this thread.
OpNote& op_under_way() noexcept;

struct LaunchNote {
    const char* arguments;  // the text of launch()'s arguments, a literal
    uint32_t grid[3], block[3];
    size_t shared_bytes;
    OpNote op;
};

// Notes a launch of the op under way.
void note_launch(const char* arguments, const uint32_t (&grid)[3], const uint32_t (&block)[3], size_t shared_bytes);

// A paragraph: the launches noted last, the latest first; with the default, as many as are kept. "" if there are none.
std::string latest_launches(size_t most = 4);

}  // namespace mt::cuda
