// What every kernel file includes, and the only thing in it that is not plain CUDA. nvcc knows
// kernel<<<grid, block>>>(...), the host compiler does not; so kernels are started by
//
//     launch(kernel, grid, block, shared_bytes, arguments...);
//     launch_cooperative(kernel, grid, block, shared_bytes, arguments...);   // the grid may synchronise
//
// on both devices. A grid without blocks launches nothing. The names of the arguments (up to the first dot or bracket)
// name the arrays in the emulator's reports, so pass `image.data<T>()`, not a pointer of another name.
//
//     DYNAMIC_SHARED_MEMORY(float, tile);     // inside a kernel: float* tile, shared_bytes of the launch
//     Scratch<float> partial(blocks);         // in a launcher: device memory that lives until the launcher returns
//     dispatch_floating_device(x.dtype(), [&](auto zero) { using T = decltype(zero); ... });
#pragma once

#ifdef __CUDACC__
#include "../device/cuda/launch_cuda.h"
#else
#include "../simt/launch_simt.h"
#endif

#include "../ndarray/ndarray.h"

namespace mt {

// So many blocks as a grid of one dimension. Throws where CUDA has none as large: a number cut to 32 bits would launch
// fewer, or none.
inline unsigned int grid_of(int64_t blocks) {
    constexpr int64_t kMost = (int64_t{1} << 31) - 1;
    require<NotSupported>(blocks <= kMost, "this takes ", blocks, " blocks, and a CUDA grid has at most ", kMost,
                          "; split the arrays, or choose a kernel that takes fewer (mt.use_kernel)");
    return static_cast<unsigned int>(blocks);
}

// How many blocks of `size` it takes to cover `count` elements.
inline unsigned int blocks_for(int64_t count, int64_t size) { return grid_of((count + size - 1) / size); }

// Whether float4 and its like may be read there. Our own memory is aligned; an array from DLPack may begin anywhere.
inline bool is_aligned(const NDArray& array, uintptr_t bytes) {
    return reinterpret_cast<uintptr_t>(array.raw()) % bytes == 0;
}

// Device memory for a launcher's own use. Uninitialised.
template <class T>
class Scratch {
 public:
    explicit Scratch(int64_t count)
        : data_(static_cast<T*>(allocate_scratch(static_cast<size_t>(count) * sizeof(T)))) {}
    ~Scratch() { release_scratch(data_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    T* data() { return data_; }

 private:
    T* data_;
};

// Calls body(T{}) with float or double. The op has checked the dtype.
template <class Body>
void dispatch_floating_device(DType dtype, Body&& body) {
    if (dtype == DType::float32)
        body(float{});
    else
        body(double{});
}

template <class Body>
void dispatch_all_device(DType dtype, Body&& body) {
    switch (dtype) {
        case DType::float32:
            return body(float{});
        case DType::float64:
            return body(double{});
        case DType::int64:
            return body(int64_t{});
        case DType::int32:
            return body(int32_t{});
        case DType::uint8:
            return body(uint8_t{});
    }
}

}  // namespace mt
