#include "value_range.h"

#include <mutex>

namespace mt {
namespace {

std::mutex mutex;  // of all storages' ranges: two Python threads may use one array

// NaN makes both ends NaN, which lie nowhere.
template <class T>
ValueRange range_of(const T* values, int64_t count) {
    T lowest = values[0], highest = values[0];
    for (int64_t i = 0; i < count; i++) {
        if (!(values[i] >= lowest)) lowest = values[i];
        if (!(values[i] <= highest)) highest = values[i];
        if (values[i] != values[i]) break;
    }
    return {static_cast<double>(lowest), static_cast<double>(highest), 0};
}

std::optional<ValueRange> remembered(const NDArray& array) {
    const Storage& storage = *array.storage();
    const std::lock_guard lock(mutex);
    const bool is_valid = storage.range && storage.range->version == storage.version && !storage.is_written_elsewhere;
    return is_valid ? storage.range : std::nullopt;
}

void remember(const NDArray& array, ValueRange range) {
    const std::lock_guard lock(mutex);
    range.version = array.storage()->version;
    array.storage()->range = range;
}

}  // namespace

bool known_to_lie_in(const NDArray& array, double low, double high) {
    if (array.device() == Device::cpu) return false;
    if (array.size() == 0) return true;
    std::optional<ValueRange> range = remembered(array);
    if (!range) {
        const NDArray on_cpu = array.to(Device::cpu);
        range = array.dtype() == DType::int64 ? range_of(on_cpu.data<int64_t>(), on_cpu.size())
                                              : range_of(on_cpu.data<float>(), on_cpu.size());
        remember(array, *range);
    }
    return range->lowest >= low && range->highest < high;
}

void note_range(NDArray& array, double lowest, double highest) { remember(array, {lowest, highest, 0}); }

void inherit_range(NDArray& to, const NDArray& from) {
    if (const auto range = remembered(from)) remember(to, *range);
}

void bring_range(NDArray& to, const NDArray& on_cpu) {
    if (on_cpu.dtype() == DType::int64 && on_cpu.size() > 0)
        remember(to, range_of(on_cpu.data<int64_t>(), on_cpu.size()));
}

}  // namespace mt
