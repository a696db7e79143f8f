// The ceiling that the products of csrc/cpu are measured against.
#pragma once

namespace mt::cpu {

// Floating-point operations a second of all threads together, when nothing but multiply-adds of float32 is to be done,
// on numbers that never leave the registers: each thread's best rate over `seconds` of its own processor time.
double fma_peak(double seconds);

}  // namespace mt::cpu
