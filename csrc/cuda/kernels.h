// Everything that the CUDA sources offer: one list of kernels an op, the default first. The same declarations serve
// both devices that run them, cuda (built by nvcc into the extension) and simt (built by the host compiler against
// csrc/simt).
//
// A new op: its kernel type in csrc/ops, a csrc/cuda/<op>.cu that ends in <op>_rows(), and a line in each of the two
// structures below and in kernels.cu.
#pragma once

#include <vector>

#include "../ops/activation.h"
#include "../ops/avg_pool2d.h"
#include "../ops/conv2d.h"
#include "../ops/cross_entropy.h"
#include "../ops/elementwise.h"
#include "../ops/fill_cast.h"
#include "../ops/gather_batch.h"
#include "../ops/im2col.h"
#include "../ops/matmul.h"
#include "../ops/max_pool2d.h"
#include "../ops/nll_loss.h"
#include "../ops/random.h"
#include "../ops/reduction.h"
#include "../ops/rows.h"
#include "../ops/sgd.h"
#include "../ops/shape.h"
#include "../ops/softmax.h"

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
    DeviceRows<UnaryKernel> relu;
    DeviceRows<ReluBackwardKernel> relu_backward;
    DeviceRows<UnaryKernel> neg;
    DeviceRows<UnaryKernel> abs;
    DeviceRows<UnaryKernel> exp;
    DeviceRows<UnaryKernel> log;
    DeviceRows<UnaryKernel> sqrt;
    DeviceRows<UnaryKernel> tanh;
    DeviceRows<UnaryKernel> sigmoid;
    DeviceRows<AvgPoolKernel> avg_pool2d;
    DeviceRows<AvgPoolBackwardKernel> avg_pool2d_backward;
    DeviceRows<CastKernel> cast;
    DeviceRows<Conv2dKernels> conv2d;
    DeviceRows<Conv2dBiasGradKernel> conv2d_bias_grad;
    DeviceRows<CrossEntropyKernel> cross_entropy;
    DeviceRows<CrossEntropyBackwardKernel> cross_entropy_backward;
    DeviceRows<BinaryKernel> add;
    DeviceRows<BinaryKernel> sub;
    DeviceRows<BinaryKernel> mul;
    DeviceRows<BinaryKernel> maximum;
    DeviceRows<BinaryKernel> minimum;
    DeviceRows<BinaryKernel> div;
    DeviceRows<BinaryKernel> div_trunc;
    DeviceRows<BinaryKernel> div_floor;
    DeviceRows<BinaryKernel> pow;
    DeviceRows<BinaryKernel> eq;
    DeviceRows<BinaryKernel> ne;
    DeviceRows<BinaryKernel> lt;
    DeviceRows<BinaryKernel> le;
    DeviceRows<BinaryKernel> gt;
    DeviceRows<BinaryKernel> ge;
    DeviceRows<WhereKernel> where;
    DeviceRows<AddScaledKernel> add_scaled;
    DeviceRows<BroadcastKernel> broadcast;
    DeviceRows<FillKernel> fill;
    DeviceRows<GatherBatchKernel> gather_batch;
    DeviceRows<Im2colKernels> im2col;
    DeviceRows<MatmulKernel> matmul;
    DeviceRows<MaxPoolKernel> max_pool2d;
    DeviceRows<MaxPoolBackwardKernel> max_pool2d_backward;
    DeviceRows<NllLossKernel> nll_loss;
    DeviceRows<NllLossBackwardKernel> nll_loss_backward;
    DeviceRows<ReduceLossesKernel> reduce_losses;
    DeviceRows<DrawKernel> uniform;
    DeviceRows<DrawKernel> normal;
    DeviceRows<ReductionKernel> sum;
    DeviceRows<ReductionKernel> mean;
    DeviceRows<ReductionKernel> amax;
    DeviceRows<ReductionKernel> amin;
    DeviceRows<ArgmaxKernel> argmax;
    DeviceRows<RowsKernel> index_select;
    DeviceRows<RowsKernel> index_select_backward;
    DeviceRows<SgdKernel> sgd;
    DeviceRows<PermuteKernel> permute;
    DeviceRows<SlabsKernel> copy_slabs;
    DeviceRows<SlabsKernel> pad_slabs;
    DeviceRows<AlongDimKernel> softmax;
    DeviceRows<AlongDimBackwardKernel> softmax_backward;
    DeviceRows<AlongDimKernel> log_softmax;
    DeviceRows<AlongDimBackwardKernel> log_softmax_backward;
    DeviceRows<AlongDimKernel> logsumexp;
};

