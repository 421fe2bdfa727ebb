#include "lattice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "simd.h"
#include "stop.h"

namespace dense_crf {

namespace {

constexpr uint64_t kNoKey = ~uint64_t{0};
constexpr int32_t kNone = -1;
constexpr int kMargin = 4;  // lattice cells around the picture's: simplex corners and blur neighbours lie outside it

uint64_t scramble(uint64_t key) { return key * 0x9e3779b97f4a7c15u; }

// Vertex keys to slots, by open addressing.
class Table {
  public:
    explicit Table(size_t expected) {
        while ((size_t{1} << bits_) < 2 * expected) ++bits_;
        allocate();
    }

    size_t size() const { return count_; }

    void prefetch(uint64_t key) const { dense_crf::prefetch(&entries_[home(key)]); }

    int32_t find(uint64_t key) const {
        for (size_t at = home(key);; at = (at + 1) & mask()) {
            if (entries_[at].key == key) return entries_[at].slot;
            if (entries_[at].key == kNoKey) return kNone;
        }
    }

    // The slot kept for the key; `slot` if there was none before.
    int32_t find_or_add(uint64_t key, int32_t slot) {
        for (size_t at = home(key);; at = (at + 1) & mask()) {
            if (entries_[at].key == key) return entries_[at].slot;
            if (entries_[at].key == kNoKey) {
                entries_[at] = {key, slot};
                if (++count_ > (mask() + 1) / 2) grow();
                return slot;
            }
        }
    }

  private:
    struct Entry {
        uint64_t key;
        int32_t slot;
    };

    size_t mask() const { return (size_t{1} << bits_) - 1; }
    size_t home(uint64_t key) const { return static_cast<size_t>(scramble(key) >> (64 - bits_)); }

    void allocate() {
        entries_.resize(size_t{1} << bits_);
        for (size_t i = 0; i <= mask(); ++i) entries_[i].key = kNoKey;
    }

    void grow() {
        Buffer<Entry> old = std::move(entries_);
        const size_t size = mask() + 1;
        entries_ = Buffer<Entry>();
        ++bits_;
        allocate();
        for (size_t i = 0; i < size; ++i) {
            if (old[i].key == kNoKey) continue;
            size_t at = home(old[i].key);
            while (entries_[at].key != kNoKey) at = (at + 1) & mask();
            entries_[at] = old[i];
        }
    }

    int bits_ = 10;
    size_t count_ = 0;
    Buffer<Entry> entries_;
};

// Features of the pixels, already scaled for the embedding, by column, row and colour level: float32 division and
// product as pydensecrf does them.
template <int D>
struct Features {
    std::vector<float> table[D];

    Features(const Picture& picture, float position_sigma, float colour_sigma) {
        const float spread = static_cast<float>(std::sqrt(2.0 / 3.0) * (D + 1));
        for (int i = 0; i < D; ++i) {
            const float scale = static_cast<float>(1.0 / std::sqrt(double{i + 2.0} * (i + 1)) * double{spread});
            const float sigma = i < 2 ? position_sigma : colour_sigma;
            table[i].resize(static_cast<size_t>(i == 0 ? picture.width : i == 1 ? picture.height : 256));
            for (size_t v = 0; v < table[i].size(); ++v) table[i][v] = static_cast<float>(v) / sigma * scale;
        }
    }
};

// A vertex has D + 1 integer coordinates that sum to 0 and are all congruent modulo D + 1. So the quotients of D of them
// (all but the first) and the common remainder name it; they are packed into one word, digit by digit, each digit as
// wide as the picture needs. Going to a neighbour is then one addition.
template <int D>
struct Packing {
    int64_t lowest[D + 1] = {};
    uint64_t stride[D + 1] = {};
    uint64_t next_above[D + 1];  // to the next vertex on an axis: where the remainder is above 0
    uint64_t next_wrapped[D + 1];

