// Memory, threads and kernel tables: what a reader can look at and set.
#include <limits>

#include "../cpu/fma_peak.h"
#include "../cpu/parallel.h"
#include "../device/device_memory.h"
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

std::optional<Device> device_or_all(const std::optional<std::string>& device) {
    return device ? std::optional(parse_device(*device)) : std::nullopt;
}

py::dict memory_stats_dict(const std::string& device) {
    const bool is_pinned = device == "pinned";
    const MemoryStats stats = memory_stats(is_pinned ? Device::cpu : parse_device(device), is_pinned);
    py::dict out;
    out["allocated"] = stats.allocated;
    out["reserved"] = stats.reserved;
    out["peak_allocated"] = stats.peak_allocated;
    out["peak_reserved"] = stats.peak_reserved;
    out["allocations"] = stats.allocations;
    out["cache_hits"] = stats.cache_hits;
    return out;
}

// The name of the kernel that serves; "" where the one that was chosen needs a newer GPU, or there is none. Without a
// GPU to ask, that of any.
std::string name_of_serving(const KernelTableBase& table, Device device) {
    int capability = std::numeric_limits<int>::max();
    try {
        capability = compute_capability(device);
    } catch (const std::exception&) {
    }
    try {
        return table.picked(device, capability).name;
    } catch (const NotSupported&) {
        return "";
    }
}

py::list kernel_list(const std::string& op, const std::optional<std::string>& device_name) {
    const KernelTableBase& table = kernel_table(op);
    py::list out;
    for (Device device : kDevices) {
        if (device_name && parse_device(*device_name) != device) continue;
        const std::string serving = name_of_serving(table, device);
        for (const KernelInfo& info : table.kernels(device)) {
            py::dict row;
            row["name"] = info.name;
            row["device"] = name_of(info.device);
            row["description"] = info.description;
            row["oldest_gpu"] = device == Device::cpu ? py::object(py::none())
                                                      : py::make_tuple(info.oldest_gpu / 10, info.oldest_gpu % 10);
            row["selected"] = serving == info.name;
            out.append(row);
        }
    }
    return out;
}

std::string kernel_for(const std::string& op, std::pair<int, int> capability, const std::string& device_name) {
    return kernel_table(op).picked(parse_device(device_name), 10 * capability.first + capability.second).name;
}

// For the tests: which of these kernels, each a name and the compute capability it needs, would serve.
std::string kernel_of_list(const std::vector<std::pair<std::string, int>>& kernels, const std::string& selected,
                           int capability) {
    std::vector<KernelInfo> infos;
    for (const auto& [name, oldest_gpu] : kernels) infos.push_back({Device::cuda, name.c_str(), "", oldest_gpu});
    const char* name = selected.empty() ? nullptr : selected.c_str();
    return serving_rung("op", name, Device::cuda, infos, capability).name;
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
          "'caching' reuses freed blocks, 'plain' returns them to the system, "
          "'debug' fills new blocks with NaN between red zones.");
    m.def("memory_stats", &memory_stats_dict, py::arg("device") = "cpu",
          "Bytes allocated and reserved, their peaks, and how many requests the cache served. device: also 'pinned'.");
    m.def(
        "reset_peak_memory_stats",
        [](const std::optional<std::string>& device) { reset_peak_memory_stats(device_or_all(device)); },
        py::arg("device") = py::none(), "Peaks count from here on, on one device or on all.");
    m.def(
        "empty_cache", [](const std::optional<std::string>& device) { empty_cache(device_or_all(device)); },
        py::arg("device") = py::none(), py::call_guard<py::gil_scoped_release>(),
        "Returns cached blocks to the system, of one device or of all.");
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
          "Floating-point operations a second of all threads together, on float32 numbers that stay in registers: "
          "the CPU's ceiling for a product, measured for about so many seconds.");

    m.def("ops_with_kernels", &ops_with_kernels, "The ops that have several kernels to choose from.");
    m.def("kernels", &kernel_list, py::arg("op"), py::arg("device") = py::none(),
          "The kernels of an op, of one device or of all: name, device, one sentence (description), "
          "whether it is the one that serves (selected), "
          "the compute capability it needs (oldest_gpu; None on the CPU).");
    m.def("kernel_for", &kernel_for, py::arg("op"), py::arg("compute_capability"), py::arg("device") = "cuda",
          "The name of the kernel that a GPU of this compute capability, (major, minor), computes `op` by: "
          "the selected one, else the first of the device's list that runs there. "
          "NotImplementedError: there is none, or the selected one needs a newer GPU. No GPU is asked.");
    m.def("_kernel_of_list", &kernel_of_list, py::arg("kernels"), py::arg("selected"), py::arg("capability"));
    m.def(
        "select_kernel", [](const std::string& op, const std::string& name) { kernel_table(op).select(name); },
        py::arg("op"), py::arg("name"));
    m.def(
        "select_kernel", [](const std::string& op, const py::none&) { kernel_table(op).select(""); }, py::arg("op"),
        py::arg("name"), "Computes `op` by the kernel of that name from now on; None: by the default.");
    m.def(
        "selected_kernel",
        [](const std::string& op) -> py::object {
            const char* name = kernel_table(op).selected();
            return name == nullptr ? py::none() : py::object(py::str(name));
        },
        py::arg("op"), "The name select_kernel was given, or None.");
}

}  // namespace mt
