// A launch from its start to its end, and the emulator as the extension sees it.
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <thread>

#include "../base/error.h"
#include "signals.h"
#include "worker.h"

namespace mt::simt {
namespace {

// Below this many threads a launch is over before other threads of the CPU have woken up.
constexpr uint64_t kThreadsForMoreWorkers = 16 * 1024;

class TheEmulator final : public Emulator {
 public:
    std::string problem() const override { return arena().problem(); }
    void* allocate(size_t bytes) override { return arena().allocate(bytes); }
    void release(void* data) noexcept override { arena().release(data); }
    void mark_written(void* data, size_t bytes) override {
        Allocation& allocation = *arena().find(data);
        allocation.written.mark(static_cast<size_t>(static_cast<char*>(data) - allocation.data), bytes);
    }
    void copy_written(void* to, const void* from, size_t bytes) override {
        Allocation& target = *arena().find(to);
        const Allocation& source = *arena().find(from);
        target.written.copy(static_cast<size_t>(static_cast<char*>(to) - target.data), source.written,
                            static_cast<size_t>(static_cast<const char*>(from) - source.data), bytes);
    }
    const Settings& settings() const override { return *settings_; }
    void set_settings(const Settings& settings) override { settings_ = new Settings(settings); }
    std::vector<Launch>& launches() override { return launches_; }
    void set_interrupted(bool (*interrupted)()) override { interrupted_ = interrupted; }
    bool (*interrupted() const)() { return interrupted_; }

