// The allocator's bookkeeping with streams, on a machine without a GPU: csrc/device/allocator.cpp over a GPU that is
// played here. Its streams do nothing by themselves; a test says how far each has come.
//
//     allocator NAME    runs one test; status 1 and the place if it fails
#include "device/allocator.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include "device/cuda/memory.h"
#include "device/device_memory.h"
#include "base/error.h"

namespace {

constexpr size_t kMebibyte = size_t{1} << 20;

struct PlayedStream {
    uint64_t given = 0, done = 0;  // pieces of work
    int waited_for = 0;            // by synchronize_stream
};
struct PlayedEvent {
    PlayedStream* stream;
    uint64_t after;  // pieces of work of the stream
};

PlayedStream default_stream;
PlayedStream* current = nullptr;
bool gpu_fails = false;
size_t gpu_bytes = size_t{1} << 40, gpu_taken = 0;
std::map<void*, size_t> taken;  // live blocks of the "system", and their sizes
int live_events = 0;

PlayedStream& stream_of(mt::cuda::Stream stream) {
    return stream == nullptr ? default_stream : *static_cast<PlayedStream*>(stream);
}

void fail_if_broken() {
    if (gpu_fails) throw mt::CudaError("an illegal memory access was encountered");
}

}  // namespace

namespace mt {

const char* name_of(Device device) { return device == Device::cuda ? "cuda" : device == Device::simt ? "simt" : "cpu"; }

void* system_allocate(Device device, size_t bytes, bool) {
    if (device == Device::cuda && gpu_taken + bytes > gpu_bytes) return nullptr;
    if (device == Device::cuda) gpu_taken += bytes;
    void* data = std::malloc(64);  // nobody writes there
    taken[data] = device == Device::cuda ? bytes : 0;
    return data;
}
void system_free(Device, void* data, bool) noexcept {
    gpu_taken -= taken.at(data);
    taken.erase(data);
    std::free(data);
}
size_t total_memory(Device) { return size_t{1} << 40; }
void fill_bytes(Device, void*, unsigned char, size_t) {}

namespace cuda {

MemoryInfo memory_info() { return {gpu_bytes - gpu_taken, gpu_bytes}; }
Stream current_stream() noexcept { return current; }
void synchronize_stream(Stream stream) {
    fail_if_broken();
    stream_of(stream).waited_for++;
    stream_of(stream).done = stream_of(stream).given;
}
Event new_event(bool, bool) {
    fail_if_broken();
    live_events++;
    return new PlayedEvent{};
}
void free_event(Event event) noexcept {
    live_events--;
    delete static_cast<PlayedEvent*>(event);
}
void record(Event event, Stream stream) {
    fail_if_broken();
    *static_cast<PlayedEvent*>(event) = {&stream_of(stream), stream_of(stream).given};
}
bool has_happened(Event event) {
    fail_if_broken();
    const auto& played = *static_cast<PlayedEvent*>(event);
    return played.stream->done >= played.after;
}
void synchronize_event(Event event) {
    fail_if_broken();
    const auto& played = *static_cast<PlayedEvent*>(event);
    played.stream->done = std::max(played.stream->done, played.after);
}

}  // namespace cuda
}  // namespace mt

