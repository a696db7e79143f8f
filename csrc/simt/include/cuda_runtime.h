// For sources that include CUDA's own header: what kernels need of it.
#pragma once

#include "../cuda.h"
