#include "module.h"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>

namespace mt::simt {
namespace {

struct Loaded {
    uintptr_t address;  // looked for
    std::string path;
    uintptr_t bias = 0, begin = 0, end = 0;
};

int find_library(dl_phdr_info* info, size_t, void* data) {
    auto* loaded = static_cast<Loaded*>(data);
    uintptr_t begin = UINTPTR_MAX, end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const auto& segment = info->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD) continue;
        begin = std::min<uintptr_t>(begin, info->dlpi_addr + segment.p_vaddr);
        end = std::max<uintptr_t>(end, info->dlpi_addr + segment.p_vaddr + segment.p_memsz);
    }
    if (loaded->address < begin || loaded->address >= end) return 0;
    *loaded = {loaded->address, info->dlpi_name, info->dlpi_addr, begin, end};
    return 1;
}

// A file's bytes; none if it cannot be read.
std::string contents_of(const std::string& path) {
    std::string contents;
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) return contents;
    char buffer[1 << 16];
    for (size_t count; (count = std::fread(buffer, 1, sizeof(buffer), file)) > 0;) contents.append(buffer, count);
    std::fclose(file);
    return contents;
}

// The sections of an ELF file that is in memory.
class ElfFile {
 public:
    explicit ElfFile(const std::string& contents) : contents_(contents) {
        const auto* header = at<Elf64_Ehdr>(0);
        if (contents.size() < sizeof(Elf64_Ehdr) || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return;
        const auto* sections = at<Elf64_Shdr>(header->e_shoff);
        const char* names = contents_.data() + sections[header->e_shstrndx].sh_offset;
        for (int i = 0; i < header->e_shnum; i++) sections_[names + sections[i].sh_name] = sections[i];
    }

    bool has(const char* section) const { return sections_.count(section) != 0; }
    const char* begin(const char* section) const { return contents_.data() + sections_.at(section).sh_offset; }
    const char* end(const char* section) const { return begin(section) + sections_.at(section).sh_size; }

 private:
    template <class T>
    const T* at(size_t offset) const {
        return reinterpret_cast<const T*>(contents_.data() + offset);
    }

    const std::string& contents_;
    std::map<std::string, Elf64_Shdr> sections_;
};

// A static variable `a` of a function _Z<rest> is _ZZ<rest>E<length>a, sometimes with _<number> behind: the function's
// mangled name and the variable's plain one. False: not such a symbol.
bool split_local_variable(const std::string& symbol, std::string* function, std::string* variable) {
    if (symbol.rfind("_ZZ", 0) != 0) return false;
    for (size_t mark = symbol.rfind('E'); mark != std::string::npos && mark > 3; mark = symbol.rfind('E', mark - 1)) {
        size_t digits_end = mark + 1;
        while (digits_end < symbol.size() && symbol[digits_end] >= '0' && symbol[digits_end] <= '9') digits_end++;
        if (digits_end == mark + 1) continue;
        const size_t length = std::stoul(symbol.substr(mark + 1, digits_end - mark - 1));
        const std::string rest = symbol.substr(digits_end);
        if (rest.size() < length || (rest.size() > length && rest[length] != '_')) continue;
        *function = "_Z" + symbol.substr(3, mark - 3);
        *variable = rest.substr(0, length);
        return true;
    }
    return false;
}

// Reads the numbers of a DWARF section.
struct Reader {
    const char* position;

