#include "simt_library.h"

#include <dlfcn.h>

#include "../base/build_facts.h"
#include "../base/error.h"

namespace mt {
namespace {

// The folder of the libraries: mytensor/_simt beside the extension.
std::string folder() {
    Dl_info info;
    if (dladdr(reinterpret_cast<void*>(&simt_problem), &info) == 0) return "";
    const std::string extension = info.dli_fname;
    const size_t slash = extension.rfind('/');
    return (slash == std::string::npos ? "." : extension.substr(0, slash)) + "/mytensor/_simt/";
}

struct Libraries {
    std::string problem;
    simt::Emulator* emulator = nullptr;
    const DeviceLadder* fast = nullptr;
    const DeviceLadder* watched = nullptr;

    Libraries() {
        const std::string why_not = build_facts().simt_problem;
        if (!why_not.empty()) {
            problem = "mytensor was built without the emulator: " + why_not;
            return;
        }
        void* library = open("libmytensor_simt.so");
        if (library == nullptr) return;
        emulator = &reinterpret_cast<simt::Emulator& (*)()>(dlsym(library, "mytensor_simt_emulator"))();
        fast = ladders_of("libmytensor_kernels_fast.so");
        watched = ladders_of("libmytensor_kernels_watched.so");
        if (problem.empty()) problem = emulator->problem();
    }

    // nullptr and a problem: not there, or not built from the sources that this extension was built from.
    void* open(const char* name) {
        const std::string path = folder() + name;
        void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) {
            problem = message(dlerror(), "; build mytensor again");
            return nullptr;
        }
        auto* source_hash = reinterpret_cast<const char* (*)()>(dlsym(library, "mytensor_source_hash"));
        if (source_hash == nullptr || std::string(source_hash()) != build_facts().source_hash) {
            problem = path + " was built from other sources than this extension; build mytensor again";
            return nullptr;
        }
        return library;
    }

    const DeviceLadder* ladders_of(const char* name) {
        void* library = problem.empty() ? open(name) : nullptr;
        if (library == nullptr) return nullptr;
        return reinterpret_cast<const DeviceLadder* (*)()>(dlsym(library, "mytensor_device_ladders"))();
    }
};

// Never closed: arrays of the device may be freed after static destructors have run.
const Libraries& libraries() {
    static const Libraries* loaded = new Libraries;
    return *loaded;
}

}  // namespace

const std::string& simt_problem() { return libraries().problem; }

simt::Emulator& simt_emulator() {
    require<NotSupported>(simt_problem().empty(), "device 'simt' is not there: ", simt_problem());
    return *libraries().emulator;
}

const DeviceLadder* simt_ladders() {
    const simt::Settings& settings = simt_emulator().settings();
    return settings.watch || settings.trace ? libraries().watched : libraries().fast;
}

void* simt_function(const std::string& library, const std::string& function) {
    simt_emulator();
    void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) throw ValueError(message("simt: cannot load ", library, ": ", dlerror()));
    void* found = dlsym(handle, function.c_str());
    require<ValueError>(found != nullptr, "simt: ", library, " has no function '", function,
                        "'; declare it extern \"C\" and with visibility \"default\"");
    return found;
}

}  // namespace mt
