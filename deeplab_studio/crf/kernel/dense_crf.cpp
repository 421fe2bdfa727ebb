// Mean field of a fully connected CRF (Kraehenbuehl and Koltun, NIPS 2011) for one picture, and its C interface.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "field.h"
#include "lattice.h"
#include "pool.h"
#include "simd.h"
#include "stop.h"

#if defined(_WIN32)
#define DENSE_CRF_EXPORT extern "C" __declspec(dllexport)
#else
#define DENSE_CRF_EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace dense_crf {

namespace {

constexpr int32_t kAbi = 2;
constexpr int64_t kPixelsWorthAPart = 4096;
constexpr size_t kNearBytes = 1 << 20;  // values up to here are expected in a core's own caches
enum Status : int32_t { kDone = 0, kWasCancelled = 1, kNoMemory = 2, kSigmaTooSmall = 3, kMisuse = 4 };
enum Normalization : int32_t { kSymmetric = 0, kAfter = 1 };

// Where a result goes: marginals (labels x pixels), the likeliest label of every pixel, either or neither.
struct Result {
    float* marginals;
    uint8_t* labels;

    bool wanted() const { return marginals != nullptr || labels != nullptr; }
};

// A lattice, its normalisation, and the values of the running inference on it.
struct Kernel {
    Lattice lattice;
    bool built = false;
    float position_sigma = 0, colour_sigma = 0;
    int32_t normalization = -1;
    Buffer<float> norm;  // by pixel

    int width = 0;
    Buffer<float> values, gathered;  // read by slicing; written by splatting

    // What the blur adds to a constant on a full lattice.
    float gain() const { return 1.0f / (1.0f + 1.0f / static_cast<float>(1 << lattice.dimensions)); }
    size_t slots() const { return static_cast<size_t>(lattice.slots); }

    void make_room(int new_width) {
        width = new_width;
        values.resize(slots() * static_cast<size_t>(width));
        gathered.resize(slots() * static_cast<size_t>(width));
    }

    void clear_part(int part) {
        const size_t first = static_cast<size_t>(lattice.part_slot[static_cast<size_t>(part)]);
        const size_t end = static_cast<size_t>(lattice.part_slot[static_cast<size_t>(part) + 1]);
        std::fill(gathered.data() + first * static_cast<size_t>(width), gathered.data() + end * static_cast<size_t>(width),
                  0.0f);
    }

    void slice(int64_t pixel, int count, const float* scale, bool add, float* message) const {
        each_run([&](auto vector, auto corners, auto far, int first) {
            using V = decltype(vector);
            constexpr int K = decltype(corners)::value;
            const size_t at = static_cast<size_t>(pixel) * K;
            slice_block<V, K, decltype(far)::value>(lattice.corner.data() + at, lattice.weight.data() + at, values.data() + first,
                              static_cast<size_t>(width), scale, count, add, message + first);
        });
    }

    void splat(int64_t pixel, int count, const float* scale, const float* value) {
        each_run([&](auto vector, auto corners, auto far, int first) {
            using V = decltype(vector);
            constexpr int K = decltype(corners)::value;
            const size_t at = static_cast<size_t>(pixel) * K;
            splat_block<V, K, decltype(far)::value>(lattice.corner.data() + at, lattice.weight.data() + at, gathered.data() + first,
                              static_cast<size_t>(width), scale, count, value + first);
        });
    }

    void blur(int axis, size_t piece) {
        each_run([&](auto vector, auto, auto far, int first) {
            blur_piece<decltype(vector), decltype(far)::value>(lattice.pieces[static_cast<size_t>(axis)][piece],
                                                               values.data() + first, static_cast<size_t>(width));
        });
    }

    // Ghosts hand what they gathered to their owner, and take its value back after the blur.
    void hand_over(size_t task) {
        each_ghost(task, [&](float* ghost, float* owner) {
            for (int c = 0; c < width; ++c) owner[c] += ghost[c];
        });
    }
    void take_back(size_t task) {
        each_ghost(task, [&](float* ghost, float* owner) { std::copy(owner, owner + width, ghost); });
    }

