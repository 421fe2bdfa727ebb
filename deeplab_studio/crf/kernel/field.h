// Values on a lattice: splatting pixels onto it, blurring along its axes, slicing pixels from it.
//
// A slot holds `width` floats: 1, 2, or a multiple of 4. Wide slots are worked on in runs of at most 5 x 4 channels, as
// much as the registers of the baseline hold.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lattice.h"
#include "simd.h"

namespace dense_crf {

inline int slot_width(int channels) { return channels <= 2 ? channels : (channels + 3) / 4 * 4; }

// One, two or 4 Q channels of a slot.
struct One {
    float x;
    static constexpr int kChannels = 1;
    static One zero() { return {0.0f}; }
    static One read(const float* p) { return {*p}; }
    void write(float* p) const { *p = x; }
    void add(const One& o) { x += o.x; }
    void add_scaled(const One& o, float w) { x += w * o.x; }
    void scale(float w) { x *= w; }
};

struct Two {
    F4 x;
    static constexpr int kChannels = 2;
    static Two zero() { return {all(0.0f)}; }
    static Two read(const float* p) { return {load_pair(p)}; }
    void write(float* p) const { store_pair(p, x); }
    void add(const Two& o) { x = x + o.x; }
    void add_scaled(const Two& o, float w) { x = x + all(w) * o.x; }
    void scale(float w) { x = x * all(w); }
};

template <int Q>
struct Fours {
    F4 x[Q];
    static constexpr int kChannels = 4 * Q;
    static Fours zero() {
        Fours r;
        for (int q = 0; q < Q; ++q) r.x[q] = all(0.0f);
        return r;
    }
    static Fours read(const float* p) {
        Fours r;
        for (int q = 0; q < Q; ++q) r.x[q] = load(p + 4 * q);
        return r;
    }
    void write(float* p) const {
        for (int q = 0; q < Q; ++q) store(p + 4 * q, x[q]);
    }
    void add(const Fours& o) {
        for (int q = 0; q < Q; ++q) x[q] = x[q] + o.x[q];
    }
    void add_scaled(const Fours& o, float w) {
        const F4 weight = all(w);
        for (int q = 0; q < Q; ++q) x[q] = x[q] + weight * o.x[q];
    }
    void scale(float w) {
        const F4 weight = all(w);
        for (int q = 0; q < Q; ++q) x[q] = x[q] * weight;
    }
};

// Calls function(vector type, first channel) for runs of channels that make up a slot.
template <class Function>
void for_channels(int width, Function&& function) {
    if (width == 1) return function(One{}, 0);
    if (width == 2) return function(Two{}, 0);
    for (int first = 0; first < width;) {
        const int quads = std::min((width - first) / 4, 5);
        switch (quads) {
            case 1: function(Fours<1>{}, first); break;
            case 2: function(Fours<2>{}, first); break;
            case 3: function(Fours<3>{}, first); break;
            case 4: function(Fours<4>{}, first); break;
            default: function(Fours<5>{}, first); break;
        }
        first += 4 * quads;
    }
}

constexpr size_t kSlotsAhead = 12;

// In place along chains: each slot gains half of what its two neighbours held before. Chains are a few slots long on
// photographs, so their ends are no branch: a link of 0 or 1 stands between each slot and the one listed before it.
template <class V, bool kFar>
void blur_piece(Lattice::Piece piece, float* values, size_t width) {
    static const float kLink[2] = {1.0f, 0.0f};
    V previous = V::zero();
    float* at = values + static_cast<size_t>(~piece.slots[0]) * width;
    V current = V::read(at);
    for (size_t i = 1; i < piece.count; ++i) {
        if (kFar) {
            const int32_t coming = piece.slots[std::min(i + kSlotsAhead, piece.count - 1)];
            prefetch(values + static_cast<size_t>(coming ^ (coming >> 31)) * width);
        }
        const int32_t listed = piece.slots[i];
        const int32_t first = listed >> 31;  // all ones at the start of a chain
        float* next_at = values + static_cast<size_t>(listed ^ first) * width;
        const V next = V::read(next_at);
        const float link = kLink[first & 1];
        previous.add_scaled(next, link);
        V blurred = current;
        blurred.add_scaled(previous, 0.5f);
        blurred.write(at);
        previous = current;
        previous.scale(link);
        current = next;
        at = next_at;
    }
    current.add_scaled(previous, 0.5f);
    current.write(at);
}

// Where the values do not fit the caches, the slots of a pixel some steps on are asked for now.
constexpr int kPixelsAhead = 8;

template <int K>
void fetch_ahead(const int32_t* corner, const float* values, size_t width) {
    for (int k = 0; k < K; ++k) prefetch(values + static_cast<size_t>(corner[kPixelsAhead * K + k]) * width);
}

// message[p] (+)= scale[p] * sum of the slots around pixel p.
template <class V, int K, bool kFar>
void slice_block(const int32_t* corner, const float* weight, const float* values, size_t width, const float* scale,
                 int count, bool add, float* message) {
    for (int p = 0; p < count; ++p, corner += K, weight += K) {
        if (kFar) fetch_ahead<K>(corner, values, width);
        V sum = V::zero();
        for (int k = 0; k < K; ++k) sum.add_scaled(V::read(values + static_cast<size_t>(corner[k]) * width), weight[k]);
        sum.scale(scale[p]);
        float* to = message + static_cast<size_t>(p) * width;
        if (add) sum.add(V::read(to));
        sum.write(to);
    }
}

// The slots around pixel p gain scale[p] * value[p], each by its weight.
template <class V, int K, bool kFar>
void splat_block(const int32_t* corner, const float* weight, float* values, size_t width, const float* scale, int count,
                 const float* value) {
    for (int p = 0; p < count; ++p, corner += K, weight += K) {
        if (kFar) fetch_ahead<K>(corner, values, width);
        V scaled = V::read(value + static_cast<size_t>(p) * width);
        scaled.scale(scale[p]);
        for (int k = 0; k < K; ++k) {
            float* to = values + static_cast<size_t>(corner[k]) * width;
            V sum = V::read(to);
            sum.add_scaled(scaled, weight[k]);
            sum.write(to);
        }
    }
}

}  // namespace dense_crf
