// 2-D convolution and its gradients: a ladder of kernels, one file a rung, each with the same three functions.
//
//   direct         conv2d_direct.cpp         the register tile of tile.h slides over a padded image; the columns are
//                                            never made
//   im2col_gemm    conv2d_im2col_gemm.cpp    image by image: im2col by rows, then the fast matrix product
//   im2col_naive   conv2d_im2col_naive.cpp   im2col element by element, the columns of the whole batch in memory, then
//                                            three plain loops
//   loops          conv2d_loops.cpp          the definition: seven loops
//
// input (N, C, H, W), weight (O, C / groups, kh, kw), bias (O,) or null, output and upstream (N, O, H', W').
#pragma once

#include "../ops/conv2d.h"

namespace mt::cpu {

void conv2d_direct(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight, const NDArray* bias,
                   NDArray& output);
void conv2d_direct_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                              NDArray& input_grad);
void conv2d_direct_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                               NDArray& weight_grad);

void conv2d_im2col_gemm(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight,
                        const NDArray* bias, NDArray& output);
void conv2d_im2col_gemm_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                                   NDArray& input_grad);
void conv2d_im2col_gemm_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                                    NDArray& weight_grad);

void conv2d_im2col_naive(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight,
                         const NDArray* bias, NDArray& output);
void conv2d_im2col_naive_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                                    NDArray& input_grad);
void conv2d_im2col_naive_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                                     NDArray& weight_grad);

void conv2d_loops(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight, const NDArray* bias,
                  NDArray& output);
void conv2d_loops_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                             NDArray& input_grad);
void conv2d_loops_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                              NDArray& weight_grad);

}  // namespace mt::cpu