  private:
    // Calls function(channels of a run, corners of a simplex, whether the values are far, first channel of the run).
    template <class Function>
    void each_run(Function&& function) const {
        const bool far = values.size() * sizeof(float) > kNearBytes;
        for_channels(width, [&](auto vector, int first) {
            const auto with_corners = [&](auto corners) {
                if (far) {
                    function(vector, corners, std::true_type(), first);
                } else {
                    function(vector, corners, std::false_type(), first);
                }
            };
            if (lattice.dimensions == 5) {
                with_corners(std::integral_constant<int, 6>());
            } else {
                with_corners(std::integral_constant<int, 3>());
            }
        });
    }

    template <class Function>
    void each_ghost(size_t task, Function&& function) {
        const size_t w = static_cast<size_t>(width);
        for (size_t i = lattice.ghost_start[task]; i < lattice.ghost_start[task + 1]; ++i) {
            function(values.data() + static_cast<size_t>(lattice.ghost[i]) * w,
                     values.data() + static_cast<size_t>(lattice.ghost_owner[i]) * w);
        }
    }
};

// From splatted to blurred values, for the kernels together.
void filter(const std::vector<Kernel*>& kernels, int parts, Team& team) {
    int axes = 0;
    bool ghosts = false;
    for (Kernel* kernel : kernels) {
        std::swap(kernel->values, kernel->gathered);
        axes = std::max(axes, kernel->lattice.corners());
        ghosts = ghosts || !kernel->lattice.ghost.empty();
    }
    if (ghosts) {
        team.run(parts, [&](int part, int) {
            for (Kernel* kernel : kernels) kernel->hand_over(static_cast<size_t>(part));
        });
    }
    for (int axis = 0; axis < axes; ++axis) {
        std::vector<std::pair<Kernel*, size_t>> work;
        for (Kernel* kernel : kernels) {
            if (axis >= kernel->lattice.corners()) continue;
            for (size_t i = 0; i < kernel->lattice.pieces[static_cast<size_t>(axis)].size(); ++i)
                work.emplace_back(kernel, i);
        }
        team.run(static_cast<int>(work.size()), [&](int task, int) {
            work[static_cast<size_t>(task)].first->blur(axis, work[static_cast<size_t>(task)].second);
        });
    }
    if (ghosts) {
        team.run(parts, [&](int part, int) {
            for (Kernel* kernel : kernels) kernel->take_back(static_cast<size_t>(part));
        });
    }
}

template <class Function>
void for_blocks(const Picture& picture, int part, Function&& function) {
    const int64_t end = picture.part_start(part + 1);
    for (int64_t block = picture.part_start(part); block < end; block += kBlock)
        function(block, static_cast<int>(std::min(kBlock, end - block)));
}

void normalise(Kernel& kernel, int32_t normalization, const Picture& picture, Team& team) {
    kernel.norm.resize(static_cast<size_t>(picture.pixels()));
    kernel.make_room(1);
    float one[kBlock];
    float gain[kBlock];
    std::fill(one, one + kBlock, 1.0f);
    std::fill(gain, gain + kBlock, kernel.gain());
    team.run(picture.parts, [&](int part, int) {
        kernel.clear_part(part);
        for_blocks(picture, part, [&](int64_t block, int count) { kernel.splat(block, count, one, one); });
    });
    filter({&kernel}, picture.parts, team);
    team.run(picture.parts, [&](int part, int) {
        for_blocks(picture, part, [&](int64_t block, int count) {
            float* norm = kernel.norm.data() + block;
            kernel.slice(block, count, gain, false, norm);
            for (int p = 0; p < count; ++p) {
                const double sum = double{norm[p]} + 1e-20;
                norm[p] = static_cast<float>(1.0 / (normalization == kSymmetric ? std::sqrt(sum) : sum));
            }
        });
    });
    kernel.normalization = normalization;
}

}  // namespace

