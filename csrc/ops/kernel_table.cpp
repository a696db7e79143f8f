#include "kernel_table.h"

namespace mt {
namespace {

std::map<std::string, KernelTableBase*>& registry() {
    static std::map<std::string, KernelTableBase*> tables;
    return tables;
}

}  // namespace

KernelTableBase::KernelTableBase(const char* op) : op_(op) { registry()[op] = this; }

void KernelTableBase::select(const std::string& name) {
    std::string known;
    for (const KernelInfo& info : infos_) {
        if (name == info.name) {
            selected_ = name;
            return;
        }
        known += message(known.empty() ? "'" : ", '", info.name, "'");
    }
    require<ValueError>(name.empty(), "op '", op_, "' has no kernel '", name, "'; it has ", known);
    selected_.clear();
}

size_t KernelTableBase::index_for(Device device) const {
    size_t first = infos_.size();
    for (size_t i = 0; i < infos_.size(); i++) {
        if (infos_[i].device != device) continue;
        if (selected_ == infos_[i].name) return i;
        if (first == infos_.size()) first = i;
    }
    require<NotSupported>(first < infos_.size(), op_, " has no kernel on device ", name_of(device));
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