    explicit Packing(const Features<D>& features) {
        double largest[D];
        for (int i = 0; i < D; ++i) largest[i] = features.table[i].back();
        uint64_t width = D + 1;
        for (int axis = 1; axis <= D; ++axis) {
            double above = 0;
            for (int i = axis; i < D; ++i) above += largest[i];
            lowest[axis] = static_cast<int64_t>(std::floor(-axis * largest[axis - 1] / (D + 1))) - kMargin;
            const int64_t highest = static_cast<int64_t>(std::ceil(above / (D + 1))) + kMargin;
            const uint64_t digits = static_cast<uint64_t>(highest - lowest[axis] + 1);
            stride[axis] = width;
            if (digits > (uint64_t{1} << 63) / width) throw SigmaTooSmall();
            width *= digits;
        }
        uint64_t sum = 0;
        for (int axis = 0; axis <= D; ++axis) sum += stride[axis];
        for (int axis = 0; axis <= D; ++axis) {
            // Every coordinate drops by 1, that of the axis grows by D.
            next_above[axis] = stride[axis] - 1;
            next_wrapped[axis] = stride[axis] + D - sum;
        }
    }

    uint64_t next(uint64_t key, int axis) const {
        return key + (key % (D + 1) > 0 ? next_above[axis] : next_wrapped[axis]);
    }
};

template <int D>
struct Simplices {
    uint64_t key[4][D + 1];
    float weight[4][D + 1];
};

// The simplices around four points: `feature[i]` holds the i-th scaled feature of each.
template <int D>
void enclose(const float (&feature)[D][4], const Packing<D>& packing, Simplices<D>& out) {
    const F4 down = all(1.0f / (D + 1));
    const F4 up = all(static_cast<float>(D + 1));
    const F4 zero = all(0.0f);
    const F4 one = all(1.0f);

    F4 elevated[D + 1], base[D + 1], remaining[D + 1], rank[D + 1];
    F4 total = zero;
    for (int axis = D; axis > 0; --axis) {
        const F4 f = load(feature[axis - 1]);
        elevated[axis] = total - all(static_cast<float>(axis)) * f;
        total = total + f;
    }
    elevated[0] = total;

    F4 excess = zero;
    for (int i = 0; i <= D; ++i) {
        const F4 whole = round_even(down * elevated[i]);
        base[i] = whole * up;
        remaining[i] = elevated[i] - base[i];
        excess = excess + whole;
    }
    for (int i = 0; i <= D; ++i) rank[i] = excess;
    for (int i = 0; i < D; ++i) {
        for (int j = i + 1; j <= D; ++j) {
            const F4 behind = less(remaining[i], remaining[j]);
            rank[i] = rank[i] + behind;
            rank[j] = rank[j] + (one - behind);
        }
    }

    // A point off the plane through the origin is brought back by one step along the coordinates out of range.
    alignas(16) float ranks[D + 1][4], wholes[D + 1][4], offsets[D + 1][4];
    for (int i = 0; i <= D; ++i) {
        const F4 shift = (less(rank[i], zero) - greater_equal(rank[i], up)) * up;
        rank[i] = rank[i] + shift;
        base[i] = base[i] + shift;
        store(ranks[i], rank[i]);
        store(wholes[i], round_even(base[i] * down));
        store(offsets[i], (elevated[i] - base[i]) * down);
    }

    for (int lane = 0; lane < 4; ++lane) {
        float gain[D + 2];
        float loss[D + 2];
        uint64_t stride_of_rank[D + 1];
        uint64_t key = 0;
        for (int i = 0; i <= D; ++i) {
            const int r = static_cast<int>(ranks[i][lane]);
            gain[D - r] = offsets[i][lane];
            loss[D - r + 1] = offsets[i][lane];
            stride_of_rank[r] = packing.stride[i];
            key += static_cast<uint64_t>(static_cast<int64_t>(wholes[i][lane]) - packing.lowest[i]) * packing.stride[i];
        }
        out.weight[lane][0] = gain[0] + (1.0f - loss[D + 1]);
        for (int k = 1; k <= D; ++k) out.weight[lane][k] = gain[k] - loss[k];
        // From corner k - 1 to corner k the remainder grows by 1, and the coordinate of rank D - k + 1 drops by D + 1.
        out.key[lane][0] = key;
        for (int k = 1; k <= D; ++k) {
            key += 1 - stride_of_rank[D - k + 1];
            out.key[lane][k] = key;
        }
    }
}

// Keys of one part's vertices in the order of their slots, and where its corners point, counted from the part's start.
template <int D>
std::vector<uint64_t> embed_part(const Picture& picture, int part, const Features<D>& features,
                                 const Packing<D>& packing, Lattice& lattice, int worker, Stop& stop) {
    constexpr int K = D + 1;
    const int64_t start = picture.part_start(part);
    const int64_t end = picture.part_start(part + 1);
    const bool last = end == picture.pixels();
    Table table(static_cast<size_t>((end - start) / 8 + 1));
    std::vector<uint64_t> keys;

    int64_t column = start % picture.width;
    int64_t row = start / picture.width;
    alignas(16) float feature[D][4] = {};
    Simplices<D> found[kBlock / 4];
    uint64_t before[K];
    int32_t before_slot[K];
    std::fill(before, before + K, kNoKey);

    for (int64_t block = start; block < end; block += kBlock) {
        if (block % (128 * kBlock) == 0 && stop.requested(worker)) return keys;
        const int count = static_cast<int>(std::min(kBlock, end - block));
        const int groups = (count + 3) / 4;
        for (int group = 0; group < groups; ++group) {
            for (int lane = 0; lane < 4; ++lane) {
                if (4 * group + lane >= count) {
                    // pydensecrf fills up the last four with zero features, which leaves their vertices behind.
                    for (int i = 0; i < D; ++i) feature[i][lane] = 0.0f;
                    continue;
                }
                feature[0][lane] = features.table[0][static_cast<size_t>(column)];
                feature[1][lane] = features.table[1][static_cast<size_t>(row)];
                const uint8_t* colour = picture.rgb + 3 * (block + 4 * group + lane);
                for (int i = 2; i < D; ++i) feature[i][lane] = features.table[i][colour[i - 2]];
                if (++column == picture.width) {
                    column = 0;
                    ++row;
                }
            }
            enclose(feature, packing, found[group]);
            for (int lane = 0; lane < 4; ++lane)
                for (int k = 0; k < K; ++k) table.prefetch(found[group].key[lane][k]);
        }
        for (int p = 0; p < 4 * groups; ++p) {
            if (p >= count && !last) break;
            const uint64_t* key = found[p / 4].key[p % 4];
            for (int k = 0; k < K; ++k) {
                if (key[k] != before[k]) {
                    before[k] = key[k];
                    before_slot[k] = table.find_or_add(key[k], static_cast<int32_t>(keys.size()));
                    if (static_cast<size_t>(before_slot[k]) == keys.size()) keys.push_back(key[k]);
                }
            }
            if (p < count) {
                const size_t at = static_cast<size_t>(block + p) * K;
                std::copy(before_slot, before_slot + K, &lattice.corner[at]);
                std::copy(found[p / 4].weight[p % 4], found[p / 4].weight[p % 4] + K, &lattice.weight[at]);
            }
        }
    }
    return keys;
}

// Every vertex of the picture with the slot of its owner, cut by key into as many tables as there are parts so that each
// is filled by one thread.
class Owners {
  public:
    Owners(const std::vector<std::vector<uint64_t>>& keys, const std::vector<int64_t>& part_slot,
           std::vector<int32_t>& owner, Team& team)
        : count_(keys.size()) {
        size_t total = 0;
        for (const auto& part : keys) total += part.size();
        for (size_t i = 0; i < count_; ++i) tables_.emplace_back(total / count_ * 9 / 8 + 1);
        team.run(static_cast<int>(count_), [&](int which, int) {
            Table& table = tables_[static_cast<size_t>(which)];
            // Part by part, so that the first one that touches a vertex owns it.
            for (size_t part = 0; part < keys.size(); ++part) {
                const int64_t first = part_slot[part];
                for (size_t i = 0; i < keys[part].size(); ++i) {
                    if (which_table(keys[part][i]) != static_cast<size_t>(which)) continue;
                    const int64_t slot = first + static_cast<int64_t>(i);
                    owner[static_cast<size_t>(slot)] = table.find_or_add(keys[part][i], static_cast<int32_t>(slot));
                }
            }
        });
    }

