// Turns what the processor refuses (an unmapped address, a division by zero) into faults of the kernel that did it,
// where without them Python would end.
#pragma once

#include <csignal>
#include <memory>

namespace mt::simt {

// The handlers stand while an object of this class lives. One at a time: launches take turns.
class SignalHandlers {
 public:
    SignalHandlers();
    ~SignalHandlers();
    SignalHandlers(const SignalHandlers&) = delete;
    SignalHandlers& operator=(const SignalHandlers&) = delete;
};

// A stack for the handlers on this CPU thread: the kernel's own may be what has overflowed.
class SignalStack {
 public:
    SignalStack();
    ~SignalStack();
    SignalStack(const SignalStack&) = delete;
    SignalStack& operator=(const SignalStack&) = delete;

 private:
    std::unique_ptr<char[]> memory_;
    stack_t previous_;
};

}  // namespace mt::simt