class DenseCrf {
  public:
    DenseCrf(const uint8_t* rgb, int64_t height, int64_t width, int threads) : threads_(threads) {
        const int64_t worth = std::max<int64_t>(1, height * width / kPixelsWorthAPart);
        picture_ = {rgb, height, width, static_cast<int>(std::min<int64_t>(threads, worth))};
        scratch_.resize(static_cast<size_t>(picture_.parts));
        one_.fill(1.0f);
    }

    void set_kernel(Kernel& kernel, float position_sigma, float colour_sigma, int32_t normalization,
                    Stop::Function function) {
        Team team(threads_);
        if (!kernel.built || kernel.position_sigma != position_sigma || kernel.colour_sigma != colour_sigma) {
            Stop stop(function);
            kernel.built = false;
            kernel.normalization = -1;
            kernel.lattice.build(picture_, position_sigma, colour_sigma, team, stop);
            kernel.built = true;
            kernel.position_sigma = position_sigma;
            kernel.colour_sigma = colour_sigma;
        }
        if (kernel.normalization != normalization) {
            kernel.normalization = -1;
            normalise(kernel, normalization, picture_, team);
        }
    }

    // Labels in groups: each active label is one; if there is a rest, whose probability is at most `clip` everywhere, it
    // is the last. Only how a group's field differs from that of group 0 matters to the softmax, and the filters are
    // linear, so what goes through them are differences of marginals: one channel less, and where two labels are even,
    // where rounding would grow from iteration to iteration, small numbers.
    //
    // `given` holds probabilities or, with `logs`, logarithms of clipped ones; those are read in place until the end.
    void begin(const float* given, bool logs, const int32_t* active, int32_t active_count, const int32_t* rest,
               int32_t rest_count, const int16_t* pinned, float clip, float appearance_weight, float smoothness_weight,
               Result result) {
        active_.assign(active, active + active_count);
        rest_.assign(rest, rest + rest_count);
        groups_ = active_count + (rest_count > 0 ? 1 : 0);
        spread_ = static_cast<float>(std::max(rest_count, 1));
        pinned_ = pinned;
        rest_unary_ = std::log(clip * spread_);
        sort_labels();
        used_.clear();
        weights_.clear();
        for (const auto& [kernel, weight] : {std::pair<Kernel*, float>{&smoothness, smoothness_weight},
                                             std::pair<Kernel*, float>{&appearance, appearance_weight}}) {
            if (weight <= 0) continue;
            kernel->make_room(slot_width(groups_ - 1));
            used_.push_back(kernel);
            weights_.push_back(weight);
        }

        given_ = logs ? given : nullptr;
        const size_t room = static_cast<size_t>(groups_ + 4) * kBlock;
        for (Scratch& scratch : scratch_) {
            scratch.planes.resize(room);
            scratch.message.resize(room);
        }
        Team team(threads_);
        if (logs) {
            unary_.clear();
            keep_tail();
        } else {
            take_logarithms(given, clip, team);
        }
        sweep(team, false, result, !result.wanted());
    }

    void step(Result result, bool more) {
        Team team(threads_);
        filter(used_, picture_.parts, team);
        sweep(team, true, result, more);
    }

    Kernel appearance, smoothness;

  private:
    struct Scratch {
        std::vector<float> planes;   // [group][pixel of the block]
        std::vector<float> message;  // [pixel of the block][channel]
    };

    void take_logarithms(const float* probabilities, float clip, Team& team) {
        const int64_t pixels = picture_.pixels();
        plane_ = static_cast<size_t>((pixels + kBlock - 1) / kBlock * kBlock);
        unary_.resize(plane_ * active_.size());
        team.run(picture_.parts, [&](int part, int) {
            for_blocks(picture_, part, [&](int64_t block, int count) {
                for (size_t group = 0; group < active_.size(); ++group) {
                    const float* from = probabilities + static_cast<int64_t>(active_[group]) * pixels + block;
                    float* to = unary_.data() + group * plane_ + block;
                    float given[kBlock];
                    std::fill(std::copy(from, from + count, given), given + kBlock, 1.0f);
                    for (int p = 0; p < kBlock; p += 4)
                        store(to + p, log_of_positive(smaller(larger(load(given + p), all(clip)), all(1.0f))));
                }
            });
        });
    }

