#include "cpu_check.h"

#include <string>

#include "../base/build_facts.h"

namespace mt {

namespace {

bool cpu_supports(const std::string& feature) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    // __builtin_cpu_supports takes a literal only. The names are those of CPU_FEATURES in setup.py.
#define MT_FEATURE(name) \
    if (feature == name) return __builtin_cpu_supports(name)
    MT_FEATURE("sse3");
    MT_FEATURE("ssse3");
    MT_FEATURE("sse4.1");
    MT_FEATURE("sse4.2");
    MT_FEATURE("popcnt");
    MT_FEATURE("avx");
    MT_FEATURE("avx2");
    MT_FEATURE("fma");
    MT_FEATURE("bmi");
    MT_FEATURE("bmi2");
    MT_FEATURE("avx512f");
    MT_FEATURE("avx512cd");
    MT_FEATURE("avx512dq");
    MT_FEATURE("avx512bw");
    MT_FEATURE("avx512vl");
    MT_FEATURE("avx512vbmi");
    MT_FEATURE("avx512ifma");
    MT_FEATURE("avx512vnni");
#undef MT_FEATURE
#endif
    return false;
}

}  // namespace

std::string cpu_problem() {
    std::string missing, feature;
    for (const char* at = build_facts().cpu_features;; at++) {
        if (*at != ' ' && *at != '\0') {
            feature += *at;
            continue;
        }
        if (!feature.empty() && !cpu_supports(feature)) missing += (missing.empty() ? "" : " ") + feature;
        feature.clear();
        if (*at == '\0') break;
    }
    if (missing.empty()) return "";
    return "mytensor_backend was built for another CPU (" + std::string(build_facts().arch) + "): this one lacks " +
           missing +
           ". Rebuild it here with `make setup` or `pip install -e .`; "
           "MYTENSOR_ARCH=x86-64-v3 in the environment builds it for most CPUs since 2013.";
}

}  // namespace mt
