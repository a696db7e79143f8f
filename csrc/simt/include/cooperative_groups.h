// Cooperative groups: a block, a warp or a part of one, and the whole grid of a cooperative launch.
#pragma once

#include "../cuda.h"

namespace cooperative_groups {

class thread_block {
 public:
    void sync(SIMT_PLACE) const { mt::simt::block_barrier(mt::simt::Vote::none, 0, {file, line}); }
    unsigned int thread_rank() const { return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x; }
    unsigned int size() const { return blockDim.x * blockDim.y * blockDim.z; }
    unsigned int num_threads() const { return size(); }
    uint3 group_index() const { return blockIdx; }
    uint3 thread_index() const { return threadIdx; }
};
inline thread_block this_thread_block() { return {}; }

// `Size` neighbouring lanes of a warp.
template <unsigned int Size>
class thread_block_tile {
    static_assert(Size >= 1 && Size <= 32 && (Size & (Size - 1)) == 0, "a tile has 1, 2, 4, 8, 16 or 32 threads");

 public:
    unsigned int thread_rank() const { return static_cast<unsigned int>(mt::simt::lane_id()) % Size; }
    static constexpr unsigned int size() { return Size; }
    static constexpr unsigned int num_threads() { return Size; }
    unsigned int meta_group_rank() const { return this_thread_block().thread_rank() / Size; }
    unsigned int meta_group_size() const { return (this_thread_block().size() + Size - 1) / Size; }

    void sync(SIMT_PLACE) const { mt::simt::warp_barrier(mask(), {file, line}); }
    template <class T>
    T shfl(T value, int source, SIMT_PLACE) const {
        return __shfl_sync(mask(), value, source, Size, file, line);
    }
    template <class T>
    T shfl_down(T value, unsigned int delta, SIMT_PLACE) const {
        return __shfl_down_sync(mask(), value, delta, Size, file, line);
    }
    template <class T>
    T shfl_up(T value, unsigned int delta, SIMT_PLACE) const {
        return __shfl_up_sync(mask(), value, delta, Size, file, line);
    }
    template <class T>
    T shfl_xor(T value, unsigned int lane_mask, SIMT_PLACE) const {
        return __shfl_xor_sync(mask(), value, static_cast<int>(lane_mask), Size, file, line);
    }
    int any(int predicate, SIMT_PLACE) const { return __any_sync(mask(), predicate, file, line); }
    int all(int predicate, SIMT_PLACE) const { return __all_sync(mask(), predicate, file, line); }
    unsigned int ballot(int predicate, SIMT_PLACE) const {
        return __ballot_sync(mask(), predicate, file, line) >> first_lane();
    }

 private:
    static int first_lane() { return mt::simt::first_of_group(static_cast<int>(Size)); }
    static unsigned int mask() { return static_cast<unsigned int>((uint64_t{1} << Size) - 1) << first_lane(); }
};
template <unsigned int Size>
thread_block_tile<Size> tiled_partition(const thread_block&) {
    return {};
}

class grid_group {
 public:
    void sync(SIMT_PLACE) const { mt::simt::grid_barrier({file, line}); }
    unsigned long long thread_rank() const {
        const unsigned long long block = (1ull * blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
        return block * this_thread_block().size() + this_thread_block().thread_rank();
    }
    unsigned long long size() const { return 1ull * gridDim.x * gridDim.y * gridDim.z * this_thread_block().size(); }
    bool is_valid() const { return true; }
};
inline grid_group this_grid() { return {}; }

}  // namespace cooperative_groups
