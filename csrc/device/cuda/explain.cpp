#include "explain.h"

#include <algorithm>
#include <cctype>

#include "../../base/error.h"

namespace mt::cuda {
namespace {

constexpr int kOldestGpu = 80;  // what the rows of csrc/cuda ask for at least

// "90a": 90, and for exactly that GPU.
struct Architecture {
    int capability = 0;
    bool is_exact = false;
};

std::vector<Architecture> parse(const std::string& text) {
    std::vector<Architecture> found;
    bool in_number = false;
    for (const char c : text) {
        const bool is_digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
        if (is_digit && !in_number) found.push_back({});
        if (is_digit)
            found.back().capability = found.back().capability * 10 + (c - '0');
        else if (in_number && c != ' ')
            found.back().is_exact = true;
        in_number = is_digit;
    }
    return found;
}

// Machine code runs on GPUs of the same major capability that are not older.
bool has_machine_code(const std::vector<Architecture>& built, int gpu) {
    return std::any_of(built.begin(), built.end(), [gpu](Architecture a) {
        return a.is_exact ? a.capability == gpu : a.capability / 10 == gpu / 10 && a.capability <= gpu;
    });
}

// PTX is compiled by the driver, for any GPU that is not older.
bool has_ptx(const std::vector<Architecture>& built, int gpu) {
    return !built.empty() && !built.back().is_exact && built.back().capability <= gpu;
}

std::string build_command(int gpu) { return message("`MYTENSOR_CUDA_ARCHS=", gpu, " pip install -e .` builds for it"); }

std::string newer_toolkit(const Facts& facts) {
    return message("mytensor was built with CUDA ", version_text(facts.runtime_version),
                   ", and the NVIDIA driver here knows CUDA up to ", version_text(facts.driver_version));
}

std::string driver_advice(const Facts& facts) {
    return message("Update the driver, or build mytensor with a CUDA toolkit up to ",
                   version_text(facts.driver_version), " (its nvcc first on PATH, then `pip install -e .`)");
}

}  // namespace

std::string version_text(int version) { return message(version / 1000, ".", version % 1000 / 10); }

std::string explain(const Facts& facts) {
    if (facts.is_forked)
        return "this process was forked from one that had already used the GPU, and CUDA does not survive a fork; "
               "start it with multiprocessing.get_context(\"spawn\"), or use the GPU in one of the two only";
    if (facts.driver_version == 0) return "no driver";
    // Within one major version a newer toolkit's programs run, their PTX excepted.
    const bool is_newer = facts.runtime_version > facts.driver_version;
    if (facts.runtime_version / 1000 > facts.driver_version / 1000)
        return message("the driver is too old: ", newer_toolkit(facts), ". ", driver_advice(facts));
    if (facts.gpus.empty() && !facts.error.empty()) {
        return is_newer ? message(facts.error, ". ", newer_toolkit(facts), ". ", driver_advice(facts)) : facts.error;
    }
    if (facts.gpus.empty())
        return "no GPU: the driver is here but shows none; "
               "is CUDA_VISIBLE_DEVICES set, or was the container started without GPUs?";

    const Gpu& gpu = facts.gpus.front();
    const int capability = 10 * gpu.capability_major + gpu.capability_minor;
    const std::string gpu_text =
        message(gpu.name, " has compute capability ", gpu.capability_major, ".", gpu.capability_minor);
    if (capability < kOldestGpu)
        return message("the GPU is too old: ", gpu_text, ", and the kernels need ", kOldestGpu / 10, ".",
                       kOldestGpu % 10, " or newer");
    const std::vector<Architecture> built = parse(facts.architectures);
    if (has_machine_code(built, capability)) return "";
    if (!has_ptx(built, capability))
        return message("no kernels for this GPU: ", gpu_text, ", and mytensor was built for ", facts.architectures,
                       ". ", build_command(capability));
    if (is_newer)
        return message("no kernels for this GPU: ", gpu_text, ", mytensor was built for ", facts.architectures,
                       ", and what the driver could compile for it (PTX) is too new: ", newer_toolkit(facts), ". ",
                       build_command(capability), "; a newer driver would do as well");
    return "";
}

}  // namespace mt::cuda
