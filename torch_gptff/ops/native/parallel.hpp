// Work shared among threads so that the result depends on their number only, never on their timing.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "simd.hpp"

// Cut rows into `parts` ranges of about one length such that no index in `first` or `second` has a part in two of
// them: threads then write to different places. A cut stands where every index before is smaller than every one after.
static inline std::vector<int64_t> cut(int64_t count, const int64_t *first, const int64_t *second, int parts) {
    std::vector<int64_t> cuts{0};
    if (parts > 1) {
        std::vector<int64_t> smallest(count + 1, INT64_MAX);
        for (int64_t t = count - 1; t >= 0; --t)
            smallest[t] = std::min(smallest[t + 1], std::min(first[t], second[t]));
        int64_t largest = -1;
        for (int64_t t = 0; t < count; ++t) {
            if (t >= count * int64_t(cuts.size()) / parts && largest < smallest[t]) cuts.push_back(t);
            largest = std::max(largest, std::max(first[t], second[t]));
        }
    }
    cuts.push_back(count);
    return cuts;
}

// work(range, start, end) for every range; ranges are numbered from 0 and there are at most `threads` of them.
template <typename Work>
static void in_parallel(int64_t count, const int64_t *first, const int64_t *second, int threads, Work work) {
    const std::vector<int64_t> cuts = cut(count, first, second, threads);
    const int ranges = int(cuts.size()) - 1;
#pragma omp parallel for schedule(static, 1) num_threads(ranges) if (ranges > 1)
    for (int r = 0; r < ranges; ++r) work(r, cuts[r], cuts[r + 1]);
}

// Gradients by rows that ranges share, `size` numbers in all: the first range writes to the result, every other one to rows
// of its own, added in order at the end.
struct SharedRows {
    real *result;
    int64_t size;
    std::vector<std::vector<real>> others;
    SharedRows(real *result, int64_t size, int threads) : result(result), size(size), others(threads) {}
    real *of(int range) {
        if (range == 0) return result;
        others[range].assign(size, real(0));
        return others[range].data();
    }
    void add_up() {
        for (const auto &other : others)
            for (size_t n = 0; n < other.size(); ++n) result[n] += other[n];
    }
};
