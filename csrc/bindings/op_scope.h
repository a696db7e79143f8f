// What surrounds an op that Python calls: a range for the profiler, a note for the error messages of device cuda (the
// op's name and its arguments' shapes), and the uses of a GPU's arrays on streams that they were not allocated for.
//
// It stands around every op, so it costs next to nothing where no GPU is involved: two loads and a look at each array.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "../device/cuda/launch_notes.h"
#include "../device/cuda/nvtx.h"
#include "../ndarray/ndarray.h"

namespace mt {

// An op and the names of its arguments, as Python knows them. Lives as long as the module.
struct OpSignature {
    const char* op;
    std::vector<const char*> arguments;

    const char* argument(size_t number) const { return number < arguments.size() ? arguments[number] : "argument"; }
};

class OpScope {
 public:
    template <class... Arguments>
    explicit OpScope(const OpSignature& signature, const Arguments&... arguments)
        : note_(cuda::op_under_way()), is_annotated_(cuda::annotates_ops.load(std::memory_order_relaxed)) {
        if (is_annotated_) cuda::push_range(signature.op);
        note_.op = signature.op;
        size_t number = 0;
        (look_at(signature.argument(number++), arguments), ...);
    }
    ~OpScope() {
        note_.clear();
        if (is_annotated_) cuda::pop_range();
    }
    OpScope(const OpScope&) = delete;
    OpScope& operator=(const OpScope&) = delete;

 private:
    void look_at(const char* argument, const NDArray& array) {
        if (array.device() == Device::cuda) note_array(argument, array);
    }
    void look_at(const char* argument, const std::optional<NDArray>& array) {
        if (array) look_at(argument, *array);
    }
    void look_at(const char* argument, const std::vector<NDArray>& arrays) {
        for (const NDArray& array : arrays) look_at(argument, array);
    }
    void look_at(const char* argument, const Shape& shape) { note_.add(argument, "", shape); }
    template <class Other>
    void look_at(const char*, const Other&) {}

    void note_array(const char* argument, const NDArray& array);

    cuda::OpNote& note_;
    bool is_annotated_;
};

}  // namespace mt
