// Broadcasting arithmetic, comparisons, and the ops that write in place.
#include "../ops/elementwise.h"
#include "../ops/fill_cast.h"
#include "number_caster.h"

namespace mt {
namespace {

// An op of two arrays, of an array and a number, and of a number and an array: a number takes the array's dtype.
template <NDArray (*Function)(const NDArray&, const NDArray&)>
void def_binary(py::module_& m, const char* op, const char* doc) {
    def_overload(m, op, Function, doc, py::arg("a"), py::arg("b"));  // first: the most frequent is tried first
    def_overload(
        m, op, [op](const NDArray& a, const Number& b) { return Function(a, operand_of(op, b, a)); }, "", py::arg("a"),
        py::arg("b"));
    def_op(
        m, op, [op](const Number& a, const NDArray& b) { return Function(operand_of(op, a, b), b); }, "", py::arg("a"),
        py::arg("b"));
}

}  // namespace

void bind_arithmetic(py::module_& m) {
    def_binary<&add>(m, "add", "a + b, broadcast. One dtype, any; integers wrap around.");
    def_binary<&sub>(m, "sub", "a - b, broadcast. One dtype, any; integers wrap around.");
    def_binary<&mul>(m, "mul", "a * b, broadcast. One dtype, any; integers wrap around.");
    def_binary<&div>(m, "div", "a / b, broadcast. float32 or float64.");
    def_binary<&div_trunc>(m, "div_trunc",
                           "a / b cut toward zero, broadcast. "
                           "One dtype, any; ValueError where a whole number is divided by 0.");
    def_binary<&div_floor>(m, "div_floor",
                           "The largest whole number that is not above a / b, broadcast. "
                           "One dtype, any; ValueError where a whole number is divided by 0.");
    def_binary<&pow>(m, "pow", "a to the power of b, broadcast. One dtype, any; integers wrap around.");
    def_binary<&maximum>(m, "maximum", "The larger of a and b, broadcast; NaN where one of them is NaN.");
    def_binary<&minimum>(m, "minimum", "The smaller of a and b, broadcast; NaN where one of them is NaN.");
    def_binary<&eq>(m, "eq", "a == b, broadcast: uint8, 1 where it holds.");
    def_binary<&ne>(m, "ne", "a != b, broadcast: uint8, 1 where it holds.");
    def_binary<&lt>(m, "lt", "a < b, broadcast: uint8, 1 where it holds.");
    def_binary<&le>(m, "le", "a <= b, broadcast: uint8, 1 where it holds.");
    def_binary<&gt>(m, "gt", "a > b, broadcast: uint8, 1 where it holds.");
    def_binary<&ge>(m, "ge", "a >= b, broadcast: uint8, 1 where it holds.");

    def_overload(m, "where", &where, "a's element where the uint8 mask is not 0, else b's; all three broadcast.",
                 py::arg("mask"), py::arg("a"), py::arg("b"));
    def_overload(
        m, "where",
        [](const NDArray& mask, const NDArray& a, const Number& b) {
            return where(mask, a, operand_of("where", b, a));
        },
        "", py::arg("mask"), py::arg("a"), py::arg("b"));
    def_op(
        m, "where",
        [](const NDArray& mask, const Number& a, const NDArray& b) {
            return where(mask, operand_of("where", a, b), b);
        },
        "", py::arg("mask"), py::arg("a"), py::arg("b"));

    const Number one{false, 1.0, 1};
    def_overload(m, "add_", &add_,
                 "a += alpha * b, in place; b is an array that broadcasts to a's shape, or a number. Returns a.",
                 py::arg("a"), py::arg("b"), py::arg("alpha") = one);
    def_op(
        m, "add_",
        [](NDArray& a, const Number& b, const Number& alpha) { return add_(a, operand_of("add_", b, a), alpha); }, "",
        py::arg("a"), py::arg("b"), py::arg("alpha") = one);
    def_overload(m, "mul_", &mul_,
                 "a *= b, in place; b is an array that broadcasts to a's shape, or a number. Returns a.", py::arg("a"),
                 py::arg("b"));
    def_op(
        m, "mul_", [](NDArray& a, const Number& b) { return mul_(a, operand_of("mul_", b, a)); }, "", py::arg("a"),
        py::arg("b"));
    def_op(m, "fill_", &fill_, "Makes every element of a the number `value`. Returns a.", py::arg("a"),
           py::arg("value"));
    def_op(m, "copy_", &copy_, "Copies source, broadcast, into destination; both have one dtype. Returns destination.",
           py::arg("destination"), py::arg("source"));
}

}  // namespace mt