    template <class T>
    T number() {
        T value;
        std::memcpy(&value, position, sizeof(T));
        position += sizeof(T);
        return value;
    }
    // Seven bits a byte, the lowest first, and the top bit set while more follow.
    uint64_t unsigned_leb() {
        uint64_t value = 0;
        for (int shift = 0;; shift += 7) {
            const auto byte = number<uint8_t>();
            value |= static_cast<uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
    }
    int64_t signed_leb() {
        int64_t value = 0;
        int shift = 0;
        uint8_t byte;
        do {
            byte = number<uint8_t>();
            value |= static_cast<int64_t>(byte & 0x7f) << shift;
            shift += 7;
        } while (byte >= 0x80);
        return shift < 64 && (byte & 0x40) ? value - (int64_t{1} << shift) : value;
    }
    std::string text() {
        std::string value = position;
        position += value.size() + 1;
        return value;
    }
};

}  // namespace

Module& Module::of(const void* function) {
    static std::mutex mutex;
    static auto* modules = new std::vector<std::unique_ptr<Module>>;
    std::lock_guard lock(mutex);
    for (const auto& module : *modules) {
        if (module->holds(function)) return *module;
    }
    Loaded loaded{reinterpret_cast<uintptr_t>(function), {}};
    dl_iterate_phdr(find_library, &loaded);
    auto module = std::make_unique<Module>();
    module->path_ = loaded.path;
    module->bias_ = loaded.bias;
    module->begin_ = loaded.begin;
    module->end_ = loaded.end;
    module->contents_ = contents_of(loaded.path);
    module->read_symbols();
    modules->push_back(std::move(module));
    return *modules->back();
}

void Module::read_symbols() {
    const ElfFile file(contents_);
    if (!file.has(".symtab") || !file.has(".strtab")) return;
    const char* names = file.begin(".strtab");
    for (const char* at = file.begin(".symtab"); at < file.end(".symtab"); at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        std::memcpy(&symbol, at, sizeof(symbol));
        const std::string name = names + symbol.st_name;
        const unsigned type = ELF64_ST_TYPE(symbol.st_info);
        std::string function, variable;
        if (type == STT_FUNC && symbol.st_value != 0) functions_.emplace(symbol.st_value, name);
        if (type != STT_TLS || symbol.st_shndx == SHN_UNDEF) continue;
        shared_bytes_ = std::max<size_t>(shared_bytes_, symbol.st_value + symbol.st_size);
        if (name.find("simt_shared_anchor") != std::string::npos) anchor_offset_ = symbol.st_value;
        if (split_local_variable(name, &function, &variable))
            shared_[function].push_back({variable, symbol.st_value, symbol.st_size});
    }
}

std::vector<SharedArray> Module::shared_arrays_of(const void* kernel) const {
    const auto found = functions_.find(reinterpret_cast<uintptr_t>(kernel) - bias_);
    if (found == functions_.end()) return {};
    const auto arrays = shared_.find(found->second);
    return arrays == shared_.end() ? std::vector<SharedArray>{} : arrays->second;
}

// ---------------------------------------------------------------------------------------------------------- lines

void Module::read_lines() {
    const ElfFile file(contents_);
    if (!file.has(".debug_line")) return;
    const char* end = file.end(".debug_line");
    for (const char* unit = file.begin(".debug_line"); unit < end;) {
        uint32_t length;
        std::memcpy(&length, unit, sizeof(length));
        read_line_unit(unit + sizeof(length), unit + sizeof(length) + length);
        unit += sizeof(length) + length;
    }
    // Where one sequence ends at the address where another starts, the start counts.
    std::stable_sort(rows_.begin(), rows_.end(), [](const LineRow& a, const LineRow& b) {
        return a.address != b.address ? a.address < b.address : a.ends_sequence && !b.ends_sequence;
    });
}

// One compilation unit's line table: a program for a small machine whose registers are address, file, line and column,
// and which is told when to write them down as a row (DWARF 4, section 6.2; version 4 is what the build asks for).
void Module::read_line_unit(const char* unit, const char* end) {
    Reader in{unit};
    const auto version = in.number<uint16_t>();
    if (version < 2 || version > 4) return;
    const auto header_length = in.number<uint32_t>();
    const char* program = in.position + header_length;
    const auto instruction_length = in.number<uint8_t>();
    if (version >= 4) in.number<uint8_t>();  // operations an instruction: for other kinds of processors
    in.number<uint8_t>();                    // whether rows are statements at first
    const int line_base = in.number<int8_t>();
    const int line_range = in.number<uint8_t>();
    const int first_special = in.number<uint8_t>();
    std::vector<uint8_t> operand_counts(static_cast<size_t>(first_special), 0);
    for (int i = 1; i < first_special; i++) operand_counts[static_cast<size_t>(i)] = in.number<uint8_t>();

    std::vector<std::string> folders = {""};
    for (std::string folder = in.text(); !folder.empty(); folder = in.text()) folders.push_back(folder);
    std::vector<uint32_t> files = {0};  // file number of this unit -> index into files_
    for (std::string name = in.text(); !name.empty(); name = in.text()) {
        const std::string& folder = folders[in.unsigned_leb()];
        in.unsigned_leb();  // time
        in.unsigned_leb();  // size
        files.push_back(static_cast<uint32_t>(files_.size()));
        files_.push_back(name[0] == '/' || folder.empty() ? name : folder + "/" + name);
    }

    in.position = program;
    const LineRow start{0, 1, 1, 0, false};
    LineRow row = start;
    const auto emit = [&] {
        LineRow copy = row;
        copy.file = row.file < files.size() ? files[row.file] : 0;
        rows_.push_back(copy);
    };
    while (in.position < end) {
        const int code = in.number<uint8_t>();
        if (code >= first_special) {
            const int step = code - first_special;
            row.address += static_cast<uintptr_t>(step / line_range) * instruction_length;
            row.line += line_base + step % line_range;
            emit();
        } else if (code == 0) {  // an extended instruction: its length, its code
            const uint64_t length = in.unsigned_leb();
            const char* next = in.position + length;
            const auto extended = in.number<uint8_t>();
            if (extended == 1) {  // end of sequence
                row.ends_sequence = true;
                emit();
                row = start;
            } else if (extended == 2) {
                row.address = in.number<uint64_t>();
            }
            in.position = next;
        } else if (code == 1) {
            emit();
        } else if (code == 2) {
            row.address += in.unsigned_leb() * instruction_length;
        } else if (code == 3) {
            row.line += static_cast<int>(in.signed_leb());
        } else if (code == 4) {
            row.file = static_cast<uint32_t>(in.unsigned_leb());
        } else if (code == 5) {
            row.column = static_cast<int>(in.unsigned_leb());
        } else if (code == 8) {
            row.address += static_cast<uintptr_t>((255 - first_special) / line_range) * instruction_length;
        } else if (code == 9) {
            row.address += in.number<uint16_t>();
        } else {
            for (int i = 0; i < operand_counts[static_cast<size_t>(code)]; i++) in.unsigned_leb();
        }
    }
}

Site Module::site_of(const void* instruction) {
    if (!lines_are_read_) read_lines();
    lines_are_read_ = true;
    const uintptr_t address = reinterpret_cast<uintptr_t>(instruction) - bias_;
    const auto after = std::upper_bound(rows_.begin(), rows_.end(), address,
                                        [](uintptr_t wanted, const LineRow& row) { return wanted < row.address; });
    if (after == rows_.begin()) return {"", 0, 0};
    const LineRow& row = *std::prev(after);
    if (row.ends_sequence) return {"", 0, 0};
    return {files_[row.file], row.line, row.column};
}

}  // namespace mt::simt
