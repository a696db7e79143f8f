#include <cuda_runtime.h>

#include <array>
#include <mutex>

#include "../../base/error.h"
#include "devices.h"
#include "errors.h"
#include "streams.h"

namespace mt::cuda {
namespace {

thread_local Stream current = nullptr;

constexpr size_t kStreamsOfPriority = 32;

// Never destroyed: blocks of memory remember the stream they were used on, and another stream must not get its handle.
struct Pool {
    std::mutex mutex;
    std::array<cudaStream_t, kStreamsOfPriority> streams = {};
    size_t next = 0;
};

Pool& pool_of(int priority) {
    static auto* pools = new std::array<Pool, 2>;
    return (*pools)[priority == 0 ? 0 : 1];
}

cudaStream_t stream_of(Stream stream) { return static_cast<cudaStream_t>(stream); }
cudaEvent_t event_of(Event event) { return static_cast<cudaEvent_t>(event); }

// "Not yet" is an answer here and no error; but CUDA notes it as the thread's last error all the same.
bool is_ready(cudaError_t answer, const char* call) {
    if (answer == cudaErrorNotReady) {
        cudaGetLastError();
        return false;
    }
    check(answer, call);
    return true;
}

}  // namespace

Stream current_stream() noexcept { return current; }
void set_current_stream(Stream stream) noexcept { current = stream; }

Stream new_stream(int priority) {
    require<ValueError>(priority == 0 || priority == -1, "a stream's priority is ", priority,
                        "; wanted 0, or -1 for one that goes before");
    require_gpu();
    Pool& pool = pool_of(priority);
    const std::lock_guard lock(pool.mutex);
    cudaStream_t& stream = pool.streams[pool.next % kStreamsOfPriority];
    if (stream == nullptr)
        check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, priority), "cudaStreamCreateWithPriority");
    pool.next++;
    return stream;
}

void synchronize_stream(Stream stream) {
    require_gpu();
    check(cudaStreamSynchronize(stream_of(stream)), "cudaStreamSynchronize");
}

bool is_done(Stream stream) {
    require_gpu();
    return is_ready(cudaStreamQuery(stream_of(stream)), "cudaStreamQuery");
}

void wait_for(Stream stream, Event event) {
    check(cudaStreamWaitEvent(stream_of(stream), event_of(event), 0), "cudaStreamWaitEvent");
}

Event new_event(bool enable_timing, bool blocking) {
    require_gpu();
    cudaEvent_t event = nullptr;
    const unsigned int flags =
        (enable_timing ? cudaEventDefault : cudaEventDisableTiming) | (blocking ? cudaEventBlockingSync : 0U);
    check(cudaEventCreateWithFlags(&event, flags), "cudaEventCreateWithFlags");
    return event;
}

// An error here is one that an earlier kernel left behind: the next call that can throw reports it.
void free_event(Event event) noexcept {
    if (!is_forked_child()) cudaEventDestroy(event_of(event));
}

void record(Event event, Stream stream) {
    check(cudaEventRecord(event_of(event), stream_of(stream)), "cudaEventRecord");
}

bool has_happened(Event event) { return is_ready(cudaEventQuery(event_of(event)), "cudaEventQuery"); }

void synchronize_event(Event event) { check(cudaEventSynchronize(event_of(event)), "cudaEventSynchronize"); }

float elapsed_milliseconds(Event start, Event end) {
    float milliseconds = 0.0F;
    check(cudaEventElapsedTime(&milliseconds, event_of(start), event_of(end)), "cudaEventElapsedTime");
    return milliseconds;
}

}  // namespace mt::cuda
