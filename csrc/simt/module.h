// What a library of kernels tells about itself: its functions, its __shared__ arrays and the source line of an
// instruction. Read from its file, which the build leaves with symbols and line tables (ELF and DWARF).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "emulator.h"

namespace mt::simt {

struct SharedArray {
    std::string name;
    size_t offset;  // from the start of the library's thread_local variables
    size_t bytes;
};

class Module {
 public:
    // The library that holds the function. One object a library, kept.
    static Module& of(const void* function);

    // The __shared__ arrays of a kernel, or of any other function of the library.
    std::vector<SharedArray> shared_arrays_of(const void* kernel) const;
    // Where the library's thread_local variables start, from the address of launch_simt.h's anchor.
    char* shared_memory(void* anchor) const { return static_cast<char*>(anchor) - anchor_offset_; }

    size_t shared_bytes() const { return shared_bytes_; }  // of all its thread_local variables

    Site site_of(const void* instruction);

    bool holds(const void* address) const {
        const auto number = reinterpret_cast<uintptr_t>(address);
        return number >= begin_ && number < end_;
    }

 private:
    struct LineRow {
        uintptr_t address;
        uint32_t file;
        int line;
        int column;
        bool ends_sequence;
    };

    void read_symbols();
    void read_lines();
    void read_line_unit(const char* unit, const char* end);

    std::string path_;
    uintptr_t bias_ = 0;  // address in memory - address in the file
    uintptr_t begin_ = 0, end_ = 0;
    std::string contents_;
    std::map<uintptr_t, std::string> functions_;              // address in the file -> mangled name
    std::map<std::string, std::vector<SharedArray>> shared_;  // mangled name of a function -> its arrays
    size_t anchor_offset_ = 0;
    size_t shared_bytes_ = 0;
    bool lines_are_read_ = false;
    std::vector<std::string> files_;
    std::vector<LineRow> rows_;
};

}  // namespace mt::simt