    void prefetch(uint64_t key) const { tables_[which_table(key)].prefetch(key); }
    int32_t find(uint64_t key) const { return tables_[which_table(key)].find(key); }

  private:
    // Middle bits: the tables themselves use the top ones.
    size_t which_table(uint64_t key) const { return static_cast<size_t>(scramble(key) >> 20 & 0xffff) * count_ >> 16; }

    size_t count_;
    std::vector<Table> tables_;
};

void sort_ghosts(Lattice& lattice, const std::vector<int32_t>& owner, int tasks) {
    lattice.ghost.clear();
    for (size_t slot = 0; slot < owner.size(); ++slot)
        if (owner[slot] != static_cast<int32_t>(slot)) lattice.ghost.push_back(static_cast<int32_t>(slot));
    std::stable_sort(lattice.ghost.begin(), lattice.ghost.end(), [&](int32_t a, int32_t b) {
        return owner[static_cast<size_t>(a)] < owner[static_cast<size_t>(b)];
    });
    lattice.ghost_owner.clear();
    for (const int32_t ghost : lattice.ghost) lattice.ghost_owner.push_back(owner[static_cast<size_t>(ghost)]);
    lattice.ghost_start.assign(1, 0);
    for (int task = 1; task <= tasks; ++task) {
        size_t at = std::max(lattice.ghost.size() * static_cast<size_t>(task) / static_cast<size_t>(tasks),
                             lattice.ghost_start.back());
        while (at > 0 && at < lattice.ghost.size() && lattice.ghost_owner[at] == lattice.ghost_owner[at - 1]) ++at;
        lattice.ghost_start.push_back(at);
    }
}

// Cuts an axis into pieces of about the same length, each a whole number of chains.
void cut_into_pieces(const std::vector<Lattice::Chains>& chains, size_t tasks, std::vector<Lattice::Piece>& pieces) {
    size_t total = 0;
    for (const auto& part : chains) total += part.size();
    const size_t wanted = std::max<size_t>(total / tasks, 1024);
    pieces.clear();
    for (const auto& part : chains) {
        for (size_t start = 0; start < part.size();) {
            size_t end = std::min(start + wanted, part.size());
            while (end < part.size() && part[end] >= 0) ++end;
            pieces.push_back({part.data() + start, end - start});
            start = end;
        }
    }
}

template <int D>
void find_chains(Lattice& lattice, const std::vector<std::vector<uint64_t>>& keys, const std::vector<int32_t>& owner,
                 const Owners& owners, const Packing<D>& packing, Team& team, Stop& stop) {
    constexpr size_t kAhead = 16;
    const int parts = static_cast<int>(keys.size());
    const size_t slots = static_cast<size_t>(lattice.slots);
    Buffer<int32_t> next;
    Buffer<uint8_t> has_previous;
    next.resize(slots);
    has_previous.resize(slots);
    lattice.chains.assign(D + 1, std::vector<Lattice::Chains>(keys.size()));
    lattice.pieces.resize(D + 1);

    for (int axis = 0; axis <= D; ++axis) {
        std::fill(has_previous.data(), has_previous.data() + slots, uint8_t{0});
        team.run(parts, [&](int part, int worker) {
            const std::vector<uint64_t>& own = keys[static_cast<size_t>(part)];
            const size_t first = static_cast<size_t>(lattice.part_slot[static_cast<size_t>(part)]);
            uint64_t wanted[kAhead];
            for (size_t start = 0; start < own.size(); start += kAhead) {
                if (start % (256 * kAhead) == 0 && stop.requested(worker)) return;
                const size_t count = std::min(kAhead, own.size() - start);
                for (size_t i = 0; i < count; ++i) {
                    wanted[i] = packing.next(own[start + i], axis);
                    owners.prefetch(wanted[i]);
                }
                for (size_t i = 0; i < count; ++i) {
                    const size_t slot = first + start + i;
                    if (owner[slot] != static_cast<int32_t>(slot)) continue;
                    next[slot] = owners.find(wanted[i]);
                    // Each vertex follows at most one other, so no two threads write the same byte.
                    if (next[slot] != kNone) has_previous[static_cast<size_t>(next[slot])] = 1;
                }
            }
        });
        if (stop.requested(0)) throw Cancelled();
        team.run(parts, [&](int part, int) {
            Lattice::Chains& chain = lattice.chains[static_cast<size_t>(axis)][static_cast<size_t>(part)];
            const int64_t end = lattice.part_slot[static_cast<size_t>(part) + 1];
            for (int64_t i = lattice.part_slot[static_cast<size_t>(part)]; i < end; ++i) {
                const size_t head = static_cast<size_t>(i);
                const bool owned = owner[head] == static_cast<int32_t>(i);
                if (!owned || has_previous[head] || next[head] == kNone) continue;
                chain.push_back(~static_cast<int32_t>(i));
                for (int32_t at = next[head]; at != kNone; at = next[static_cast<size_t>(at)]) chain.push_back(at);
            }
            chain.shrink_to_fit();
        });
        cut_into_pieces(lattice.chains[static_cast<size_t>(axis)], keys.size() * 4,
                        lattice.pieces[static_cast<size_t>(axis)]);
    }
}

template <int D>
void build(Lattice& lattice, const Picture& picture, float position_sigma, float colour_sigma, Team& team, Stop& stop) {
    constexpr int K = D + 1;
    const Features<D> features(picture, position_sigma, colour_sigma);
    const Packing<D> packing(features);
    const size_t parts = static_cast<size_t>(picture.parts);

    lattice.dimensions = D;
    const size_t corners = static_cast<size_t>(picture.pixels()) * K;
    lattice.corner.resize(corners + Lattice::kPadding);
    std::fill_n(lattice.corner.data() + corners, Lattice::kPadding, 0);
    lattice.weight.resize(corners);
    std::vector<std::vector<uint64_t>> keys(parts);
    team.run(picture.parts, [&](int part, int worker) {
        keys[static_cast<size_t>(part)] = embed_part(picture, part, features, packing, lattice, worker, stop);
    });
    if (stop.requested(0)) throw Cancelled();

    lattice.part_slot.assign(1, 0);
    for (const auto& part : keys) lattice.part_slot.push_back(lattice.part_slot.back() + static_cast<int64_t>(part.size()));
    lattice.slots = lattice.part_slot.back();
    if (lattice.slots > std::numeric_limits<int32_t>::max()) throw std::bad_alloc();

    std::vector<int32_t> owner(static_cast<size_t>(lattice.slots));
    const Owners owners(keys, lattice.part_slot, owner, team);
    team.run(picture.parts, [&](int part, int) {
        const int32_t first = static_cast<int32_t>(lattice.part_slot[static_cast<size_t>(part)]);
        if (first == 0) return;
        const size_t end = static_cast<size_t>(picture.part_start(part + 1)) * K;
        for (size_t i = static_cast<size_t>(picture.part_start(part)) * K; i < end; ++i) lattice.corner[i] += first;
    });
    sort_ghosts(lattice, owner, picture.parts);
    find_chains(lattice, keys, owner, owners, packing, team, stop);
}

}  // namespace

void Lattice::build(const Picture& picture, float position_sigma, float colour_sigma, Team& team, Stop& stop) {
    if (colour_sigma > 0) {
        dense_crf::build<5>(*this, picture, position_sigma, colour_sigma, team, stop);
    } else {
        dense_crf::build<2>(*this, picture, position_sigma, colour_sigma, team, stop);
    }
}

}  // namespace dense_crf
