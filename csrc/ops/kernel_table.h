// An op's table: which kernels compute it on which device. `mytensor.use_kernel("conv2d", "im2col_naive")` selects one
// by name; else the first of the device serves. The op checks and allocates, so all kernels of a table have one
// signature and assume valid input.
#pragma once

#include <atomic>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "../ndarray/ndarray.h"
#include "ladder.h"

namespace mt {

struct KernelInfo {
    Device device;
    const char* name;
    const char* description;  // one sentence for the reader: the idea of this kernel
    int oldest_gpu = 0;       // device kernels: the compute capability it needs at least, 10 * major + minor
};

// The ladder of csrc/cuda that registered for this op, as `device` runs it. nullptr where this build or machine has
// none. Throws nothing.
const DeviceLadder* device_ladder(Device device, const char* op);

// 10 * major + minor of the compute capability that kernels may use there: cuda's is that of the GPU at hand; the CPU
// and the emulator run every kernel.
int compute_capability(Device device);

// Throw NotSupported: the selected kernel needs a newer GPU; no kernel runs, or there is none.
[[noreturn]] void refuse_older_gpu(const char* op, const char* selected, int oldest_gpu, int capability);
[[noreturn]] void refuse_without_kernel(const char* op, Device device, int capability, bool has_none);

// Which of the rungs serves where the compute capability is this one: the selected one, else the first that runs.
// selected: nullptr for the default. Throws NotSupported when there is none, or when the selected one needs a newer
// GPU.
template <class Rungs>
auto& serving_rung(const char* op, const char* selected, Device device, const Rungs& rungs, int capability) {
    for (const auto& rung : rungs) {
        if (selected == nullptr || std::strcmp(selected, rung.name) != 0) continue;
        if (rung.oldest_gpu > capability) refuse_older_gpu(op, rung.name, rung.oldest_gpu, capability);
        return rung;
    }
    for (const auto& rung : rungs) {
        if (rung.oldest_gpu <= capability) return rung;
    }
    refuse_without_kernel(op, device, capability, rungs.begin() == rungs.end());
}

// What `kernels(op)` and `select_kernel(op, name)` need to know of a table, whatever its kernels' signature is.
class KernelTableBase {
 public:
    explicit KernelTableBase(const char* op);
    virtual ~KernelTableBase() = default;

    const char* op() const { return op_; }
    const char* selected() const { return selected_; }  // nullptr: the device's first

    // The kernels of a device, the default first.
    virtual std::vector<KernelInfo> kernels(Device device) const = 0;
    // Those of all devices: cpu, cuda, simt.
    std::vector<KernelInfo> kernels() const;
    // The kernel that serves there, as serving_rung() says.
    KernelInfo picked(Device device, int capability) const;
    KernelInfo picked(Device device) const { return picked(device, compute_capability(device)); }

    // Empty name: back to the default. Throws ValueError with the names there are.
    void select(const std::string& name);

 protected:
    const char* op_;
    // The name in its rung, which stays for good: set by one thread while others compute by it.
    std::atomic<const char*> selected_{nullptr};
};

template <class Kernel>
class KernelTable : public KernelTableBase {
 public:
    // cpu: the CPU's ladder. Those of cuda and simt have registered for the op.
    KernelTable(Op<Kernel> op, const Ladder<Kernel>& cpu) : KernelTableBase(op.name), cpu_(cpu) {}

    const Kernel& pick(Device device) const {
        return *serving_rung(op_, selected_, device, ladder(device), compute_capability(device)).kernel;
    }

    using KernelTableBase::kernels;
    std::vector<KernelInfo> kernels(Device device) const override {
        std::vector<KernelInfo> infos;
        for (const Rung<Kernel>& rung : ladder(device))
            infos.push_back({device, rung.name, rung.description, rung.oldest_gpu});
        return infos;
    }

 private:
    Ladder<Kernel> ladder(Device device) const {
        if (device == Device::cpu) return cpu_;
        const DeviceLadder* registered = device_ladder(device, op_);
        return registered == nullptr ? Ladder<Kernel>() : registered->rungs<Kernel>();
    }

    const Ladder<Kernel>& cpu_;
};

// All tables by op name. Throws ValueError for an op that has no table.
const std::map<std::string, KernelTableBase*>& kernel_tables();
KernelTableBase& kernel_table(const std::string& op);

}  // namespace mt
