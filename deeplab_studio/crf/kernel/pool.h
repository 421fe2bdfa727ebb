// A few worker threads shared by the process. They spin for some tens of microseconds after work, because the next step
// of an iteration follows at once, and then sleep: on a busy machine a spinning thread only takes time from the others.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <new>
#include <type_traits>

namespace dense_crf {

class Pool {
  public:
    // Called for every task from 0 to count - 1, each once; `worker` is 0 on the thread that called `run`.
    using Task = void (*)(void* context, int task, int worker);

    static Pool& shared();

    void run(int threads, int count, Task task, void* context);

  private:
    friend class Team;

    void work(int worker, uint32_t seen);
    bool claim(uint32_t generation, int* task);
    void finish_claimed(uint32_t generation, int worker);
    uint32_t wait_for_news(uint32_t seen);

    std::mutex turn_;  // who may give out work
    std::mutex sleep_;
    std::condition_variable wake_, done_;
    std::atomic<int> sleeping_{0};       // workers that wait on wake_
    std::atomic<bool> waiting_{false};  // whether `run` waits on done_
    int workers_ = 0;

    // Generation, next task and number of tasks in one word: a thread that comes late to a job that is over finds
    // another generation and can claim nothing of the next job by mistake.
    std::atomic<uint64_t> state_{0};
    std::atomic<int> finished_{0};
    std::atomic<Task> task_{nullptr};
    std::atomic<void*> context_{nullptr};
};

// The workers for the length of one call into the kernel. Where another thread has them, everything runs on the calling
// thread: tasks do not depend on who runs them, so the result is the same.
class Team {
  public:
    explicit Team(int threads);
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    // Calls function(task, worker) for every task from 0 to count - 1 and waits for all of them.
    template <class Function>
    void run(int count, Function&& function) {
        if (!turn_.owns_lock() || threads_ == 1 || count == 1) {
            for (int task = 0; task < count; ++task) function(task, 0);
            return;
        }
        Call<std::remove_reference_t<Function>> call{&function, {false}};
        Pool::shared().run(threads_, count, &call.step, &call);
        if (call.failed) throw std::bad_alloc();
    }

  private:
    // Nothing may be thrown across a thread's end; memory is all that can run out in a task.
    template <class Function>
    struct Call {
        Function* function;
        std::atomic<bool> failed;

        static void step(void* context, int task, int worker) {
            Call* call = static_cast<Call*>(context);
            try {
                (*call->function)(task, worker);
            } catch (const std::bad_alloc&) {
                call->failed = true;
            }
        }
    };

    int threads_;
    std::unique_lock<std::mutex> turn_;
};

}  // namespace dense_crf
