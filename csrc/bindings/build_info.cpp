// What the doctor asks: how the extension was built, and which GPUs there are.
#include "../base/build_facts.h"
#include "../device/cuda/devices.h"
#include "bindings.h"

namespace mt {
namespace {

py::dict build_info() {
    const BuildFacts& facts = build_facts();
    py::dict out;
    out["source_hash"] = facts.source_hash;
    out["compiler"] = facts.compiler;
    out["flags"] = facts.flags;
    out["kernel_flags"] = facts.kernel_flags;
    out["arch"] = facts.arch;
    out["cpu_features"] = py::str(facts.cpu_features).attr("split")();
    out["simt_flags"] = facts.simt_flags;
    out["cuda"] = facts.cuda == nullptr ? py::object(py::none()) : py::str(facts.cuda);
    return out;
}

py::object version_or_none(int version) {
    return version == 0 ? py::object(py::none()) : py::str(cuda::version_text(version));
}

py::dict cuda_info() {
    cuda::Description found;
    {
        py::gil_scoped_release release;  // the driver's first call may take seconds
        found = cuda::describe();
    }
    py::list gpus;
    for (const cuda::Gpu& gpu : found.gpus) {
        py::dict row;
        row["name"] = gpu.name;
        row["compute_capability"] = py::make_tuple(gpu.capability_major, gpu.capability_minor);
        row["total_memory"] = gpu.total_memory;
        gpus.append(row);
    }
    py::dict out;
    out["built"] = build_facts().cuda != nullptr;
    out["runtime_version"] = version_or_none(found.runtime_version);
    out["driver_version"] = version_or_none(found.driver_version);
    out["gpus"] = gpus;
    out["problem"] = found.problem.empty() ? py::object(py::none()) : py::str(found.problem);
    return out;
}

}  // namespace

void bind_build(py::module_& m) {
    m.def("build_info", &build_info,
          "How this extension was built: source_hash, compiler, flags, kernel_flags, arch, cpu_features (list), "
          "simt_flags (of the emulator's kernels: fast | watched), cuda (str or None).");
    m.def("cuda_info", &cuda_info,
          "Which GPUs there are: built (bool), runtime_version, driver_version (None: no driver), "
          "gpus (list of name, compute_capability, total_memory in bytes), "
          "problem (why the first of them cannot be used, or why there is none; None: it can).");
}

}  // namespace mt