// activation.cu
DeviceRows<UnaryKernel> relu_rows();
DeviceRows<ReluBackwardKernel> relu_backward_rows();
DeviceRows<UnaryKernel> neg_rows();
DeviceRows<UnaryKernel> abs_rows();
DeviceRows<UnaryKernel> exp_rows();
DeviceRows<UnaryKernel> log_rows();
DeviceRows<UnaryKernel> sqrt_rows();
DeviceRows<UnaryKernel> tanh_rows();
DeviceRows<UnaryKernel> sigmoid_rows();

// avg_pool2d.cu
DeviceRows<AvgPoolKernel> avg_pool2d_rows();
DeviceRows<AvgPoolBackwardKernel> avg_pool2d_backward_rows();

// cast.cu
DeviceRows<CastKernel> cast_rows();

// conv2d.cu
DeviceRows<Conv2dKernels> conv2d_rows();

// conv2d_bias_grad.cu
DeviceRows<Conv2dBiasGradKernel> conv2d_bias_grad_rows();

// cross_entropy.cu
DeviceRows<CrossEntropyKernel> cross_entropy_rows();
DeviceRows<CrossEntropyBackwardKernel> cross_entropy_backward_rows();

// elementwise.cu
DeviceRows<BinaryKernel> add_rows();
DeviceRows<BinaryKernel> sub_rows();
DeviceRows<BinaryKernel> mul_rows();
DeviceRows<BinaryKernel> maximum_rows();
DeviceRows<BinaryKernel> minimum_rows();
DeviceRows<BinaryKernel> div_rows();
DeviceRows<BinaryKernel> div_trunc_rows();
DeviceRows<BinaryKernel> div_floor_rows();
DeviceRows<BinaryKernel> pow_rows();
DeviceRows<BinaryKernel> eq_rows();
DeviceRows<BinaryKernel> ne_rows();
DeviceRows<BinaryKernel> lt_rows();
DeviceRows<BinaryKernel> le_rows();
DeviceRows<BinaryKernel> gt_rows();
DeviceRows<BinaryKernel> ge_rows();
DeviceRows<WhereKernel> where_rows();
DeviceRows<AddScaledKernel> add_scaled_rows();
DeviceRows<BroadcastKernel> broadcast_rows();

// fill.cu
DeviceRows<FillKernel> fill_rows();

// gather_batch.cu
DeviceRows<GatherBatchKernel> gather_batch_rows();

// im2col.cu
DeviceRows<Im2colKernels> im2col_rows();

// matmul.cu
DeviceRows<MatmulKernel> matmul_rows();

// max_pool2d.cu
DeviceRows<MaxPoolKernel> max_pool2d_rows();
DeviceRows<MaxPoolBackwardKernel> max_pool2d_backward_rows();

// nll_loss.cu
DeviceRows<NllLossKernel> nll_loss_rows();
DeviceRows<NllLossBackwardKernel> nll_loss_backward_rows();
DeviceRows<ReduceLossesKernel> reduce_losses_rows();

// random.cu
DeviceRows<DrawKernel> uniform_rows();
DeviceRows<DrawKernel> normal_rows();

// reduction.cu
DeviceRows<ReductionKernel> sum_rows();
DeviceRows<ReductionKernel> mean_rows();
DeviceRows<ReductionKernel> amax_rows();
DeviceRows<ReductionKernel> amin_rows();
DeviceRows<ArgmaxKernel> argmax_rows();

// rows.cu
DeviceRows<RowsKernel> index_select_rows();
DeviceRows<RowsKernel> index_select_backward_rows();

// sgd.cu
DeviceRows<SgdKernel> sgd_rows();

// shape.cu
DeviceRows<PermuteKernel> permute_rows();
DeviceRows<SlabsKernel> copy_slabs_rows();
DeviceRows<SlabsKernel> pad_slabs_rows();

// softmax.cu
DeviceRows<AlongDimKernel> softmax_rows();
DeviceRows<AlongDimBackwardKernel> softmax_backward_rows();
DeviceRows<AlongDimKernel> log_softmax_rows();
DeviceRows<AlongDimBackwardKernel> log_softmax_backward_rows();
DeviceRows<AlongDimKernel> logsumexp_rows();

}  // namespace mt

// The lists of this build. A C function, so that it can be found by name in the emulator's libraries.
extern "C" __attribute__((visibility("default"))) const mt::DeviceKernels& mytensor_device_kernels();
