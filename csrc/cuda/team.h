// Who works on one row of numbers: a thread by itself, or the 32 threads of a warp together. A kernel that is written
// for a Team is both rungs at once:
//
//     const int64_t row = Team::row();
//     if (row >= rows) return;
//     for (int64_t i = Team::rank(); i < length; i += Team::kSize) sum += x[i];
//     sum = Team::sum(sum);                     // now every member has the sum over the row
//
// The threads of a warp read 32 neighbours at once (few sectors), where 32 threads by themselves read from 32 rows.
#pragma once

#include "launch.h"

namespace mt {

constexpr int kTeamThreads = 128;  // a block's threads, whatever the team
constexpr unsigned int kAllLanes = 0xffffffffu;

struct OneThread {
    static constexpr int kSize = 1;
    __device__ static int64_t row() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }
    __device__ static int rank() { return 0; }
    template <class T>
    __device__ static T sum(T value) {
        return value;
    }
    template <class T>
    __device__ static T maximum(T value) {
        return value;
    }
};

struct OneWarp {
    static constexpr int kSize = 32;
    __device__ static int64_t row() { return (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kSize; }
    __device__ static int rank() { return static_cast<int>(threadIdx.x) % kSize; }

    // A butterfly: after 5 exchanges, with the lanes 16, 8, 4, 2 and 1 away, every lane has the sum of all. The
    // registers of a warp are read directly; no shared memory, no barrier.
    template <class T>
    __device__ static T sum(T value) {
        for (int away = kSize / 2; away > 0; away /= 2) value += __shfl_xor_sync(kAllLanes, value, away);
        return value;
    }
    // NaN is passed over.
    template <class T>
    __device__ static T maximum(T value) {
        for (int away = kSize / 2; away > 0; away /= 2) {
            const T other = __shfl_xor_sync(kAllLanes, value, away);
            value = other > value ? other : value;
        }
        return value;
    }
};

// How many blocks it takes to have a team for each row.
template <class Team>
unsigned int blocks_of_teams(int64_t rows) {
    return blocks_for(rows, kTeamThreads / Team::kSize);
}

// Minus infinity, the maximum of nothing.
template <class T>
__device__ T lowest() {
    return -static_cast<T>(INFINITY);
}

}  // namespace mt
