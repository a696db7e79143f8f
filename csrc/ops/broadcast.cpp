#include "broadcast.h"

#include <algorithm>

namespace mt {
namespace {

// The size of `shape` in the dimension that is `from_last` places before the last; 1 where there is none.
int64_t size_from_last(const Shape& shape, size_t from_last) {
    return from_last < shape.size() ? shape[shape.size() - 1 - from_last] : 1;
}

// Can dimension `outer`, which lies before `inner`, be walked with it as one?
template <size_t Inputs>
bool can_join(const std::array<int64_t, Inputs>& outer, const std::array<int64_t, Inputs>& inner, int64_t inner_size) {
    for (size_t input = 0; input < Inputs; input++) {
        if (outer[input] != inner[input] * inner_size) return false;
    }
    return true;
}

}  // namespace

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
    Shape out(std::max(a.size(), b.size()));
    for (size_t from_last = 0; from_last < out.size(); from_last++) {
        const int64_t of_a = size_from_last(a, from_last), of_b = size_from_last(b, from_last);
        require<ValueError>(of_a == of_b || of_a == 1 || of_b == 1, op, ": shapes ", to_string(a), " and ",
                            to_string(b), " do not broadcast: in dimension -", from_last + 1, " they have ", of_a,
                            " and ", of_b, "; the two must be equal, or one of them 1");
        out[out.size() - 1 - from_last] = of_a == 1 ? of_b : of_a;
    }
    return out;
}

void require_broadcasts_to(const char* op, const Shape& source, const Shape& destination) {
    require<ValueError>(source.size() <= destination.size(), op, ": shape ", to_string(source),
                        " has more dimensions than ", to_string(destination), ", so it cannot be broadcast to it");
    for (size_t from_last = 0; from_last < source.size(); from_last++) {
        const int64_t from = size_from_last(source, from_last), to = size_from_last(destination, from_last);
        require<ValueError>(from == to || from == 1, op, ": shape ", to_string(source), " does not broadcast to ",
                            to_string(destination), ": in dimension -", from_last + 1, " it has ", from, " where ", to,
                            " or 1 is wanted");
    }
}

template <size_t Inputs>
Broadcast<Inputs> plan_broadcast(const char* op, const Shape& output,
                                 const std::array<const NDArray*, Inputs>& inputs) {
    // Gathered from the last dimension to the first, then turned around.
    Broadcast<Inputs> plan;
    plan.ndim = 0;
    plan.size = 1;
    std::array<int64_t, Inputs> next_stride;  // of an input's next dimension, were it not repeated
    next_stride.fill(1);
    for (size_t from_last = 0; from_last < output.size(); from_last++) {
        const int64_t size = size_from_last(output, from_last);
        plan.size *= size;
        if (size == 1) continue;
        std::array<int64_t, Inputs> strides;
        for (size_t input = 0; input < Inputs; input++) {
            const bool is_repeated = size_from_last(inputs[input]->shape(), from_last) == 1;
            strides[input] = is_repeated ? 0 : next_stride[input];
            if (!is_repeated) next_stride[input] *= size;
        }
        if (plan.ndim > 0 && can_join<Inputs>(strides, plan.strides[plan.ndim - 1], plan.shape[plan.ndim - 1])) {
            plan.shape[plan.ndim - 1] *= size;
            continue;
        }
        require<NotSupported>(plan.ndim < kMaxBroadcastDimensions, op, ": this broadcast to ", to_string(output),
                              " needs more than ", kMaxBroadcastDimensions, " nested loops; use fewer dimensions");
        plan.shape[plan.ndim] = size;
        plan.strides[plan.ndim] = strides;
        plan.ndim++;
    }
    if (plan.ndim == 0) {  // one element
        plan.shape[0] = 1;
        plan.strides[0].fill(1);
        plan.ndim = 1;
    }
    std::reverse(plan.shape.begin(), plan.shape.begin() + plan.ndim);
    std::reverse(plan.strides.begin(), plan.strides.begin() + plan.ndim);
    return plan;
}

template Broadcast<1> plan_broadcast(const char*, const Shape&, const std::array<const NDArray*, 1>&);
template Broadcast<2> plan_broadcast(const char*, const Shape&, const std::array<const NDArray*, 2>&);
template Broadcast<3> plan_broadcast(const char*, const Shape&, const std::array<const NDArray*, 3>&);

}  // namespace mt
