#include "thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

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

// A thread of the pool. It does one range of a job, always the same one: what the last kernel wrote there is still in
// its core's cache. Where it is late the caller takes the range.
struct alignas(64) Helper {
    std::atomic<uint64_t> taken{0};  // number of the last job whose range is taken, by this thread or by the caller
    std::atomic<bool> sleeps{false};
    std::mutex mutex;
    std::condition_variable work_came;

    // Whether the caller of this function shall do the range. Nobody can take one of a job that is over: all its
    // ranges were taken.
    bool take(uint64_t job) {
        uint64_t last = taken.load();
        return last < job && taken.compare_exchange_strong(last, job);
    }
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
            start_helpers(workers - 1);
            publish(workers, function, body);
            work(workers, function, body);
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

    // Starts helpers until there are `wanted`, or no more threads to be had.
    void start_helpers(int64_t wanted) {
        while (static_cast<int64_t>(helpers_.size()) < wanted) {
            auto helper = std::make_unique<Helper>();
            const int64_t worker = static_cast<int64_t>(helpers_.size()) + 1;
            try {
                std::thread([this, worker, helper = helper.get()] { help(*helper, worker); }).detach();
            } catch (const std::system_error&) {
                return;
            }
            helpers_.push_back(std::move(helper));
        }
    }

    void publish(int64_t workers, RangeFunction function, const void* body) {
        function_ = function;
        body_ = body;
        unfinished_.store(workers - 1, std::memory_order_relaxed);
        job_.store((job_number() + 1) << 16 | static_cast<uint64_t>(workers));
        for (int64_t worker = 1; worker < workers && worker <= static_cast<int64_t>(helpers_.size()); worker++) {
            Helper& helper = *helpers_[worker - 1];
            if (!helper.sleeps.load()) continue;
            // The lock: a helper that has found no work under it sleeps already, or looks again.
            const std::lock_guard<std::mutex> lock(helper.mutex);
            helper.work_came.notify_one();
        }
    }

    uint64_t job_number() const { return job_.load() >> 16; }

    // The caller's own range, then those that nobody has begun.
    void work(int64_t workers, RangeFunction function, const void* body) {
        function(body, 0);
        const uint64_t job = job_number();
        for (int64_t worker = 1; worker < workers; worker++) {
            const bool has_helper = worker <= static_cast<int64_t>(helpers_.size());
            if (has_helper && !helpers_[worker - 1]->take(job)) continue;
            function(body, worker);
            unfinished_.fetch_sub(1);
        }
    }

    // Whether the job has a range for this helper that nobody has begun.
    bool has_work(const Helper& helper, int64_t worker) const {
        const uint64_t job = job_.load();
        return worker < static_cast<int64_t>(job & 0xffff) && helper.taken.load() < job >> 16;
    }

    void help(Helper& helper, int64_t worker) {
        const auto has_work = [&] { return this->has_work(helper, worker); };
        while (true) {
            const uint64_t job = job_.load();
            if (worker < static_cast<int64_t>(job & 0xffff) && helper.take(job >> 16)) {
                function_(body_, worker);
                if (unfinished_.fetch_sub(1) == 1 && caller_sleeps_.load()) {
                    const std::lock_guard<std::mutex> lock(mutex_);
                    results_came_.notify_one();
                }
            }
            if (wait_awake(kYieldForWork, has_work)) continue;
            std::unique_lock<std::mutex> lock(helper.mutex);
            helper.sleeps = true;
            helper.work_came.wait(lock, has_work);
            helper.sleeps = false;
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
    std::vector<std::unique_ptr<Helper>> helpers_;  // of worker 1, 2, ...
    Clock::time_point alone_until_{};
    Clock::duration alone_for_ = kAloneAtFirst;

    // function_ and body_ may be read by who has taken a range of the job.
    RangeFunction function_ = nullptr;
    const void* body_ = nullptr;
    alignas(64) std::atomic<uint64_t> job_{0};  // its number and, in the last 16 bits, how many workers it has
    alignas(64) std::atomic<int64_t> unfinished_{0};

    std::mutex mutex_;
    std::condition_variable results_came_;
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
