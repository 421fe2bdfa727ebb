#include "pool.h"

#include <system_error>
#include <thread>

#include "simd.h"

namespace dense_crf {

namespace {

constexpr int kSpins = 2000;
constexpr uint64_t kTaskMask = 0xffff;

uint32_t generation_of(uint64_t state) { return static_cast<uint32_t>(state >> 32); }

}  // namespace

Pool& Pool::shared() {
    // Never destroyed: at process exit the workers may still sleep on its condition variable.
    static Pool* pool = new Pool;
    return *pool;
}

void Pool::run(int threads, int count, Task task, void* context) {
    while (workers_ < threads - 1) {
        const int worker = workers_ + 1;
        const uint32_t seen = generation_of(state_.load());
        try {
            std::thread([this, worker, seen] { work(worker, seen); }).detach();
        } catch (const std::system_error&) {
            break;  // fewer threads do the same work
        }
        workers_ = worker;
    }

    task_.store(task, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    finished_.store(0, std::memory_order_relaxed);
    const uint32_t generation = generation_of(state_.load(std::memory_order_relaxed)) + 1;
    state_.store(static_cast<uint64_t>(generation) << 32 | static_cast<uint64_t>(count));
    if (sleeping_.load() > 0) {
        const std::lock_guard<std::mutex> lock(sleep_);
        wake_.notify_all();
    }

    finish_claimed(generation, 0);
    for (int spins = 0; spins < kSpins; ++spins) {
        if (finished_.load(std::memory_order_acquire) == count) return;
        pause();
    }
    std::unique_lock<std::mutex> lock(sleep_);
    waiting_.store(true);
    done_.wait(lock, [&] { return finished_.load() == count; });
    waiting_.store(false);
}

bool Pool::claim(uint32_t generation, int* task) {
    uint64_t state = state_.load(std::memory_order_acquire);
    for (;;) {
        const uint64_t next = state >> 16 & kTaskMask;
        if (generation_of(state) != generation || next >= (state & kTaskMask)) return false;
        if (state_.compare_exchange_weak(state, state + (1u << 16), std::memory_order_acq_rel)) {
            *task = static_cast<int>(next);
            return true;
        }
    }
}

void Pool::finish_claimed(uint32_t generation, int worker) {
    int task = 0;
    while (claim(generation, &task)) {
        // A claimed task keeps `run` from returning, so these are still the ones of this generation.
        task_.load(std::memory_order_relaxed)(context_.load(std::memory_order_relaxed), task, worker);
        finished_.fetch_add(1);
        if (waiting_.load()) {
            const std::lock_guard<std::mutex> lock(sleep_);
            done_.notify_one();
        }
    }
}

void Pool::work(int worker, uint32_t seen) {
    for (;;) {
        seen = wait_for_news(seen);
        finish_claimed(seen, worker);
    }
}

uint32_t Pool::wait_for_news(uint32_t seen) {
    for (int spins = 0; spins < kSpins; ++spins) {
        const uint32_t now = generation_of(state_.load(std::memory_order_acquire));
        if (now != seen) return now;
        pause();
    }
    std::unique_lock<std::mutex> lock(sleep_);
    sleeping_.fetch_add(1);
    uint32_t now = seen;
    wake_.wait(lock, [&] {
        now = generation_of(state_.load());
        return now != seen;
    });
    sleeping_.fetch_sub(1);
    return now;
}

Team::Team(int threads) : threads_(threads), turn_(Pool::shared().turn_, std::try_to_lock) {}

}  // namespace dense_crf
