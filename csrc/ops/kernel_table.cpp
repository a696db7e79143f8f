#include "kernel_table.h"

#include <algorithm>
#include <limits>

#include "../device/cuda/memory.h"
#include "../device/simt_library.h"

namespace mt {
namespace {

std::map<std::string, KernelTableBase*>& registry() {
    static std::map<std::string, KernelTableBase*> tables;
    return tables;
}

std::string version_of(int capability) { return message(capability / 10, ".", capability % 10); }

}  // namespace

const DeviceLadder* device_ladder(Device device, const char* op) {
    const DeviceLadder* ladder = nullptr;
    if (device == Device::simt && simt_problem().empty()) ladder = simt_ladders();
#ifdef MYTENSOR_WITH_CUDA
    if (device == Device::cuda) ladder = mytensor_device_ladders();
#endif
    while (ladder != nullptr && std::strcmp(ladder->op(), op) != 0) ladder = ladder->next();
    return ladder;
}

int compute_capability(Device device) {
#ifdef MYTENSOR_WITH_CUDA
    if (device == Device::cuda) return cuda::compute_capability();
#endif
    (void)device;
    return std::numeric_limits<int>::max();
}

void refuse_older_gpu(const char* op, const char* selected, int oldest_gpu, int capability) {
    throw NotSupported(message(op, ": the kernel '", selected, "' needs a GPU of compute capability ",
                               version_of(oldest_gpu), " or newer, and this one has ", version_of(capability),
                               "; select another, or None for the default"));
}

void refuse_without_kernel(const char* op, Device device, int capability, bool has_none) {
    throw NotSupported(message(op, " has no kernel on device ", name_of(device),
                               has_none ? "" : message(" for compute capability ", version_of(capability))));
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
            selected_ = info.name;
            return;
        }
        if (std::find(known.begin(), known.end(), info.name) == known.end()) known.push_back(info.name);
    }
    std::string list;
    for (const std::string& other : known) list += message(list.empty() ? "'" : ", '", other, "'");
    require<ValueError>(name.empty(), "op '", op_, "' has no kernel '", name, "'; it has ", list);
    selected_ = nullptr;
}

KernelInfo KernelTableBase::picked(Device device, int capability) const {
    const std::vector<KernelInfo> infos = kernels(device);
    return serving_rung(op_, selected_, device, infos, capability);
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
