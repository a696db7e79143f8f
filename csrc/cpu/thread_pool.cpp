#include "thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

namespace mt::cpu {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// A thread that waits spins first: the next kernel of a training step comes within microseconds, and waking a sleeper
// takes tens of them. Then it yields between looks, which costs nothing where nobody else wants the core, and at last
// it sleeps.
constexpr microseconds kSpin{50};
constexpr microseconds kYieldForWork{2000};
constexpr microseconds kYieldForResults{200};
// A yield that took this long gave the core to another program.
constexpr microseconds kGaveWay{50};

// A helper that is this late, and took longer than the caller for its own ranges, has lost its core on the way, for a
// time slice of some milliseconds. Cores are short then: the caller works alone for a while before it tries again, and
// longer each time that fails.
constexpr microseconds kLate{300};
constexpr milliseconds kAloneAtFirst{10};
constexpr milliseconds kAloneAtMost{160};

void pause_core() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits until is_over() holds, spinning and then yielding for at most `patience`; whether it holds. Ends early where
// others want the core.
template <class Condition>
bool wait_awake(microseconds patience, const Condition& is_over) {
    const auto began = Clock::now();
    while (true) {
        for (int look = 0; look < 128; look++) {
            if (is_over()) return true;
            pause_core();
        }
        const auto now = Clock::now();
        if (now - began < kSpin) continue;
        std::this_thread::yield();
        if (now - began > patience || Clock::now() - now > kGaveWay) return is_over();
    }
}

// The ranges of a job that nobody has begun: job number, number of ranges and the next range in one word, so that a
// thread takes a range by one exchange and can't take one of a job that is over.
struct Ticket {
    uint64_t word;

    static Ticket make(uint64_t job, int64_t ranges) { return {job << 32 | static_cast<uint64_t>(ranges) << 16}; }
    int64_t next() const { return static_cast<int64_t>(word & 0xffff); }
    int64_t ranges() const { return static_cast<int64_t>(word >> 16 & 0xffff); }
    bool is_left() const { return next() < ranges(); }
};

class ThreadPool {
 public:
    void run(int64_t workers, RangeFunction function, const void* body) {
        if (workers == 1 || is_taken_.exchange(true, std::memory_order_acquire)) {
            run_alone(workers, function, body);
            return;
        }
        const auto began = Clock::now();
        if (began < alone_until_) {
            run_alone(workers, function, body);
        } else {
            start_threads(workers - 1);
            publish(workers, function, body);
            work();
            const auto did_own = Clock::now();
            wait_for_results();
            learn(did_own - began, did_own, Clock::now());
        }
        is_taken_.store(false, std::memory_order_release);
    }

 private:
    static void run_alone(int64_t workers, RangeFunction function, const void* body) {
        for (int64_t worker = 0; worker < workers; worker++) function(body, worker);
    }

    void start_threads(int64_t wanted) {
        try {
            for (; threads_ < wanted; threads_++) std::thread([this] { help(); }).detach();
        } catch (const std::system_error&) {  // no more threads to be had: the caller does what is left
        }
    }

    void publish(int64_t workers, RangeFunction function, const void* body) {
        function_ = function;
        body_ = body;
        unfinished_.store(workers, std::memory_order_relaxed);
        ticket_.store(Ticket::make(++job_, workers).word);
        if (sleepers_.load() == 0) return;
        // The lock: a helper that has found no work under it sleeps already, or looks again.
        const std::lock_guard<std::mutex> lock(mutex_);
        for (int64_t helper = 1; helper < workers; helper++) work_came_.notify_one();
    }

    bool has_work() const { return Ticket{ticket_.load()}.is_left(); }

    // Does ranges as long as there are some that nobody has begun.
    void work() {
        Ticket ticket{ticket_.load(std::memory_order_acquire)};
        while (ticket.is_left()) {
            if (!ticket_.compare_exchange_weak(ticket.word, ticket.word + 1)) continue;
            function_(body_, ticket.next());
            if (unfinished_.fetch_sub(1) == 1 && caller_sleeps_.load()) {
                const std::lock_guard<std::mutex> lock(mutex_);
                results_came_.notify_one();
            }
            ticket.word = ticket_.load(std::memory_order_acquire);
        }
    }

    void help() {
        while (true) {
            work();
            if (wait_awake(kYieldForWork, [this] { return has_work(); })) continue;
            std::unique_lock<std::mutex> lock(mutex_);
            sleepers_++;
            work_came_.wait(lock, [this] { return has_work(); });
            sleepers_--;
        }
    }

    void wait_for_results() {
        const auto are_there = [this] { return unfinished_.load() == 0; };
        if (wait_awake(kYieldForResults, are_there)) return;
        std::unique_lock<std::mutex> lock(mutex_);
        caller_sleeps_ = true;
        results_came_.wait(lock, are_there);
        caller_sleeps_ = false;
    }

    void learn(Clock::duration own_work, Clock::time_point did_own, Clock::time_point ended) {
        if (ended - did_own > kLate && ended - did_own > own_work) {
            alone_until_ = ended + alone_for_;
            alone_for_ = std::min<Clock::duration>(2 * alone_for_, kAloneAtMost);
        } else if (ended - alone_until_ > alone_for_) {  // it has gone well for as long
            alone_for_ = kAloneAtFirst;
        }
    }

    std::atomic<bool> is_taken_{false};

    // Of the caller who has taken the pool.
    int64_t threads_ = 0;
    uint64_t job_ = 0;
    Clock::time_point alone_until_{};
    Clock::duration alone_for_ = kAloneAtFirst;

    // The job; function_ and body_ may be read by who holds one of its ranges.
    RangeFunction function_ = nullptr;
    const void* body_ = nullptr;
    alignas(64) std::atomic<uint64_t> ticket_{0};
    alignas(64) std::atomic<int64_t> unfinished_{0};

    std::mutex mutex_;
    std::condition_variable work_came_, results_came_;
    std::atomic<int> sleepers_{0};
    std::atomic<bool> caller_sleeps_{false};
};

}  // namespace

void run_on_pool(int64_t workers, RangeFunction function, const void* body) {
    // Made at the first use (csrc/cpu runs nothing when the extension is loaded) and never destroyed: its threads
    // outlive main.
    static ThreadPool& pool = *new ThreadPool;
    pool.run(workers, function, body);
}

}  // namespace mt::cpu