    // The last block may not be whole: what is read in place would go on into the next plane, or beyond the last one.
    void keep_tail() {
        const int64_t pixels = picture_.pixels();
        tail_start_ = pixels / kBlock * kBlock;
        tail_.assign(active_.size() * kBlock, 0.0f);
        for (size_t group = 0; group < active_.size(); ++group)
            std::copy_n(given_ + active_[group] * pixels + tail_start_, pixels - tail_start_,
                        tail_.data() + group * kBlock);
    }

    // Unaries of a group for the pixels of a block.
    const float* unary_of(size_t group, int64_t block) const {
        if (given_ == nullptr) return unary_.data() + group * plane_ + block;
        if (block == tail_start_) return tail_.data() + group * kBlock;
        return given_ + active_[group] * picture_.pixels() + block;
    }

    // Groups in the order of their labels: of equal marginals the first label is the likeliest, as everywhere.
    void sort_labels() {
        by_label_.clear();
        for (size_t group = 0; group < active_.size(); ++group)
            by_label_.push_back({active_[group], static_cast<int>(group)});
        if (!rest_.empty()) by_label_.push_back({rest_[0], groups_ - 1});
        std::sort(by_label_.begin(), by_label_.end());
    }

    // One pass over the pixels: slice the messages, normalise, write the result, splat the marginals for the next
    // iteration.
    void sweep(Team& team, bool messages, Result result, bool splat) {
        team.run(picture_.parts, [&](int part, int) {
            Scratch& scratch = scratch_[static_cast<size_t>(part)];
            if (splat)
                for (Kernel* kernel : used_) kernel->clear_part(part);
            for_blocks(picture_, part, [&](int64_t block, int count) {
                gather(block, count, messages, scratch);
                soften(scratch.planes.data());
                if (pinned_ != nullptr) pin(block, count, scratch.planes.data());
                if (result.marginals != nullptr) write(block, count, scratch.planes.data(), result.marginals);
                if (result.labels != nullptr) write_labels(block, count, scratch.planes.data(), result.labels);
                if (splat) scatter(block, count, scratch);
            });
        });
    }

    // planes = unary + messages
    void gather(int64_t block, int count, bool messages, Scratch& scratch) const {
        float* planes = scratch.planes.data();
        float* message = scratch.message.data();
        const int channels = groups_ - 1;
        const int width = slot_width(channels);
        messages = messages && !used_.empty();

        for (size_t which = 0; messages && which < used_.size(); ++which) {
            const Kernel& kernel = *used_[which];
            const float gain = weights_[which] * kernel.gain();
            float scale[kBlock];
            for (int p = 0; p < count; ++p) scale[p] = gain * kernel.norm[static_cast<size_t>(block + p)];
            kernel.slice(block, count, scale, which > 0, message);
        }
        for (int p = 0; p < kBlock; p += 4) {
            store(planes + p, load(unary_of(0, block) + p));
            for (int first = 0; first < channels; first += 4) {
                F4 m[4] = {all(0.0f), all(0.0f), all(0.0f), all(0.0f)};
                if (messages) read_quad(message, width, p, first, m);
                const int here = std::min(4, channels - first);
                for (int c = 0; c < here; ++c) {
                    const size_t group = static_cast<size_t>(first + c + 1);
                    const F4 own = group < active_.size() ? load(unary_of(group, block) + p) : all(rest_unary_);
                    store(planes + group * kBlock + p, own + m[c]);
                }
            }
        }
    }

