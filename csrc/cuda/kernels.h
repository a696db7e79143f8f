// Everything that the CUDA sources offer: one list of kernels an op, the default first. The same declarations serve
// both devices that run them, cuda (built by nvcc into the extension) and simt (built by the host compiler against
// csrc/simt).
//
// A new op: its kernel type in csrc/ops, a csrc/cuda/<op>.cu that ends in <op>_rows(), and a line in each of the two
// structures below and in kernels.cu.
#pragma once

#include <vector>

#include "../ops/fill_cast.h"
#include "../ops/im2col.h"

namespace mt {

template <class Kernel>
struct DeviceRow {
    const char* name;
    const char* description;  // one sentence for the reader: the idea of this kernel
    int oldest_gpu;           // the compute capability it needs at least: 10 * major + minor
    Kernel kernel;
};

template <class Kernel>
using DeviceRows = std::vector<DeviceRow<Kernel>>;

struct DeviceKernels {
    DeviceRows<FillKernel> fill;
    DeviceRows<Im2colKernels> im2col;
};

DeviceRows<FillKernel> fill_rows();       // fill.cu
DeviceRows<Im2colKernels> im2col_rows();  // im2col.cu

}  // namespace mt

// The lists of this build. A C function, so that it can be found by name in the emulator's libraries.
extern "C" __attribute__((visibility("default"))) const mt::DeviceKernels& mytensor_device_kernels();
