// Linked into each of the emulator's libraries: which sources it was built from, so that libraries of two builds do not
// mix.
#include "mytensor_build_facts.h"  // written by setup.py into the build folder

extern "C" __attribute__((visibility("default"))) const char* mytensor_source_hash() {
    return MYTENSOR_BUILD_SOURCE_HASH;
}
