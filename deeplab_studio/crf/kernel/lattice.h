// A permutohedral lattice (Adams, Baek, Davis, Eurographics 2010) with the pixels of one picture embedded in it.
//
// The picture is cut into parts, one a thread. Vertices are numbered part by part: a part's values lie in one run of
// slots, which only that part's pixels read and write. A vertex that several parts touch has a slot in each of them; the
// first is its owner, the others are ghosts. So splatting needs neither atomics nor a whole copy of the lattice per
// thread, and the result does not depend on which thread does what.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "pool.h"

namespace dense_crf {

// Memory that is neither cleared when it is made nor kept in order when it grows.
template <class T>
class Buffer {
  public:
    void resize(size_t size) {
        if (size > capacity_) {
            data_.reset();
            data_.reset(new T[size]);
            capacity_ = size;
        }
        size_ = size;
    }
    void clear() {
        data_.reset();
        size_ = capacity_ = 0;
    }
    size_t size() const { return size_; }
    T* data() { return data_.get(); }
    const T* data() const { return data_.get(); }
    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }

  private:
    std::unique_ptr<T[]> data_;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

constexpr int64_t kBlock = 32;  // pixels worked on at a time; parts start at multiples of it

struct Picture {
    const uint8_t* rgb;
    int64_t height, width;
    int parts;

    int64_t pixels() const { return height * width; }
    int64_t part_start(int part) const {
        const int64_t blocks = (pixels() + kBlock - 1) / kBlock;
        const int64_t start = blocks * part / parts * kBlock;
        return start < pixels() ? start : pixels();
    }
};

class Stop;

class SigmaTooSmall {};
class Cancelled {};

struct Lattice {
    // Neighbours along one axis in the order they follow each other; ~slot marks the first of a chain. Vertices without
    // a neighbour on the axis are left out: the blur does not change them.
    using Chains = std::vector<int32_t>;
    struct Piece {
        const int32_t* slots;
        size_t count;
    };

    static constexpr size_t kPadding = 64;  // corners after the last pixel's, for reading ahead

    int dimensions = 0;
    int64_t slots = 0;
    std::vector<int64_t> part_slot;  // first slot of each part, and the end
    Buffer<int32_t> corner;          // pixels x (dimensions + 1) slots
    Buffer<float> weight;            // pixels x (dimensions + 1) barycentric weights
    std::vector<int32_t> ghost, ghost_owner;       // ordered by owner
    std::vector<size_t> ghost_start;               // where each task's ghosts start; no owner is in two tasks
    std::vector<std::vector<Chains>> chains;       // axis, part
    std::vector<std::vector<Piece>> pieces;        // axis, task

    int corners() const { return dimensions + 1; }

    // Embeds position alone (colour_sigma 0) or position and colour. Throws SigmaTooSmall, Cancelled, std::bad_alloc;
    // after any of them the lattice is unusable until the next build.
    void build(const Picture& picture, float position_sigma, float colour_sigma, Team& team, Stop& stop);
};

}  // namespace dense_crf