    // Channels first .. first + 3 of four pixels from their interleaved values.
    static void read_quad(const float* interleaved, int width, int p, int first, F4 (&m)[4]) {
        const float* from = interleaved + static_cast<size_t>(p) * static_cast<size_t>(width) + first;
        if (width == 1) {
            m[0] = load(from);
            return;
        }
        for (int i = 0; i < 4; ++i) m[i] = width == 2 ? load_pair(from + 2 * i) : load(from + i * width);
        transpose(m[0], m[1], m[2], m[3]);
    }

    // Softmax over the groups, for every pixel of the block.
    void soften(float* planes) const {
        for (int p = 0; p < kBlock; p += 4) {
            F4 highest = load(planes + p);
            for (int group = 1; group < groups_; ++group) highest = larger(highest, load(planes + group * kBlock + p));
            F4 sum = all(0.0f);
            for (int group = 0; group < groups_; ++group) {
                const F4 e = exp_of_negative(load(planes + group * kBlock + p) - highest);
                store(planes + group * kBlock + p, e);
                sum = sum + e;
            }
            const F4 share = all(1.0f) / sum;
            for (int group = 0; group < groups_; ++group)
                store(planes + group * kBlock + p, load(planes + group * kBlock + p) * share);
        }
    }

    void pin(int64_t block, int count, float* planes) const {
        for (int p = 0; p < count; ++p) {
            const int16_t decided = pinned_[block + p];
            if (decided < 0) continue;
            for (int group = 0; group < groups_; ++group) planes[group * kBlock + p] = group == decided ? 1.0f : 0.0f;
        }
    }

    void write(int64_t block, int count, const float* planes, float* out) const {
        const int64_t pixels = picture_.pixels();
        for (size_t group = 0; group < active_.size(); ++group)
            std::copy_n(planes + group * kBlock, count, out + active_[group] * pixels + block);
        const float* last = planes + static_cast<size_t>(groups_ - 1) * kBlock;
        for (const int32_t label : rest_)
            for (int p = 0; p < count; ++p) out[label * pixels + block + p] = last[p] / spread_;
    }

    void write_labels(int64_t block, int count, const float* planes, uint8_t* labels) const {
        float highest[kBlock];
        int32_t likeliest[kBlock];
        for (int p = 0; p < kBlock; ++p) {
            highest[p] = -1.0f;
            likeliest[p] = 0;
        }
        for (const auto& [label, group] : by_label_) {
            const float* plane = planes + static_cast<size_t>(group) * kBlock;
            const float share = static_cast<size_t>(group) < active_.size() ? 1.0f : spread_;
            for (int p = 0; p < kBlock; ++p) {
                const float marginal = plane[p] / share;
                const bool more = marginal > highest[p];
                highest[p] = more ? marginal : highest[p];
                likeliest[p] = more ? label : likeliest[p];
            }
        }
        for (int p = 0; p < count; ++p) labels[block + p] = static_cast<uint8_t>(likeliest[p]);
    }

    void scatter(int64_t block, int count, Scratch& scratch) {
        const float* planes = scratch.planes.data();
        float* value = scratch.message.data();
        const int channels = groups_ - 1;
        const int width = slot_width(channels);
        for (int p = 0; p < kBlock; p += 4) {
            const F4 reference = load(planes + p);
            for (int first = 0; first < channels; first += 4) {
                F4 m[4] = {all(0.0f), all(0.0f), all(0.0f), all(0.0f)};
                const int here = std::min(4, channels - first);
                for (int c = 0; c < here; ++c) {
                    const size_t group = static_cast<size_t>(first + c + 1);
                    const F4 q = load(planes + group * kBlock + p);
                    m[c] = (group < active_.size() ? q : q * all(1.0f / spread_)) - reference;
                }
                float* to = value + static_cast<size_t>(p) * static_cast<size_t>(width) + first;
                if (width == 1) {
                    store(to, m[0]);
                    continue;
                }
                transpose(m[0], m[1], m[2], m[3]);
                for (int i = 0; i < 4; ++i) {
                    if (width == 2) {
                        store_pair(to + 2 * i, m[i]);
                    } else {
                        store(to + i * width, m[i]);
                    }
                }
            }
        }
        for (Kernel* kernel : used_) {
            const float* scale = one_.data();
            if (kernel->normalization == kSymmetric) scale = kernel->norm.data() + block;
            kernel->splat(block, count, scale, value);
        }
    }

