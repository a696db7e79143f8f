// cp.async as the emulator has it: a copy takes place when its thread waits for it, as late as it may on a GPU. So a
// wait for too few batches, or none, shows as a read of memory nobody wrote.
#pragma once

#include "../cuda.h"

inline void __pipeline_memcpy_async(void* to, const void* from, size_t bytes, size_t zeros = 0, SIMT_PLACE) {
    if (bytes != 4 && bytes != 8 && bytes != 16)
        mt::simt::fail("__pipeline_memcpy_async copies 4, 8 or 16 bytes", {file, line});
    if (zeros != 0) mt::simt::fail("__pipeline_memcpy_async: filling with zeros is not emulated", {file, line});
    mt::simt::async_copy(to, from, bytes, {file, line});
}

inline void __pipeline_commit() { mt::simt::async_commit(); }

// Waits until at most `batches_left` of the committed batches are still under way.
inline void __pipeline_wait_prior(size_t batches_left) { mt::simt::async_wait(batches_left); }
