// A training batch from the data set.
#pragma once

#include <optional>

#include "../ndarray/ndarray.h"
#include "ladder.h"

namespace mt {

// images: uint8 (N, C, H, W), index: int64 (B,), mean, std: float32 (C,) -> float32 (B, C, H, W): image index[b], with
// every pixel x of channel c made (x / 255 - mean[c]) / std[c].
//
// Augmentation, in torchvision's usual order (RandomCrop with padding, then RandomHorizontalFlip, then normalisation):
//   crop   int64 (B, 2): row and column, 0 to 2 * padding, of the corner of the H x W window in the image that has
//          `padding` pixels of value 0 (black, before normalisation) on each side. Without crop, padding must be 0.
//   flip   uint8 (B,): where it is not 0, the window is mirrored, left and right exchanged.
NDArray gather_batch(const NDArray& images, const NDArray& index, const NDArray& mean, const NDArray& std,
                     const std::optional<NDArray>& flip, const std::optional<NDArray>& crop, int64_t padding);

// Kernel. flip: B bytes or nullptr; crop: B pairs (row, column) or nullptr, each 0 to 2 * padding; out: float32
// (B, C, H, W), not empty.
using GatherBatchKernel = void(const NDArray& images, const NDArray& index, const NDArray& mean, const NDArray& std,
                               const uint8_t* flip, const int64_t* crop, int64_t padding, NDArray& out);

constexpr Op<GatherBatchKernel> kGatherBatchOp{"gather_batch"};

namespace cpu {
extern const Ladder<GatherBatchKernel> gather_batch_ladder;
}  // namespace cpu

}  // namespace mt