namespace {

using mt::Block;
using mt::Device;

PlayedStream a, b, c;

#define CHECK(condition)                                                     \
    if (!(condition)) {                                                      \
        std::printf("line %d: %s does not hold\n", __LINE__, #condition);    \
        std::exit(1);                                                        \
    }

Block allocate_on(PlayedStream& stream, size_t bytes = kMebibyte) {
    current = &stream;
    return mt::allocate(bytes, Device::cuda);
}

// A kernel on the stream reads the block.
void use(const Block& block, PlayedStream& stream) {
    stream.given++;
    mt::note_use(block, &stream);
}

void same_stream_reuses_at_once() {
    const Block first = allocate_on(a);
    use(first, a);
    mt::release(first);
    CHECK(a.done < a.given);
    CHECK(allocate_on(a, kMebibyte - 100).data == first.data);  // of the same size class
    CHECK(mt::memory_stats(Device::cuda).cache_hits == 1);
    CHECK(live_events == 0);
}

void another_stream_does_not_get_it() {
    const Block first = allocate_on(a);
    mt::release(first);
    CHECK(allocate_on(b).data != first.data);
    CHECK(allocate_on(a).data == first.data);
}

void used_elsewhere_it_waits() {
    const Block first = allocate_on(a);
    use(first, b);
    mt::release(first);
    CHECK(mt::memory_stats(Device::cuda).allocated == 0);
    const Block second = allocate_on(a);
    CHECK(second.data != first.data);
    b.given++;  // later work of b does not count
    b.done = 1;
    CHECK(allocate_on(a).data == first.data);
    CHECK(live_events == 0);
}

void it_waits_for_every_stream() {
    const Block first = allocate_on(a);
    use(first, b);
    use(first, c);
    mt::release(first);
    b.done = b.given;
    CHECK(allocate_on(a).data != first.data);
    c.done = c.given;
    CHECK(allocate_on(a).data == first.data);
}

void uses_are_forgotten_with_the_block() {
    const Block first = allocate_on(a);
    use(first, b);
    b.done = b.given;
    mt::release(first);
    const Block again = allocate_on(a);
    CHECK(again.data == first.data);
    b.given++;  // work of b that has nothing to do with the block's second life
    mt::release(again);
    CHECK(allocate_on(a).data == first.data);
}

void a_block_that_waits_stays_in_its_streams_cache() {
    const Block first = allocate_on(a);
    use(first, b);
    mt::release(first);
    b.done = b.given;
    CHECK(allocate_on(b).data != first.data);
    CHECK(allocate_on(a).data == first.data);
}

void pinned_memory_waits_for_its_copy() {
    const Block first = mt::allocate(kMebibyte, Device::cpu, true);
    default_stream.given++;
    mt::note_use(first, nullptr);  // a copy on the default stream, which is not "the block's own" here
    mt::release(first);
    CHECK(mt::allocate(kMebibyte, Device::cpu, true).data != first.data);
    default_stream.done = default_stream.given;
    CHECK(mt::allocate(kMebibyte, Device::cpu, true).data == first.data);
    CHECK(mt::memory_stats(Device::cpu).reserved == 0);
    CHECK(mt::memory_stats(Device::cpu, true).allocated == 2 * kMebibyte);
}

void the_cpu_notes_nothing() {
    const Block first = mt::allocate(kMebibyte, Device::cpu);
    b.given++;
    mt::note_use(first, &b);
    mt::release(first);
    CHECK(mt::allocate(kMebibyte, Device::cpu).data == first.data);
}

void empty_cache_waits_and_gives_all_back() {
    const Block kept = allocate_on(a), first = allocate_on(a), second = allocate_on(b);
    const Block pinned = mt::allocate(kMebibyte, Device::cpu, true), ours = mt::allocate(kMebibyte, Device::cpu);
    use(first, b);
    use(pinned, b);
    for (const Block& block : {first, second, pinned, ours}) mt::release(block);
    mt::empty_cache(Device::cuda);
    CHECK(b.done == 2);
    CHECK(taken.size() == 2 && taken.count(kept.data) == 1 && taken.count(ours.data) == 1);
    CHECK(mt::memory_stats(Device::cuda).reserved == kMebibyte);
    CHECK(mt::memory_stats(Device::cpu, true).reserved == 0);
    mt::empty_cache();
    CHECK(taken.size() == 1);
    CHECK(live_events == 0);
}

void a_full_gpu_gets_the_cache_back_first() {
    gpu_bytes = 10 * kMebibyte;
    const Block first = allocate_on(a, 4 * kMebibyte), second = allocate_on(b, 4 * kMebibyte);
    use(second, a);
    mt::release(first);
    mt::release(second);
    const Block large = allocate_on(c, 8 * kMebibyte);  // fits only once both are gone
    CHECK(large.data != nullptr && gpu_taken == 8 * kMebibyte);
    CHECK(a.done == a.given);  // `second` was waited for
}

void out_of_memory_says_how_much() {
    gpu_bytes = 10 * kMebibyte;
    const Block first = allocate_on(a, 4 * kMebibyte), second = allocate_on(a, 2 * kMebibyte);
    mt::release(second);
    try {
        allocate_on(a, 7 * kMebibyte);
    } catch (const mt::OutOfMemory& error) {
        std::printf("%s", error.what());
        CHECK(taken.size() == 1 && taken.count(first.data) == 1);
        CHECK(allocate_on(a, 6 * kMebibyte).data != nullptr);  // and life goes on
        return;
    }
    CHECK(!"an exception");
}

void a_broken_gpu_loses_the_block_and_nothing_else() {
    const Block first = allocate_on(a);
    use(first, b);
    gpu_fails = true;
    mt::release(first);  // noexcept
    gpu_fails = false;
    b.done = b.given;
    CHECK(allocate_on(a).data != first.data);
    CHECK(live_events == 0);
}

void foreign_memory_is_waited_for() {
    char byte;
    Block foreign;
    foreign.data = &byte;
    foreign.device = Device::cuda;
    default_stream.given++;
    mt::note_use(foreign, nullptr);  // the owner orders the default stream itself
    use(foreign, b);
    use(foreign, b);
    mt::wait_for_uses(foreign);
    CHECK(b.waited_for == 1 && b.done == 2 && default_stream.waited_for == 0 && c.waited_for == 0);
    mt::wait_for_uses(foreign);
    CHECK(b.waited_for == 1);
}

void plain_mode_keeps_nothing() {
    mt::set_memory_mode(mt::MemoryMode::plain);
    const Block first = allocate_on(a);
    use(first, b);
    mt::release(first);
    CHECK(taken.empty());
    CHECK(mt::memory_stats(Device::cuda).reserved == 0);
}

void peaks_are_counted_from_the_reset() {
    const Block first = allocate_on(a, 4 * kMebibyte);
    mt::release(first);
    mt::empty_cache(Device::cuda);
    mt::reset_peak_memory_stats(Device::cpu);
    CHECK(mt::memory_stats(Device::cuda).peak_allocated == 4 * kMebibyte);
    mt::reset_peak_memory_stats(Device::cuda);
    CHECK(mt::memory_stats(Device::cuda).peak_allocated == 0);
    allocate_on(b, kMebibyte);
    CHECK(mt::memory_stats(Device::cuda).peak_allocated == kMebibyte);
    CHECK(mt::memory_stats(Device::cuda).peak_reserved == kMebibyte);
}

}  // namespace

int main(int, char** arguments) {
    const std::map<std::string, void (*)()> tests = {
#define TEST(name) {#name, name}
        TEST(same_stream_reuses_at_once),
        TEST(another_stream_does_not_get_it),
        TEST(used_elsewhere_it_waits),
        TEST(it_waits_for_every_stream),
        TEST(uses_are_forgotten_with_the_block),
        TEST(a_block_that_waits_stays_in_its_streams_cache),
        TEST(pinned_memory_waits_for_its_copy),
        TEST(the_cpu_notes_nothing),
        TEST(empty_cache_waits_and_gives_all_back),
        TEST(a_full_gpu_gets_the_cache_back_first),
        TEST(out_of_memory_says_how_much),
        TEST(a_broken_gpu_loses_the_block_and_nothing_else),
        TEST(foreign_memory_is_waited_for),
        TEST(plain_mode_keeps_nothing),
        TEST(peaks_are_counted_from_the_reset),
    };
    if (arguments[1] == nullptr) {
        for (const auto& [name, test] : tests) std::printf("%s\n", name.c_str());
        return 0;
    }
    tests.at(arguments[1])();
    return 0;
}
