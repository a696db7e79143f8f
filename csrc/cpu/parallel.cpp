#include "parallel.h"

#include <pthread.h>

#include <cstdlib>
#include <thread>

namespace mt::cpu {
namespace {

int initial_threads() {
    if (const char* text = std::getenv("OMP_NUM_THREADS")) {
        const int asked = std::atoi(text);
        if (asked > 0) return asked;
    }
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

struct Threads {
    int wanted = initial_threads();
    bool is_forked_child = false;

    Threads();
};

// Made at the first use, not when the extension is loaded: the CPU has not been checked by then, and this file may use
// all its instructions.
Threads& threads() {
    static Threads instance;
    return instance;
}

// The pool's threads do not survive a fork: a kernel in the child would wait for threads that are not there.
Threads::Threads() {
    pthread_atfork(nullptr, nullptr, [] { threads().is_forked_child = true; });
}

}  // namespace

int num_threads() { return threads().is_forked_child ? 1 : threads().wanted; }

void set_num_threads(int count) { threads().wanted = count; }

}  // namespace mt::cpu
