// The ceiling that the products of csrc/cpu are measured against.
#pragma once

namespace mt::cpu {

// The fastest of a few runs of `seconds` each in all: how many floating-point operations a second all threads do when
// nothing but multiply-adds of float32 is to be done, on numbers that never leave the registers.
double fma_peak(double seconds);

}  // namespace mt::cpu
