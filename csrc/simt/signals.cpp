#include "signals.h"

#include <ucontext.h>

#include "worker.h"

namespace mt::simt {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
constexpr size_t kCount = sizeof(kSignals) / sizeof(kSignals[0]);
constexpr size_t kStackBytes = 64 * 1024;

struct sigaction previous[kCount];

const void* instruction_of(const ucontext_t* context) {
#if defined(__x86_64__)
    return reinterpret_cast<const void*>(context->uc_mcontext.gregs[REG_RIP]);
#else
    return reinterpret_cast<const void*>(context->uc_mcontext.pc);
#endif
}

AccessKind access_of(const ucontext_t* context) {
#if defined(__x86_64__)
    constexpr greg_t kWasWrite = 2;  // a bit of the page fault's error code
    return context->uc_mcontext.gregs[REG_ERR] & kWasWrite ? AccessKind::write : AccessKind::read;
#else
    (void)context;
    return AccessKind::read;
#endif
}

bool is_guard_of_stack(Worker& worker, const void* address) {
    const char* guard = worker.stacks()[worker.block().current().stack].guard;
    return address >= guard && address < guard + StackPool::kGuardBytes;
}

Fault fault_of(Worker& worker, int signal, const siginfo_t* info, const ucontext_t* context) {
    Fault fault;
    const void* instruction = instruction_of(context);
    worker.fill_actor(&fault.actor, {},
                      worker.grid().module.holds(instruction) ? instruction : worker.last_instruction);
    fault.address = info->si_addr;
    fault.access = access_of(context);
    if (signal == SIGFPE) {
        fault.kind = Fault::Kind::division_by_zero;
    } else if (signal == SIGILL) {
        fault.kind = Fault::Kind::illegal_instruction;
    } else if (is_guard_of_stack(worker, info->si_addr)) {
        fault.kind = Fault::Kind::stack_overflow;
    } else if (const Allocation* allocation = arena().find(info->si_addr); allocation && allocation->data) {
        fault.kind = allocation->is_live ? Fault::Kind::out_of_bounds : Fault::Kind::freed;
    } else {
        fault.kind = Fault::Kind::bad_address;
    }
    return fault;
}

// Somebody else's signal goes to whoever had it before.
void pass_on(int signal, siginfo_t* info, void* context) {
    for (size_t i = 0; i < kCount; i++) {
        if (kSignals[i] != signal) continue;
        if (previous[i].sa_flags & SA_SIGINFO)
            previous[i].sa_sigaction(signal, info, context);
        else if (previous[i].sa_handler == SIG_DFL || previous[i].sa_handler == SIG_IGN)
            sigaction(signal, &previous[i], nullptr);  // the instruction runs again, and the default has its way
        else
            previous[i].sa_handler(signal);
    }
}

void handle(int signal, siginfo_t* info, void* context) {
    Worker* worker = current_worker();
    if (worker == nullptr || !worker->is_in_kernel()) return pass_on(signal, info, context);
    worker->abandon(fault_of(*worker, signal, info, static_cast<ucontext_t*>(context)));
}

}  // namespace

SignalHandlers::SignalHandlers() {
    struct sigaction action = {};
    action.sa_sigaction = handle;
    // NODEFER: the handler leaves by a switch of stacks, after which the signal must not stay blocked.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (size_t i = 0; i < kCount; i++) sigaction(kSignals[i], &action, &previous[i]);
}

SignalHandlers::~SignalHandlers() {
    for (size_t i = 0; i < kCount; i++) sigaction(kSignals[i], &previous[i], nullptr);
}

SignalStack::SignalStack() : memory_(new char[kStackBytes]) {
    stack_t stack = {};
    stack.ss_sp = memory_.get();
    stack.ss_size = kStackBytes;
    sigaltstack(&stack, &previous_);
}

SignalStack::~SignalStack() { sigaltstack(&previous_, nullptr); }

}  // namespace mt::simt
