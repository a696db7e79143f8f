// The emulator in Python: its settings, what a trace recorded, and kernels from libraries of their own.
#include "../device/simt_library.h"
#include "bindings.h"

namespace mt {
namespace {

// A KeyboardInterrupt, or what else a Python signal handler raised while a kernel ran: kept until the launch has ended.
struct PendingException {
    PyObject* type = nullptr;
    PyObject* value = nullptr;
    PyObject* traceback = nullptr;
} pending;

bool is_interrupted() {
    py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() == 0) return false;
    PyErr_Fetch(&pending.type, &pending.value, &pending.traceback);
    return true;
}

struct OrderName {
    simt::Order order;
    const char* name;
};
constexpr OrderName kOrders[] = {{simt::Order::ascending, "ascending"},
                                 {simt::Order::descending, "descending"},
                                 {simt::Order::shuffled, "shuffled"}};

simt::Order parse_order(const std::string& name) {
    for (const OrderName& row : kOrders) {
        if (name == row.name) return row.order;
    }
    throw ValueError(message("simt order '", name, "' is not one of 'ascending', 'descending', 'shuffled'"));
}

py::dict settings() {
    const simt::Settings& settings = simt_emulator().settings();
    py::dict out;
    out["watch"] = settings.watch;
    out["trace"] = settings.trace;
    for (const OrderName& row : kOrders) {
        if (row.order == settings.order) out["order"] = row.name;
    }
    out["seed"] = settings.seed;
    out["trace_limit"] = settings.trace_limit;
    out["step_limit"] = settings.step_limit;
    out["workers"] = settings.workers;
    return out;
}

void set_settings(const py::kwargs& changes) {
    simt::Settings settings = simt_emulator().settings();
    simt_emulator().set_interrupted(is_interrupted);
    for (const auto& [key, value] : changes) {
        const std::string name = py::str(key);
        if (name == "watch")
            settings.watch = value.cast<bool>();
        else if (name == "trace")
            settings.trace = value.cast<bool>();
        else if (name == "order")
            settings.order = parse_order(value.cast<std::string>());
        else if (name == "seed")
            settings.seed = value.cast<uint64_t>();
        else if (name == "trace_limit")
            settings.trace_limit = value.cast<size_t>();
        else if (name == "step_limit")
            settings.step_limit = value.cast<uint64_t>();
        else if (name == "workers")
            settings.workers = value.cast<int>();
        else
            throw TypeError(message("simt has no setting '", name, "'"));
    }
    simt_emulator().set_settings(settings);
}

py::dict launch_dict(const simt::Launch& launch) {
    py::list arrays, sites;
    for (const simt::Array& array : launch.arrays) {
        py::dict row;
        row["name"] = array.name;
        row["type"] = std::string(1, array.type);
        row["itemsize"] = array.bytes;
        row["is_shared"] = array.is_shared;
        row["address"] = array.address;
        row["size"] = array.size;
        arrays.append(row);
    }
    for (const simt::Site& site : launch.sites) sites.append(py::make_tuple(site.file, site.line, site.column));
    py::dict out;
    out["kernel"] = launch.kernel;
    out["grid"] = py::make_tuple(launch.grid[0], launch.grid[1], launch.grid[2]);
    out["block"] = py::make_tuple(launch.block[0], launch.block[1], launch.block[2]);
    out["arrays"] = arrays;
    out["sites"] = sites;
    out["accesses"] =
        py::bytes(reinterpret_cast<const char*>(launch.accesses.data()), launch.accesses.size() * sizeof(simt::Access));
    return out;
}

py::list take_launches() {
    py::list out;
    for (const simt::Launch& launch : simt_emulator().launches()) out.append(launch_dict(launch));
    simt_emulator().launches().clear();
    return out;
}

// What a function of a library of kernels looks like: extern "C", so that it can be found by name.
using Function = void (*)(std::vector<NDArray>& arrays, const std::vector<double>& numbers);

void call(const std::string& library, const std::string& function, std::vector<NDArray> arrays,
          const std::vector<double>& numbers) {
    for (const NDArray& array : arrays) {
        require<ValueError>(array.device() == Device::simt, "simt_call: an array is on ", name_of(array.device()),
                            "; move it with .to(\"simt\")");
    }
    auto* found = reinterpret_cast<Function>(simt_function(library, function));
    py::gil_scoped_release release;
    found(arrays, numbers);
    for (NDArray& array : arrays) array.bump_version();
}

void translate_interruption(std::exception_ptr pointer) {
    try {
        if (pointer) std::rethrow_exception(pointer);
    } catch (const simt::Interrupted&) {
        PyErr_Restore(pending.type, pending.value, pending.traceback);
        pending = {};
    }
}

}  // namespace

void bind_simt(py::module_& m) {
    py::register_exception_translator(&translate_interruption);
    m.def("simt_problem", &simt_problem, "Why device 'simt' does not work here; '' if it does.");
    m.def("simt_settings", &settings, "What the emulator does with a launch; mytensor.simt explains it.");
    m.def("set_simt_settings", &set_settings, "Changes some of simt_settings(), given by name.");
    m.def("take_simt_launches", &take_launches,
          "The launches recorded since the last call, as mytensor.simt reads them.");
    m.def("simt_call", &call, py::arg("library"), py::arg("function"), py::arg("arrays"),
          py::arg("numbers") = std::vector<double>{},
          "Calls an extern \"C\" function (std::vector<NDArray>& arrays, const std::vector<double>& numbers) "
          "of a library of kernels built for the emulator.");
}

}  // namespace mt
