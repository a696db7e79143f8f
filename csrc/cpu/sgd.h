// CPU kernel of the SGD step.
//
//   sgd_step   all elements of all parameters are numbered through and shared out in one parallel region: ten small
//   tensors cost one
//              waking of the threads, not ten
#pragma once

#include "../ops/sgd.h"

namespace mt::cpu {

void sgd_step(const std::vector<SgdTensor>& tensors, const SgdSettings& settings, DType dtype);

}  // namespace mt::cpu