 private:
    std::atomic<const Settings*> settings_{new Settings};  // the old ones are kept: somebody may be reading them
    std::vector<Launch> launches_;
    bool (*interrupted_)() = nullptr;
};

TheEmulator& emulator() {
    static auto* instance = new TheEmulator;
    return *instance;
}

// Launches take turns, as on one stream of a GPU. A fork between two launches' ends must not leave the child with a
// lock that nobody will open.
std::mutex& turn() {
    static auto* mutex = [] {
        static std::mutex instance;
        pthread_atfork([] { instance.lock(); }, [] { instance.unlock(); }, [] { instance.unlock(); });
        return &instance;
    }();
    return *mutex;
}

std::vector<std::unique_ptr<Worker>>& workers() {
    static auto* instance = new std::vector<std::unique_ptr<Worker>>;
    return *instance;
}

// ---------------------------------------------------------------------------------------------------------- names

// "im2col<T, 3>, f(a, b), x.data<T>()" -> its parts between the outermost commas.
std::vector<std::string> split_arguments(const std::string& text) {
    std::vector<std::string> parts(1);
    int depth = 0;
    for (char c : text) {
        if (c == '(' || c == '[' || c == '{' || c == '<') depth++;
        if (c == ')' || c == ']' || c == '}' || c == '>') depth--;
        if (c == ',' && depth == 0) {
            parts.emplace_back();
        } else if (c != ' ' || !parts.back().empty()) {
            parts.back() += c;
        }
    }
    return parts;
}

// "x.data<T>()" -> "x".
std::string leading_name(const std::string& expression) {
    size_t begin = 0;
    while (begin < expression.size() && !std::isalpha(expression[begin]) && expression[begin] != '_') begin++;
    size_t end = begin;
    while (end < expression.size() && (std::isalnum(expression[end]) || expression[end] == '_')) end++;
    return end > begin ? expression.substr(begin, end - begin) : expression;
}

// ---------------------------------------------------------------------------------------------------------- checks

std::string text_of(const uint32_t (&size)[3]) { return message("(", size[0], ", ", size[1], ", ", size[2], ")"); }

size_t static_shared_bytes(const Grid& grid) {
    size_t bytes = 0;
    for (const SharedArray& array : grid.shared_arrays) bytes += array.bytes;
    return bytes;
}

// The limits of the GPUs that the kernels are written for.
void require_possible(const Grid& grid) {
    const Request& request = grid.request;
    const uint64_t threads = uint64_t{request.block[0]} * request.block[1] * request.block[2];
    require<SimtError>(threads >= 1 && threads <= kMaxThreads && request.block[2] <= 64, "kernel ", grid.kernel,
                       ": a block of ", text_of(request.block), " threads; a GPU takes 1 to ", kMaxThreads,
                       ", of these at most 64 in z");
    require<SimtError>(request.grid[0] <= 0x7fffffffu && request.grid[1] <= 65535 && request.grid[2] <= 65535,
                       "kernel ", grid.kernel, ": a grid of ", text_of(request.grid),
                       " blocks; a GPU takes 2^31 - 1 in x, and 65535 in y and in z");
    const size_t shared = static_shared_bytes(grid);
    require<SimtError>(shared <= kMaxStaticSharedBytes && shared + request.shared_bytes <= kMaxSharedBytes, "kernel ",
                       grid.kernel, ": ", shared, " bytes in __shared__ arrays and ", request.shared_bytes,
                       " dynamic ones; a block may have ", kMaxStaticSharedBytes, " and together ", kMaxSharedBytes);
    require<SimtError>(!request.is_cooperative || grid.block_count() * threads <= kMaxCooperativeThreads, "kernel ",
                       grid.kernel, ": a cooperative launch of ", grid.block_count() * threads,
                       " threads; all blocks must be on the GPU at once, and here that is at most ",
                       kMaxCooperativeThreads, " threads");
}

// ---------------------------------------------------------------------------------------------------------- running

void name_arrays(Grid& grid) {
    const std::vector<std::string> parts = split_arguments(grid.request.text);
    constexpr size_t kBeforeArguments = 4;  // kernel, grid, block, shared bytes
    for (size_t i = 0; i < grid.request.count; i++) {
        const Argument& argument = grid.request.arguments[i];
        if (argument.pointer == nullptr) continue;
        const std::string name = leading_name(parts[kBeforeArguments + i]);
        Allocation* allocation = arena().find(argument.pointer);
        require<SimtError>(allocation != nullptr && allocation->is_live, "kernel ", grid.kernel, ": its argument '",
                           name, "' points to no memory of device simt");
        grid.arrays.push_back({name, allocation->data, allocation->bytes, argument.bytes, allocation, argument.type,
                               argument.is_written});
    }
}

void run_all(Grid& grid) {
    const bool is_alone = grid.watch != nullptr || grid.request.is_cooperative;
    const uint64_t threads = grid.block_count() * grid.thread_count();
    uint64_t wanted = grid.settings.workers > 0 ? static_cast<uint64_t>(grid.settings.workers)
                                                : std::max(std::thread::hardware_concurrency(), 1u);
    wanted = std::min(wanted, is_alone ? 1 : threads / kThreadsForMoreWorkers + 1);
    wanted = std::min(wanted, grid.block_count());
    while (workers().size() < wanted) workers().push_back(std::make_unique<Worker>());

    const SignalHandlers handlers;
    const auto run_one = [&grid](Worker& worker) {
        const SignalStack stack;
        grid.request.is_cooperative ? worker.run_cooperatively(grid) : worker.run_blocks(grid);
    };
    std::vector<std::thread> others;
    for (size_t i = 1; i < wanted; i++) others.emplace_back(run_one, std::ref(*workers()[i]));
    run_one(*workers()[0]);
    for (std::thread& other : others) other.join();
}

// A write just past an array, within the page where it ends, hits no guard page: it shows in the bytes there.
void require_whole(const Grid& grid) {
    for (const Grid::NamedArray& array : grid.arrays) {
        int64_t offset = 0;
        if (!array.allocation->find_damage(&offset)) continue;
        const auto bytes = static_cast<int64_t>(array.element_bytes);
        throw SimtError(message("kernel ", grid.kernel, " wrote element ",
                                offset >= 0 ? offset / bytes : (offset - bytes + 1) / bytes, " of '", array.name,
                                "', which has ", static_cast<int64_t>(array.bytes) / bytes,
                                " elements; mytensor.simt.watch() tells thread and line"));
    }
}

}  // namespace

const Grid::NamedArray* Grid::array_at(const void* address) const {
    const Allocation* allocation = arena().find(address);
    for (const NamedArray& array : arrays) {
        if (array.allocation == allocation) return &array;
    }
    return nullptr;
}

void run(const Request& request) {
    if (request.grid[0] == 0 || request.grid[1] == 0 || request.grid[2] == 0) return;
    std::lock_guard lock(turn());
    Module& module = Module::of(request.kernel);
    const Settings& settings = emulator().settings();
    Grid grid(request, settings, module);
    grid.kernel = leading_name(request.text);
    grid.shared_arrays = module.shared_arrays_of(request.kernel);
    grid.interrupted = emulator().interrupted();
    require_possible(grid);
    name_arrays(grid);

    Launch launch;
    launch.kernel = grid.kernel;
    std::copy(request.grid, request.grid + 3, launch.grid);
    std::copy(request.block, request.block + 3, launch.block);
    Watch watch(settings, module, launch);
    if (request.is_watched) {
        grid.watch = &watch;
        for (const Grid::NamedArray& array : grid.arrays)
            watch.add_array(array.name, *array.allocation, array.type, array.element_bytes);
        for (const SharedArray& array : grid.shared_arrays) watch.add_shared(array);
        if (request.shared_bytes > 0) watch.add_dynamic_shared(request.shared_bytes);
    }
    run_all(grid);

    watch.finish();
    if (settings.trace && request.is_watched) emulator().launches().push_back(std::move(launch));
    if (grid.fault.kind != Fault::Kind::none) throw SimtError(text_of(grid.fault, grid));
    if (grid.was_interrupted) throw Interrupted();
    require_whole(grid);
    if (!request.is_watched) {  // nobody saw what was written
        for (const Grid::NamedArray& array : grid.arrays) {
            if (array.is_written) array.allocation->written.mark(0, array.bytes);
        }
    }
}

}  // namespace mt::simt

namespace mt {

SIMT_EXPORT void* allocate_scratch(size_t bytes) {
    void* data = simt::arena().allocate(bytes);
    if (data == nullptr)
        throw OutOfMemory(message("device simt has no room left for ", bytes, " bytes of scratch memory"));
    return data;
}

SIMT_EXPORT void release_scratch(void* data) noexcept { simt::arena().release(data); }

}  // namespace mt

extern "C" SIMT_EXPORT mt::simt::Emulator& mytensor_simt_emulator() { return mt::simt::emulator(); }
