// Random draws, and the generator behind them.
#include "../ops/random.h"

#include "../cpu/philox.h"
#include "bindings.h"

namespace mt {
namespace {

using Draw = NDArray (*)(const Shape&, double, double, uint64_t, uint64_t, DType, Device);

template <Draw Function>
void def_draw(py::module_& m, const char* op, const char* first, const char* second, const char* doc) {
    def_op(
        m, op,
        [](const Shape& shape, double a, double b, uint64_t seed, uint64_t offset, DType dtype,
           const std::string& device) { return Function(shape, a, b, seed, offset, dtype, parse_device(device)); },
        doc, py::arg("shape"), py::arg(first), py::arg(second), py::arg("seed"), py::arg("offset"),
        py::arg("dtype") = DType::float32, py::arg("device") = "cpu");
}

}  // namespace

void bind_random(py::module_& m) {
    def_draw<&uniform>(m, "uniform", "low", "high",
                       "Numbers drawn uniformly from [low, high). "
                       "Element i of a float32 array comes from Philox4x32-10's counter offset + i // 4, "
                       "of a float64 array from offset + i // 2; seed is the key.");
    def_draw<&normal>(m, "normal", "mean", "std",
                      "Numbers drawn from the normal distribution, by Box-Muller from the same counters as uniform's.");
    m.def(
        "philox",
        [](const cpu::PhiloxCounter& counter, const cpu::PhiloxKey& key) { return cpu::philox(counter, key); },
        py::arg("counter"), py::arg("key"),
        "Philox4x32-10 itself: four 32-bit words from a counter of four and a key of two, least significant first. "
        "All draws are made of it.");
}

}  // namespace mt
