// Whether the caller still wants the result.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace dense_crf {

class Stop {
  public:
    using Function = int32_t (*)();

    explicit Stop(Function function) : function_(function), next_(Clock::now() + kInterval) {}

    // Any thread may ask; only the calling one (worker 0) asks the caller in turn, and not often: the answer may have to
    // wait for an interpreter's lock.
    bool requested(int worker) {
        if (worker == 0 && function_ != nullptr && Clock::now() >= next_) {
            if (function_() != 0) requested_.store(true, std::memory_order_relaxed);
            next_ = Clock::now() + kInterval;
        }
        return requested_.load(std::memory_order_relaxed);
    }

  private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds kInterval{10};

    Function function_;
    Clock::time_point next_;
    std::atomic<bool> requested_{false};
};

}  // namespace dense_crf
