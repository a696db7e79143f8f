#include "launch_notes.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <mutex>

#include "../../base/error.h"

namespace mt::cuda {
namespace {

struct Recent {
    std::mutex mutex;
    std::array<LaunchNote, 4> launches;  // a ring
    size_t count = 0;
};

// A fork while another thread notes a launch must not leave the child with a lock that nobody opens.
Recent& recent() {
    static auto* instance = [] {
        static auto* made = new Recent;
        pthread_atfork([] { made->mutex.lock(); }, [] { made->mutex.unlock(); }, [] { made->mutex.unlock(); });
        return made;
    }();
    return *instance;
}

std::string text_of(const uint32_t (&size)[3]) { return message("(", size[0], ", ", size[1], ", ", size[2], ")"); }

std::string text_of(const ArrayNote& array) {
    std::string text = message(array.argument, *array.type != '\0' ? " " : "", array.type, " (");
    for (int i = 0; i < std::min(array.ndim, kNotedDimensions); i++) text += message(i > 0 ? ", " : "", array.shape[i]);
    if (array.ndim > kNotedDimensions) text += ", ...";
    return text + (array.ndim == 1 ? ",)" : ")");
}

std::string text_of(const OpNote& op) {
    std::string text = message(op.op, "(");
    const int noted = std::min(op.arrays, kNotedArrays);
    for (int i = 0; i < noted; i++) text += (i > 0 ? ", " : "") + text_of(op.array[i]);
    if (op.arrays > noted) text += message(", and ", op.arrays - noted, " more");
    return text + ")";
}

std::string text_of(const LaunchNote& launch) {
    std::string text = message("\n  launch(", launch.arguments, ") with grid ", text_of(launch.grid), ", block ",
                               text_of(launch.block), ", ", launch.shared_bytes, " bytes of dynamic shared memory");
    return launch.op.op == nullptr ? text : text + ",\n    for " + text_of(launch.op);
}

}  // namespace

void OpNote::add(const char* argument, const char* type, const Shape& sizes) {
    if (arrays++ >= kNotedArrays) return;
    ArrayNote& note = array[arrays - 1];
    note.argument = argument;
    note.type = type;
    note.ndim = static_cast<int>(sizes.size());
    std::copy_n(sizes.begin(), std::min<size_t>(sizes.size(), kNotedDimensions), note.shape);
}

OpNote& op_under_way() noexcept {
    thread_local OpNote op;
    return op;
}

void note_launch(const char* arguments, const uint32_t (&grid)[3], const uint32_t (&block)[3], size_t shared_bytes) {
    Recent& r = recent();
    const OpNote& op = op_under_way();
    const std::lock_guard lock(r.mutex);
    LaunchNote& launch = r.launches[r.count++ % r.launches.size()];
    launch.arguments = arguments;
    std::copy_n(grid, 3, launch.grid);
    std::copy_n(block, 3, launch.block);
    launch.shared_bytes = shared_bytes;
    launch.op.op = op.op;
    launch.op.arrays = op.arrays;
    std::copy_n(op.array, std::min(op.arrays, kNotedArrays), launch.op.array);
}

std::string latest_launches(size_t most) {
    Recent& r = recent();
    const std::lock_guard lock(r.mutex);
    const size_t kept = std::min(r.count, r.launches.size());
    std::string text;
    for (size_t i = 0; i < std::min(most, kept); i++)
        text += text_of(r.launches[(r.count - 1 - i) % r.launches.size()]);
    return text;
}

}  // namespace mt::cuda
