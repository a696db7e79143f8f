// Philox4x32-10, a counter-based generator of random numbers: a function that scrambles (counter, key), with no state.
// Number i comes from its own counter, so the numbers are the same for any number of threads and on any device. Source:
// Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11.
#pragma once

#include <array>
#include <cstdint>

namespace mt::cpu {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

// Four words of 32 random bits for a counter of 128 bits and a key of 64 (least significant word first).
inline PhiloxCounter philox(PhiloxCounter counter, PhiloxKey key) {
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
        const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
        counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
                   static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
        key[0] += 0x9E3779B9;  // the golden ratio
        key[1] += 0xBB67AE85;  // sqrt(3) - 1
    }
    return counter;
}

// The words that an array is made of: counter number `place` of the stream (seed, offset).
inline PhiloxCounter philox_words(uint64_t seed, uint64_t place) {
    return philox({static_cast<uint32_t>(place), static_cast<uint32_t>(place >> 32), 0, 0},
                  {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}

}  // namespace mt::cpu
