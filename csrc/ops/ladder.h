// A ladder: the kernels that compute an op on one device, its rungs, the default first. It stands at the end of the
// file of its kernels, and this is how ops/ gets to know it, which includes no kernel:
//
//   ops/sgd.h      constexpr Op<SgdKernel> kSgdOp{"sgd_step_"};
//                  namespace cpu { extern const Ladder<SgdKernel> sgd_ladder; }
//   cpu/sgd.cpp    constexpr Rung<SgdKernel> kRungs[] = {{"all_at_once", "one sentence", sgd_step}};
//                  constexpr Ladder<SgdKernel> sgd_ladder(kRungs);
//   cuda/sgd.cu    constexpr Rung<SgdKernel> kRungs[] = {{"multi_tensor", "one sentence", 75, launch_list}, ...};
//                  const DeviceLadder sgd_ladder(kSgdOp, kRungs);
//   ops/sgd.cpp    KernelTable table(kSgdOp, cpu::sgd_ladder);
//
// A kernel of another type than the op's does not compile.
#pragma once

#include <cstddef>

namespace mt {

// The name of an op and what a kernel of it is: a function type, or a structure of several functions.
template <class Kernel>
struct Op {
    const char* name;
};

template <class Kernel>
struct Rung {
    const char* name;
    const char* description;  // one sentence for the reader: the idea of this kernel
    int oldest_gpu;           // device kernels: the compute capability it needs at least, 10 * major + minor
    const Kernel* kernel;

    constexpr Rung(const char* name, const char* description, const Kernel* kernel)
        : Rung(name, description, 0, kernel) {}
    constexpr Rung(const char* name, const char* description, int oldest_gpu, const Kernel* kernel)
        : name(name), description(description), oldest_gpu(oldest_gpu), kernel(kernel) {}
};

// No rungs: there is no ladder.
template <class Kernel>
class Ladder {
 public:
    constexpr Ladder() = default;
    template <size_t count>
    constexpr explicit Ladder(const Rung<Kernel> (&rungs)[count]) : Ladder(rungs, count) {}
    constexpr Ladder(const Rung<Kernel>* rungs, size_t count) : begin_(rungs), end_(rungs + count) {}

    const Rung<Kernel>* begin() const { return begin_; }
    const Rung<Kernel>* end() const { return end_; }

 private:
    const Rung<Kernel>* begin_ = nullptr;
    const Rung<Kernel>* end_ = nullptr;
};

// A ladder of csrc/cuda, which links itself into the list of its library when that is loaded: the extension's is
// device cuda's, those of the emulator's libraries are simt's.
class DeviceLadder {
 public:
    template <class Kernel, size_t count>
    DeviceLadder(Op<Kernel> op, const Rung<Kernel> (&rungs)[count])
        : op_(op.name), rungs_(rungs), count_(count), next_(first_) {
        first_ = this;
    }

    static const DeviceLadder* first() { return first_; }
    const DeviceLadder* next() const { return next_; }

    const char* op() const { return op_; }
    // Kernel: the type that the Op of this name has.
    template <class Kernel>
    Ladder<Kernel> rungs() const {
        return {static_cast<const Rung<Kernel>*>(rungs_), count_};
    }

 private:
    static inline const DeviceLadder* first_ = nullptr;  // each library has its own

    const char* op_;
    const void* rungs_;
    size_t count_;
    const DeviceLadder* next_;
};

}  // namespace mt

// The first of a library's list. A C function, so that it can be found by name in the emulator's libraries.
extern "C" __attribute__((visibility("default"))) const mt::DeviceLadder* mytensor_device_ladders();
