// What is remembered of launches, as an error tells it: csrc/device/cuda/launch_notes.cpp without CUDA.
#include "device/cuda/launch_notes.h"

#include <cstdio>

int main() {
    using namespace mt::cuda;
    std::printf("[%s]", latest_launches().c_str());  // nothing yet
    for (uint32_t i = 1; i <= 5; i++) {
        const uint32_t grid[3] = {i, 2, 3}, block[3] = {32, i, 1};
        OpNote& op = op_under_way();
        op.op = i == 2 ? "relu" : "conv2d";
        if (i == 2) op.add("x", "float32", {5});
        if (i == 3) {
            for (int n = 0; n < 8; n++) op.add("parameters", "float64", {2, n});
        }
        if (i == 4) op.add("x", "uint8", {1, 2, 3, 4, 5, 6, 7, 8});
        if (i == 5) {
            op.add("input", "float32", {2, 3, 32, 32});
            op.add("shape", "", {});
        }
        if (i != 4) {
            note_launch("set_all<T>, blocks, kThreads, 0, array.data<T>()", grid, block, 100 * i);
        } else {
            op.clear();
            note_launch("reduce, 1, 1, 0", grid, block, 0);
        }
        op.clear();
    }
    std::printf("%s\n---%s\n", latest_launches().c_str(), latest_launches(1).c_str());
    return 0;
}
