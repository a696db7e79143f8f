// Streams and events, by plain handles, so that code that knows nothing of CUDA can pass them on. Functions that can
// fail throw CudaError; NotSupported without a GPU or in a build without CUDA.
//
// Each thread of the CPU has a current stream, which is where launch(), copies and fills go.
#pragma once

namespace mt::cuda {

using Stream = void*;  // a cudaStream_t; nullptr: CUDA's default stream
using Event = void*;   // a cudaEvent_t

Stream current_stream() noexcept;
void set_current_stream(Stream stream) noexcept;

// From a pool that lives as long as the process: 32 for each priority (-1 before 0), handed out in turn. They do not
// wait for the default stream, nor it for them. Throws ValueError for another priority.
Stream new_stream(int priority);

void synchronize_stream(Stream stream);
bool is_done(Stream stream);  // all that it was given; does not wait
void wait_for(Stream stream, Event event);

Event new_event(bool enable_timing, bool blocking);
void free_event(Event event) noexcept;
void record(Event event, Stream stream);
bool has_happened(Event event);  // also if it was never recorded; does not wait
void synchronize_event(Event event);
float elapsed_milliseconds(Event start, Event end);

}  // namespace mt::cuda
