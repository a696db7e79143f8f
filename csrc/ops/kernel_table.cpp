#include "kernel_table.h"

#include <algorithm>

#include "../cuda/runtime/memory.h"
#include "../ndarray/simt_library.h"

namespace mt {
namespace {

std::map<std::string, KernelTableBase*>& registry() {
    static std::map<std::string, KernelTableBase*> tables;
    return tables;
}

// Whether the GPU at hand (the emulator: any) runs the kernel.
bool is_runnable(const KernelInfo& info) {
    return info.device != Device::cuda || cuda::compute_capability() >= info.oldest_gpu;
}

}  // namespace

const DeviceKernels* device_kernels(Device device) {
    if (device == Device::simt) return simt_problem().empty() ? &simt_kernels() : nullptr;
#ifdef MYTENSOR_WITH_CUDA
    if (device == Device::cuda) return &mytensor_device_kernels();
#endif
    return nullptr;
}

KernelTableBase::KernelTableBase(const char* op) : op_(op) { registry()[op] = this; }

std::vector<KernelInfo> KernelTableBase::kernels() const {
    std::vector<KernelInfo> all;
    for (Device device : kDevices) {
        const std::vector<KernelInfo> infos = kernels(device);
        all.insert(all.end(), infos.begin(), infos.end());
    }
    return all;
}

void KernelTableBase::select(const std::string& name) {
    std::vector<std::string> known;
    for (const KernelInfo& info : kernels()) {
        if (name == info.name) {
            selected_ = name;
            return;
        }
        if (std::find(known.begin(), known.end(), info.name) == known.end()) known.push_back(info.name);
    }
    std::string list;
    for (const std::string& other : known) list += message(list.empty() ? "'" : ", '", other, "'");
    require<ValueError>(name.empty(), "op '", op_, "' has no kernel '", name, "'; it has ", list);
    selected_.clear();
}

size_t KernelTableBase::index_in(Device device, const std::vector<KernelInfo>& infos) const {
    size_t first = infos.size();
    for (size_t i = 0; i < infos.size(); i++) {
        const bool is_selected = selected_ == infos[i].name;
        if (!is_selected && first < i) continue;
        const bool runs = is_runnable(infos[i]);
        require<NotSupported>(runs || !is_selected, op_, ": the kernel '", selected_,
                              "' needs a GPU of compute capability ", infos[i].oldest_gpu / 10, ".",
                              infos[i].oldest_gpu % 10, " or newer; select another, or None for the default");
        if (is_selected) return i;
        if (runs) first = i;
    }
    require<NotSupported>(first < infos.size(), op_, " has no kernel on device ", name_of(device));
    return first;
}

const std::map<std::string, KernelTableBase*>& kernel_tables() { return registry(); }

KernelTableBase& kernel_table(const std::string& op) {
    auto found = registry().find(op);
    if (found != registry().end()) return *found->second;
    std::string known;
    for (const auto& [name, table] : registry()) known += message(known.empty() ? "'" : ", '", name, "'");
    throw ValueError(message("op '", op, "' has no kernels to choose from; these have: ", known));
}

}  // namespace mt
