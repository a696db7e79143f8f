#include "elementwise.h"

#include "../device/device_memory.h"
#include "kernel_table.h"
#include "reduction.h"

namespace mt {
namespace {

using BinaryTable = KernelTable<BinaryKernel>;

BinaryTable add_table(kAddOp, cpu::add_ladder);
BinaryTable sub_table(kSubOp, cpu::sub_ladder);
BinaryTable mul_table(kMulOp, cpu::mul_ladder);
BinaryTable maximum_table(kMaximumOp, cpu::maximum_ladder);
BinaryTable minimum_table(kMinimumOp, cpu::minimum_ladder);
BinaryTable div_table(kDivOp, cpu::div_ladder);
BinaryTable div_trunc_table(kDivTruncOp, cpu::div_trunc_ladder);
BinaryTable div_floor_table(kDivFloorOp, cpu::div_floor_ladder);
BinaryTable pow_table(kPowOp, cpu::pow_ladder);
BinaryTable eq_table(kEqOp, cpu::eq_ladder);
BinaryTable ne_table(kNeOp, cpu::ne_ladder);
BinaryTable lt_table(kLtOp, cpu::lt_ladder);
BinaryTable le_table(kLeOp, cpu::le_ladder);
BinaryTable gt_table(kGtOp, cpu::gt_ladder);
BinaryTable ge_table(kGeOp, cpu::ge_ladder);
KernelTable where_table(kWhereOp, cpu::where_ladder);
KernelTable add_scaled_table(kAddScaledOp, cpu::add_scaled_ladder);
KernelTable broadcast_table(kBroadcastOp, cpu::broadcast_ladder);

void require_alike(const char* op, const char* a_name, const NDArray& a, const char* b_name, const NDArray& b) {
    require_same_dtype(op, a_name, a, b_name, b);
    require_same_device(op, a_name, a, b_name, b);
}

NDArray compute(const BinaryTable& table, const NDArray& a, const NDArray& b, DType out_dtype) {
    require_alike(table.op(), "a", a, "b", b);
    NDArray out = NDArray::empty(broadcast_shapes(table.op(), a.shape(), b.shape()), out_dtype, a.device());
    table.pick(a.device())(plan_broadcast<2>(table.op(), out.shape(), {&a, &b}), a, b, out);
    return out;
}

NDArray compute_floating(const BinaryTable& table, const NDArray& a, const NDArray& b) {
    require_floating(table.op(), "a", a);
    require_floating(table.op(), "b", b);
    return compute(table, a, b, a.dtype());
}

// Among whole numbers there is no infinity that could be the result of a division by 0.
NDArray compute_quotient(const BinaryTable& table, const NDArray& a, const NDArray& b) {
    require_alike(table.op(), "a", a, "b", b);
    if (!is_floating(b.dtype()) && a.size() > 0 && b.size() > 0) {
        const NDArray zero = array_of(table.op(), Number{false, 0.0, 0}, b.dtype(), b.device());
        const NDArray has_zero = amax(eq(b, zero), {}, false).to(Device::cpu);
        require<ValueError>(*has_zero.data<uint8_t>() == 0, table.op(), ": b (", describe(b),
                            ") holds a 0, and whole numbers cannot be divided by it; "
                            "convert both to floating numbers first, .float() on a Tensor, "
                            "or put another number for 0");
    }
    return compute(table, a, b, a.dtype());
}

// `source` as an in-place op may read it: itself, or a copy where writing `destination` would change elements that are
// still to be read. Element i is read when element i is written, so the same elements in the same order are fine.
NDArray unharmed(const NDArray& source, const NDArray& destination) {
    const auto* source_begin = static_cast<const char*>(source.raw());
    const auto* destination_begin = static_cast<const char*>(destination.raw());
    const bool is_apart =
        source_begin + source.bytes() <= destination_begin || destination_begin + destination.bytes() <= source_begin;
    const bool is_same = source_begin == destination_begin && source.size() == destination.size();
    return is_apart || is_same ? source : source.clone();
}

}  // namespace

NDArray add(const NDArray& a, const NDArray& b) { return compute(add_table, a, b, a.dtype()); }
NDArray sub(const NDArray& a, const NDArray& b) { return compute(sub_table, a, b, a.dtype()); }
NDArray mul(const NDArray& a, const NDArray& b) { return compute(mul_table, a, b, a.dtype()); }
NDArray maximum(const NDArray& a, const NDArray& b) { return compute(maximum_table, a, b, a.dtype()); }
NDArray minimum(const NDArray& a, const NDArray& b) { return compute(minimum_table, a, b, a.dtype()); }
NDArray div(const NDArray& a, const NDArray& b) { return compute_floating(div_table, a, b); }
NDArray div_trunc(const NDArray& a, const NDArray& b) { return compute_quotient(div_trunc_table, a, b); }
NDArray div_floor(const NDArray& a, const NDArray& b) { return compute_quotient(div_floor_table, a, b); }
NDArray pow(const NDArray& a, const NDArray& b) { return compute(pow_table, a, b, a.dtype()); }
NDArray eq(const NDArray& a, const NDArray& b) { return compute(eq_table, a, b, DType::uint8); }
NDArray ne(const NDArray& a, const NDArray& b) { return compute(ne_table, a, b, DType::uint8); }
NDArray lt(const NDArray& a, const NDArray& b) { return compute(lt_table, a, b, DType::uint8); }
NDArray le(const NDArray& a, const NDArray& b) { return compute(le_table, a, b, DType::uint8); }
NDArray gt(const NDArray& a, const NDArray& b) { return compute(gt_table, a, b, DType::uint8); }
NDArray ge(const NDArray& a, const NDArray& b) { return compute(ge_table, a, b, DType::uint8); }

NDArray where(const NDArray& mask, const NDArray& a, const NDArray& b) {
    const char* op = "where";
    require_dtype(op, "mask", mask, DType::uint8);
    require_alike(op, "a", a, "b", b);
    require_same_device(op, "mask", mask, "a", a);
    const Shape shape = broadcast_shapes(op, mask.shape(), broadcast_shapes(op, a.shape(), b.shape()));
    NDArray out = NDArray::empty(shape, a.dtype(), a.device());
    where_table.pick(a.device())(plan_broadcast<3>(op, shape, {&mask, &a, &b}), mask, a, b, out);
    return out;
}

NDArray broadcast_to(const NDArray& x, const Shape& shape) {
    const char* op = "broadcast_to";
    require_broadcasts_to(op, x.shape(), shape);
    NDArray out = NDArray::empty(shape, x.dtype(), x.device());
    broadcast_table.pick(x.device())(plan_broadcast<1>(op, shape, {&x}), x, out);
    return out;
}

NDArray add_(NDArray& destination, const NDArray& source, const Number& alpha) {
    const char* op = "add_";
    require_alike(op, "destination", destination, "source", source);
    require_broadcasts_to(op, source.shape(), destination.shape());
    const NDArray scale = operand_of(op, alpha, destination, Device::cpu);
    const NDArray from = unharmed(source, destination);
    add_scaled_table.pick(destination.device())(plan_broadcast<2>(op, destination.shape(), {&destination, &from}),
                                                scale, from, destination);
    destination.bump_version();
    return destination;
}

NDArray mul_(NDArray& destination, const NDArray& source) {
    const char* op = "mul_";
    require_alike(op, "destination", destination, "source", source);
    require_broadcasts_to(op, source.shape(), destination.shape());
    const NDArray from = unharmed(source, destination);
    mul_table.pick(destination.device())(plan_broadcast<2>(op, destination.shape(), {&destination, &from}), destination,
                                         from, destination);
    destination.bump_version();
    return destination;
}

NDArray copy_(NDArray& destination, const NDArray& source) {
    const char* op = "copy_";
    if (destination.device() != source.device()) {
        require_same_dtype(op, "destination", destination, "source", source);
        require<ValueError>(destination.shape() == source.shape(), op, ": destination has shape ",
                            to_string(destination.shape()), " and source ", to_string(source.shape()),
                            "; between devices both must have one shape");
        copy_bytes(destination.device(), destination.raw(), source.device(), source.raw(), source.bytes());
        destination.bump_version();
        return destination;
    }
    require_alike(op, "destination", destination, "source", source);
    require_broadcasts_to(op, source.shape(), destination.shape());
    const NDArray from = unharmed(source, destination);
    broadcast_table.pick(destination.device())(plan_broadcast<1>(op, destination.shape(), {&from}), from, destination);
    destination.bump_version();
    return destination;
}

}  // namespace mt
