// An op's table: which kernels compute it on which device. `mytensor.use_kernel("conv2d", "im2col_naive")` selects one
// by name; else the first of the device serves. The op checks and allocates, so all kernels of a table have one
// signature and assume valid input.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "../cuda/kernels.h"
#include "../ndarray/ndarray.h"

namespace mt {

struct KernelInfo {
    Device device;
    const char* name;
    const char* description;  // one sentence for the reader: the idea of this kernel
    int oldest_gpu = 0;       // device kernels: the compute capability it needs at least, 10 * major + minor
};

// The kernels of csrc/cuda as `device` runs them. nullptr where this build or machine has none. Throws nothing.
const DeviceKernels* device_kernels(Device device);

// 10 * major + minor of the compute capability that kernels may use there: cuda's is that of the GPU at hand; the CPU
// and the emulator run every kernel.
int compute_capability(Device device);

// Which of a device's kernels serves where the compute capability is this one: the selected one, else the first that
// runs. selected: nullptr for the default. Throws NotSupported when there is none, or when the selected one needs a
// newer GPU.
size_t serving_kernel(const char* op, const char* selected, Device device, const std::vector<KernelInfo>& infos,
                      int capability);

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
    // The kernel that serves there, as serving_kernel() says.
    KernelInfo picked(Device device, int capability) const;
    KernelInfo picked(Device device) const { return picked(device, compute_capability(device)); }

    // Empty name: back to the default. Throws ValueError with the names there are.
    void select(const std::string& name);

 protected:
    size_t index_in(Device device, const std::vector<KernelInfo>& infos) const {
        return serving_kernel(op_, selected_, device, infos, compute_capability(device));
    }

    const char* op_;
    // The name in its row, which stays for good: set by one thread while others compute by it.
    std::atomic<const char*> selected_{nullptr};
};

template <class Kernel>
class KernelTable : public KernelTableBase {
 public:
    struct Row {
        Device device;
        const char* name;
        const char* description;
        Kernel kernel;
    };
    using RowsOfDevice = DeviceRows<Kernel> DeviceKernels::*;

    // rows: the CPU's kernels. device_rows: which member of DeviceKernels lists those of cuda and simt.
    KernelTable(const char* op, std::vector<Row> rows, RowsOfDevice device_rows = nullptr)
        : KernelTableBase(op), device_rows_(device_rows) {
        for (const Row& row : rows) {
            cpu_infos_.push_back({row.device, row.name, row.description});
            cpu_kernels_.push_back(row.kernel);
        }
    }

    const Kernel& pick(Device device) const {
        if (device == Device::cpu) return cpu_kernels_[index_in(device, cpu_infos_)];
        const size_t index = index_in(device, kernels(device));
        return (device_kernels(device)->*device_rows_)[index].kernel;
    }

    using KernelTableBase::kernels;
    std::vector<KernelInfo> kernels(Device device) const override {
        if (device == Device::cpu) return cpu_infos_;
        std::vector<KernelInfo> infos;
        const DeviceKernels* lists = device_rows_ == nullptr ? nullptr : device_kernels(device);
        if (lists == nullptr) return infos;
        for (const DeviceRow<Kernel>& row : lists->*device_rows_)
            infos.push_back({device, row.name, row.description, row.oldest_gpu});
        return infos;
    }

 private:
    std::vector<KernelInfo> cpu_infos_;
    std::vector<Kernel> cpu_kernels_;
    RowsOfDevice device_rows_;
};

// All tables by op name. Throws ValueError for an op that has no table.
const std::map<std::string, KernelTableBase*>& kernel_tables();
KernelTableBase& kernel_table(const std::string& op);

}  // namespace mt
