// Memory, threads and kernel tables: what a reader can look at and set.
#include "../cpu/fma_peak.h"
#include "../cpu/parallel.h"
#include "../ndarray/device_memory.h"
#include "../ops/kernel_table.h"
#include "bindings.h"

namespace mt {
namespace {

struct ModeName {
    MemoryMode mode;
    const char* name;
};
constexpr ModeName kModes[] = {
    {MemoryMode::caching, "caching"}, {MemoryMode::plain, "plain"}, {MemoryMode::debug, "debug"}};

const char* memory_mode_name() {
    for (const ModeName& row : kModes) {
        if (row.mode == memory_mode()) return row.name;
    }
    return "?";
}

void set_memory_mode_by_name(const std::string& name) {
    for (const ModeName& row : kModes) {
        if (name == row.name) return set_memory_mode(row.mode);
    }
    throw ValueError(message("memory mode '", name, "' is not one of 'caching', 'plain', 'debug'"));
}

py::dict memory_stats_dict(const std::string& device) {
    const MemoryStats stats = memory_stats(parse_device(device));
    py::dict out;
    out["allocated"] = stats.allocated;
    out["reserved"] = stats.reserved;
    out["peak_allocated"] = stats.peak_allocated;
    out["peak_reserved"] = stats.peak_reserved;
    out["allocations"] = stats.allocations;
    out["cache_hits"] = stats.cache_hits;
    return out;
}

// Whether use_kernel's choice, or else the default, is this one.
bool is_selected(const KernelTableBase& table, const KernelInfo& info, bool is_default) {
    bool device_has_choice = false;
    for (const KernelInfo& other : table.kernels(info.device)) device_has_choice |= table.selected() == other.name;
    return device_has_choice ? table.selected() == info.name : is_default;
}

py::list kernel_list(const std::string& op, const std::optional<std::string>& device_name) {
    const KernelTableBase& table = kernel_table(op);
    py::list out;
    for (Device device : kDevices) {
        if (device_name && parse_device(*device_name) != device) continue;
        bool is_default = true;  // the first row of its device
        for (const KernelInfo& info : table.kernels(device)) {
            py::dict row;
            row["name"] = info.name;
            row["device"] = name_of(info.device);
            row["description"] = info.description;
            row["oldest_gpu"] = device == Device::cpu ? py::object(py::none())
                                                      : py::make_tuple(info.oldest_gpu / 10, info.oldest_gpu % 10);
            row["selected"] = is_selected(table, info, is_default);
            is_default = false;
            out.append(row);
        }
    }
    return out;
}

std::vector<std::string> ops_with_kernels() {
    std::vector<std::string> names;
    for (const auto& [name, table] : kernel_tables()) names.push_back(name);
    return names;
}

}  // namespace

void bind_runtime(py::module_& m) {
    m.def("memory_mode", &memory_mode_name);
    m.def("set_memory_mode", &set_memory_mode_by_name, py::arg("mode"),
          "'caching' reuses freed blocks, 'plain' returns them to the system, 'debug' fills new blocks with NaN "
          "between red zones.");
    m.def("memory_stats", &memory_stats_dict, py::arg("device") = "cpu",
          "Bytes allocated and reserved, their peaks, and how many requests the cache served.");
    m.def("reset_peak_memory_stats", &reset_peak_memory_stats);
    m.def("empty_cache", &empty_cache, "Returns cached blocks to the system.");
    m.def("check_red_zones", &check_red_zones,
          "Raises when a kernel wrote outside its arrays since memory mode 'debug' was set.");

    m.def(
        "synchronize", [](const std::string& device) { synchronize(parse_device(device)); }, py::arg("device"),
        py::call_guard<py::gil_scoped_release>(), "Waits until all kernels of the device have ended.");

    m.def("get_num_threads", &cpu::num_threads);
    m.def(
        "set_num_threads",
        [](int64_t threads) {
            require<ValueError>(threads >= 1 && threads <= 1024, "set_num_threads: got ", threads,
                                "; wanted 1 to 1024");
            cpu::set_num_threads(static_cast<int>(threads));
        },
        py::arg("threads"));
    m.def("fma_peak", &cpu::fma_peak, py::arg("seconds") = 0.5, py::call_guard<py::gil_scoped_release>(),
          "Floating-point operations a second of all threads together, on float32 numbers that stay in registers: the "
          "CPU's ceiling for a product, measured for about so many seconds.");

    m.def("ops_with_kernels", &ops_with_kernels, "The ops that have several kernels to choose from.");
    m.def("kernels", &kernel_list, py::arg("op"), py::arg("device") = py::none(),
          "The kernels of an op, of one device or of all: name, device, one sentence (description), whether it is the "
          "one "
          "that serves (selected), the compute capability it needs (oldest_gpu; None on the CPU).");
    m.def(
        "select_kernel", [](const std::string& op, const std::string& name) { kernel_table(op).select(name); },
        py::arg("op"), py::arg("name"));
    m.def(
        "select_kernel", [](const std::string& op, const py::none&) { kernel_table(op).select(""); }, py::arg("op"),
        py::arg("name"), "Computes `op` by the kernel of that name from now on; None: by the default.");
    m.def(
        "selected_kernel",
        [](const std::string& op) -> py::object {
            const std::string& name = kernel_table(op).selected();
            return name.empty() ? py::none() : py::object(py::str(name));
        },
        py::arg("op"), "The name select_kernel was given, or None.");
}

}  // namespace mt
