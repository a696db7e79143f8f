// The ladder of conv2d, whose rungs are files of their own.
#include "conv2d.h"

namespace mt::cpu {
namespace {

constexpr Conv2dKernels kDirect{conv2d_direct, conv2d_direct_input_grad, conv2d_direct_weight_grad};
constexpr Conv2dKernels kIm2colGemm{conv2d_im2col_gemm, conv2d_im2col_gemm_input_grad, conv2d_im2col_gemm_weight_grad};
constexpr Conv2dKernels kIm2colNaive{conv2d_im2col_naive, conv2d_im2col_naive_input_grad,
                                     conv2d_im2col_naive_weight_grad};
constexpr Conv2dKernels kLoops{conv2d_loops, conv2d_loops_input_grad, conv2d_loops_weight_grad};

constexpr Rung<Conv2dKernels> kRungs[] = {
    {"direct",
     "A register tile slides over the padded image, without columns; for a stride other than 1 or very short rows it "
     "is im2col_gemm.",
     &kDirect},
    {"im2col_gemm", "Image by image: im2col by rows, then the fast matrix product.", &kIm2colGemm},
    {"im2col_naive", "im2col element by element, the columns of the whole batch in memory, then three plain loops.",
     &kIm2colNaive},
    {"loops", "The definition: seven loops around one multiplication.", &kLoops},
};

}  // namespace

constexpr Ladder<Conv2dKernels> conv2d_ladder(kRungs);

}  // namespace mt::cpu
