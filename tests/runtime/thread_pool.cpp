// csrc/cpu/thread_pool.cpp without the rest: every range is done once, by whomever, and is done when the call returns.
#include "cpu/thread_pool.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>
#include <vector>

namespace {

template <class Body>
void run(int64_t workers, const Body& body) {
    const auto call = [](const void* it, int64_t worker) { (*static_cast<const Body*>(it))(worker); };
    mt::cpu::run_on_pool(workers, call, &body);
}

void require(bool is_true, const char* what) {
    if (is_true) return;
    std::printf("wrong: %s\n", what);
    std::exit(1);
}

void sleep_for(int microseconds) { std::this_thread::sleep_for(std::chrono::microseconds(microseconds)); }

// Plain numbers, which the pool alone keeps from being written by two threads at a time and read too early.
void do_each_once(int64_t workers, int round) {
    std::vector<int> times_done(workers, 0);
    run(workers, [&](int64_t worker) {
        if (round % 7 == 3 && worker == round % workers) sleep_for(200);
        times_done[worker]++;
    });
    for (int times : times_done) require(times == 1, "a range was done twice or not at all");
}

void each_range_once() {
    for (int round = 0; round < 3000; round++) {
        const int64_t sizes[] = {1, 2, 3, 5, 17};
        do_each_once(sizes[round % 5], round);
        if (round % 300 == 0) sleep_for(4000);  // until the helpers sleep
    }
    do_each_once(1024, 0);
}

// A helper that begins a range and is long away from it: the call waits for it, and later ones do without.
void late_helper() {
    for (int round = 0; round < 30; round++) {
        const std::thread::id caller = std::this_thread::get_id();
        std::atomic<int> done{0};
        run(3, [&](int64_t) {
            if (std::this_thread::get_id() != caller) sleep_for(3000);
            done++;
        });
        require(done == 3, "a call returned before its late range was done");
    }
}

// Helpers come back after cores were short: some call within a second has another thread in it.
void helpers_return() {
    std::set<std::thread::id> seen;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (seen.size() < 2 && std::chrono::steady_clock::now() < end) {
        std::thread::id ids[2];
        run(2, [&](int64_t worker) {
            sleep_for(300);
            ids[worker] = std::this_thread::get_id();
        });
        seen.insert(ids, ids + 2);
    }
    require(seen.size() == 2, "after cores were short the helpers never came back");
}

void several_callers() {
    std::vector<std::thread> callers;
    for (int number = 0; number < 4; number++) {
        callers.emplace_back([number] {
            for (int round = 0; round < 500; round++) do_each_once(2 + (round + number) % 3, round);
        });
    }
    for (std::thread& caller : callers) caller.join();
}

void call_within_a_call() {
    std::atomic<int> done{0};
    run(3, [&](int64_t) { run(4, [&](int64_t) { done++; }); });
    require(done == 12, "a call within a call lost ranges");
}

}  // namespace

int main() {
    each_range_once();
    late_helper();
    helpers_return();
    several_callers();
    call_within_a_call();
    std::printf("ok\n");
    return 0;
}