    int threads_;
    Picture picture_;
    std::array<float, kBlock> one_;
    std::vector<Scratch> scratch_;  // by part
    std::vector<Kernel*> used_;
    std::vector<float> weights_;
    std::vector<int32_t> active_, rest_;
    int groups_ = 0;
    float spread_ = 1;      // labels in the rest
    float rest_unary_ = 0;  // of the rest together
    const int16_t* pinned_ = nullptr;
    std::vector<std::pair<int32_t, int>> by_label_;  // label, its group
    Buffer<float> unary_;  // [active label][pixel], planes padded to whole blocks; empty where they are read in place
    size_t plane_ = 0;
    const float* given_ = nullptr;  // [label][pixel]
    std::vector<float> tail_;       // [active label][pixel of the last block]
    int64_t tail_start_ = 0;
};

namespace {

template <class Function>
int32_t guarded(Function&& function) {
    try {
        function();
        return kDone;
    } catch (const Cancelled&) {
        return kWasCancelled;
    } catch (const SigmaTooSmall&) {
        return kSigmaTooSmall;
    } catch (const std::bad_alloc&) {
        return kNoMemory;
    } catch (...) {
        return kMisuse;
    }
}

}  // namespace

}  // namespace dense_crf

using dense_crf::DenseCrf;

DENSE_CRF_EXPORT int32_t dense_crf_abi() { return dense_crf::kAbi; }

// `rgb` (height x width x 3, without padding) must live as long as the object. Null if there is no memory.
DENSE_CRF_EXPORT DenseCrf* dense_crf_create(const uint8_t* rgb, int64_t height, int64_t width, int32_t threads) {
    DenseCrf* crf = nullptr;
    dense_crf::guarded([&] { crf = new DenseCrf(rgb, height, width, threads); });
    return crf;
}

DENSE_CRF_EXPORT void dense_crf_destroy(DenseCrf* crf) { delete crf; }

// Prepares the appearance kernel (which 0) or the smoothness kernel (which 1; colour_sigma 0) unless it is there already.
DENSE_CRF_EXPORT int32_t dense_crf_set_kernel(DenseCrf* crf, int32_t which, float position_sigma, float colour_sigma,
                                              int32_t normalization, dense_crf::Stop::Function stop) {
    return dense_crf::guarded([&] {
        crf->set_kernel(which == 0 ? crf->appearance : crf->smoothness, position_sigma, colour_sigma, normalization, stop);
    });
}

// Starts an inference; kernels with a weight above 0 must have been set. `given` (labels x height x width) holds
// probabilities, or with `logs` the logarithms of clipped ones, which must live until the last step. `pinned` (height x
// width, index into `active` or -1; may be null) must live until then too. `marginals` (labels x height x width) and
// `labels` (height x width) may be null; they take the result of no iteration at all: with one of them no step may follow.
DENSE_CRF_EXPORT int32_t dense_crf_begin(DenseCrf* crf, const float* given, int32_t logs, const int32_t* active,
                                         int32_t active_count, const int32_t* rest, int32_t rest_count,
                                         const int16_t* pinned, float clip, float appearance_weight,
                                         float smoothness_weight, float* marginals, uint8_t* labels) {
    return dense_crf::guarded([&] {
        crf->begin(given, logs != 0, active, active_count, rest, rest_count, pinned, clip, appearance_weight,
                   smoothness_weight, {marginals, labels});
    });
}

// One iteration. `marginals` and `labels` may be null; `more` says whether another step follows.
DENSE_CRF_EXPORT int32_t dense_crf_step(DenseCrf* crf, float* marginals, uint8_t* labels, int32_t more) {
    return dense_crf::guarded([&] { crf->step({marginals, labels}, more != 0); });
}
