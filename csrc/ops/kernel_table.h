// An op's table: which kernels compute it on which device. `mytensor.use_kernel("conv2d", "im2col_naive")` selects one
// by name; else the first of the device serves. The op checks and allocates, so all kernels of a table have one
// signature and assume valid input.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "../ndarray/ndarray.h"

namespace mt {

struct KernelInfo {
    Device device;
    const char* name;
    const char* description;  // one sentence for the reader: the idea of this kernel
};

// What `kernels(op)` and `select_kernel(op, name)` need to know of a table, whatever its kernels' signature is.
class KernelTableBase {
 public:
    explicit KernelTableBase(const char* op);
    virtual ~KernelTableBase() = default;

    const char* op() const { return op_; }
    const std::vector<KernelInfo>& kernels() const { return infos_; }
    const std::string& selected() const { return selected_; }  // empty: the device's first

    // Empty name: back to the default. Throws ValueError with the names there are.
    void select(const std::string& name);

 protected:
    size_t index_for(Device device) const;

    const char* op_;
    std::vector<KernelInfo> infos_;
    std::string selected_;
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

    KernelTable(const char* op, std::vector<Row> rows) : KernelTableBase(op) {
        for (const Row& row : rows) {
            infos_.push_back({row.device, row.name, row.description});
            kernels_.push_back(row.kernel);
        }
    }

    const Kernel& pick(Device device) const { return kernels_[index_for(device)]; }
    const KernelInfo& picked(Device device) const { return infos_[index_for(device)]; }

 private:
    std::vector<Kernel> kernels_;
};

// All tables by op name. Throws ValueError for an op that has no table.
const std::map<std::string, KernelTableBase*>& kernel_tables();
KernelTableBase& kernel_table(const std::string& op);

}  // namespace mt
