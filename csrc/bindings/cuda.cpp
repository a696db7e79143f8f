// The GPU's streams, events, memory and profiler ranges, as mytensor.cuda wraps them. Handles travel as integers.
#include "../device/cuda/devices.h"
#include "../device/cuda/memory.h"
#include "../device/cuda/nvtx.h"
#include "../device/cuda/streams.h"
#include "bindings.h"

namespace mt {
namespace {

using Handle = uintptr_t;

cuda::Stream stream_of(Handle handle) { return reinterpret_cast<cuda::Stream>(handle); }
Handle handle_of(cuda::Stream stream) { return reinterpret_cast<Handle>(stream); }

class Event {
 public:
    Event(bool enable_timing, bool blocking)
        : event_(cuda::new_event(enable_timing, blocking)), is_timed_(enable_timing) {}
    ~Event() { cuda::free_event(event_); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    void record(Handle stream) {
        cuda::record(event_, stream_of(stream));
        is_recorded_ = true;
    }
    void wait(Handle stream) const { cuda::wait_for(stream_of(stream), event_); }
    bool query() const { return cuda::has_happened(event_); }
    void synchronize() const { cuda::synchronize_event(event_); }
    float elapsed_time(const Event& end) const {
        require<ValueError>(is_timed_ && end.is_timed_,
                            "elapsed_time: both events must be made with Event(enable_timing=True)");
        require<ValueError>(is_recorded_ && end.is_recorded_,
                            "elapsed_time: both events must have been recorded; call .record() on each");
        if (!query() || !end.query())
            throw std::runtime_error("elapsed_time: one of the events has not happened yet; call .synchronize() on it");
        return cuda::elapsed_milliseconds(event_, end.event_);
    }
    std::string state() const {
        if (!is_recorded_) return "not recorded";
        return query() ? "happened" : "recorded";
    }

 private:
    cuda::Event event_;
    bool is_timed_;
    bool is_recorded_ = false;
};

std::string explain(int runtime_version, int driver_version, const std::string& architectures,
                    const std::vector<std::tuple<std::string, int, int>>& gpus, const std::string& error,
                    bool is_forked) {
    cuda::Facts facts{runtime_version, driver_version, architectures, {}, error, is_forked};
    for (const auto& [name, major, minor] : gpus) facts.gpus.push_back({name, major, minor, 0});
    return cuda::explain(facts);
}

}  // namespace

void bind_cuda(py::module_& m) {
    using NoGil = py::call_guard<py::gil_scoped_release>;
    m.def(
        "cuda_new_stream", [](int priority) { return handle_of(cuda::new_stream(priority)); }, py::arg("priority") = 0,
        NoGil(), "A stream of the pool.");
    m.def(
        "cuda_current_stream", [] { return handle_of(cuda::current_stream()); },
        "The calling thread's current stream.");
    m.def(
        "cuda_set_stream", [](Handle stream) { cuda::set_current_stream(stream_of(stream)); }, py::arg("stream"),
        "Makes it the calling thread's current stream.");
    m.def(
        "cuda_stream_synchronize", [](Handle stream) { cuda::synchronize_stream(stream_of(stream)); },
        py::arg("stream"), NoGil());
    m.def(
        "cuda_stream_query", [](Handle stream) { return cuda::is_done(stream_of(stream)); }, py::arg("stream"),
        NoGil());
    m.def(
        "cuda_record_stream",
        [](const NDArray& array, Handle stream) {
            require<ValueError>(array.device() == Device::cuda || array.is_pinned(), "record_stream: the array is on ",
                                name_of(array.device()), "; wanted one on device cuda, or in pinned memory");
            array.storage()->note_use(stream_of(stream));
        },
        py::arg("array"), py::arg("stream"),
        "The stream uses the array's memory: freed, it is given to nobody before the stream has come so far.");
    m.def(
        "cuda_memory_info",
        [] {
            const cuda::MemoryInfo info = cuda::memory_info();
            return std::make_pair(info.free, info.total);
        },
        NoGil(), "(free, total) bytes of the GPU's memory.");

    py::class_<Event>(m, "CudaEvent", "A mark in a stream; mytensor.cuda.Event wraps it.")
        .def(py::init<bool, bool>(), py::arg("enable_timing"), py::arg("blocking"), NoGil())
        .def("record", &Event::record, py::arg("stream"), NoGil())
        .def("wait", &Event::wait, py::arg("stream"), NoGil())
        .def("query", &Event::query, NoGil())
        .def("synchronize", &Event::synchronize, NoGil())
        .def("elapsed_time", &Event::elapsed_time, py::arg("end"), NoGil())
        .def("state", &Event::state, NoGil());

    m.def("nvtx_available", &cuda::has_nvtx, "Whether the build has NVTX.");
    m.def("nvtx_push", &cuda::push_range, py::arg("name"), "Begins a range of this thread.");
    m.def("nvtx_pop", &cuda::pop_range, "Ends the range begun last.");
    m.def("nvtx_mark", &cuda::mark, py::arg("name"));
    m.def(
        "nvtx_annotate_ops", [](bool enabled) { return cuda::annotates_ops.exchange(enabled); }, py::arg("enabled"),
        "Whether each op stands in a range of its name; returns what was set before.");

    m.def("explain_cuda", &explain, py::arg("runtime_version"), py::arg("driver_version"), py::arg("architectures"),
          py::arg("gpus"), py::arg("error") = "", py::arg("is_forked") = false,
          "Why device cuda does not work given these facts, and what to do; '' if it does. "
          "Versions: 1000 * major + 10 * minor; architectures: '80 90'; gpus: (name, major, minor).");
}

}  // namespace mt
