// The emulator as the extension sees it. It runs the kernels of csrc/cuda on the CPU, thread by thread, and can watch
// every access of memory that they make.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mt::simt {

enum class Order : uint8_t { ascending, descending, shuffled };

struct Settings {
    bool watch = false;  // look for reads of memory nobody wrote and for races, besides what is always looked for
    bool trace = false;  // record every access
    Order order = Order::ascending;     // in which the threads of a block, and the blocks, take their turns
    uint64_t seed = 0;                  // of the shuffled order
    size_t trace_limit = 1'000'000;     // accesses that a trace may hold
    uint64_t step_limit = 100'000'000;  // steps (stretches of straight code) a thread may take in the watched build
    int workers = 0;                    // CPU threads of the fast build; 0: one a core
};

// One access of memory by one thread.
struct Access {
    uint32_t block;   // block and thread as flat numbers: x first, then y, then z
    uint32_t thread;  // in its block
    uint16_t array;   // index into Launch::arrays
    uint8_t kind;     // 0 read, 1 write, 2 atomic
    uint8_t count;    // elements: 4 for a float4
    uint32_t site;    // index into Launch::sites
    int64_t index;    // the first element
    uint64_t value;   // the bits of the first element; of a write, those written
};

struct Array {
    std::string name;
    char type;         // 'f' float, 'd' double, 'l' int64, 'i' int32, 'B' uint8, '?' unknown
    uint32_t bytes;    // of an element
    bool is_shared;    // of a block
    uint64_t address;  // shared: where it starts in the block's shared memory; else 0, for arrays start at a sector
    int64_t size;      // elements
};

struct Site {
    std::string file;
    int line;
    int column;
};

struct Launch {
    std::string kernel;
    uint32_t grid[3];
    uint32_t block[3];
    std::vector<Array> arrays;
    std::vector<Site> sites;
    std::vector<Access> accesses;
};

// Thrown by a launch that was given up.
struct __attribute__((visibility("default"))) Interrupted {};

class Emulator {
 public:
    virtual ~Emulator() = default;

    // Why it cannot work on this machine; empty: it can.
    virtual std::string problem() const = 0;

    // Device memory. Each block stands alone between unmapped pages. nullptr: no room left.
    virtual void* allocate(size_t bytes) = 0;
    virtual void release(void* data) noexcept = 0;
    // For the watch over reads of memory nobody wrote: the host wrote here; or copied, with what was not written.
    virtual void mark_written(void* data, size_t bytes) = 0;
    virtual void copy_written(void* to, const void* from, size_t bytes) = 0;

    // Any thread may read them while another sets them: a launch keeps to those it began with.
    virtual const Settings& settings() const = 0;
    virtual void set_settings(const Settings& settings) = 0;
    // What was recorded while settings().trace was on.
    virtual std::vector<Launch>& launches() = 0;

    // Asked now and then while a kernel runs; true: give up (Ctrl-C). The launch then throws Interrupted.
    virtual void set_interrupted(bool (*interrupted)()) = 0;
};

}  // namespace mt::simt
