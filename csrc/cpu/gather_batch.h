// CPU kernel that makes a batch of the data set's bytes.
//
//   gather_batch   row by row, (x / 255 - mean) / std for a register full of pixels at a time
#pragma once

#include "../ndarray/ndarray.h"

namespace mt::cpu {

// images: uint8 (N, C, H, W); index: int64 (B,); mean, std: float32 (C,); flip: B bytes or nullptr; crop: B pairs (row,
// column) or nullptr, each 0 to 2 * padding; out: float32 (B, C, H, W), not empty.
void gather_batch(const NDArray& images, const NDArray& index, const NDArray& mean, const NDArray& std,
                  const uint8_t* flip, const int64_t* crop, int64_t padding, NDArray& out);

}  // namespace mt::cpu
