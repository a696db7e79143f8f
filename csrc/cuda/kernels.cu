#include "kernels.h"

static const mt::DeviceKernels kernels = {
    mt::fill_rows(), mt::im2col_rows(), mt::conv2d_rows(), mt::conv2d_bias_grad_rows(), mt::matmul_rows(),
};

const mt::DeviceKernels& mytensor_device_kernels() { return kernels; }
