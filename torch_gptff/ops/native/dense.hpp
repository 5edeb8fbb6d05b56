// Linear maps, norms and activations of rows of features, forward and in reverse, of which whole models are made.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "simd.hpp"

namespace {

constexpr real EPSILON = 1e-5;  // of LayerNorm
constexpr int BLOCK_OF_ROWS = 48;  // of a matrix product, that one thread takes at a time

struct Matrix {  // of a linear map: the weight [out, in] and its transpose
    const real *weight, *transpose, *bias;
};
struct Norm {
    const real *weight, *bias;
};
struct ReadoutParameters {
    Matrix fc1, fc2, fc_out;
};

typedef std::unique_ptr<real[]> Array;
Array array(int64_t size) { return Array(new real[std::max<int64_t>(size, 1)]); }
Array zeros(int64_t size) { return Array(new real[std::max<int64_t>(size, 1)]()); }

template <bool ADD> void rows_times(const real *A, int64_t rows, int K, const real *B, int N, real *C) {
    int64_t r = 0;
    for (; r + BLOCK_OF_ROWS <= rows; r += BLOCK_OF_ROWS)
        product<BLOCK_OF_ROWS, ADD>(A + r * K, K, 1, B, C + r * N, N, K);
    for (; r + 12 <= rows; r += 12) product<12, ADD>(A + r * K, K, 1, B, C + r * N, N, K);
    for (; r + 4 <= rows; r += 4) product<4, ADD>(A + r * K, K, 1, B, C + r * N, N, K);
    for (; r < rows; ++r) product<1, ADD>(A + r * K, K, 1, B, C + r * N, N, K);
}

// work(first, last) of blocks of rows.
template <typename Work> void in_blocks(int64_t rows, int threads, Work work) {
    const int64_t blocks = (rows + BLOCK_OF_ROWS - 1) / BLOCK_OF_ROWS;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && blocks > 1)
    for (int64_t b = 0; b < blocks; ++b) work(b * BLOCK_OF_ROWS, std::min(rows, (b + 1) * BLOCK_OF_ROWS));
}

struct Dense {
    const int threads;

    // y = x W^T (+ bias), or with ADD added to y, and its reverse: dx (+)= dy W.
    template <bool ADD = false>
    void linear(const Matrix &w, const real *x, int64_t rows, int64_t in, int64_t out, real *y) const {
        in_blocks(rows, threads, [&](int64_t first, int64_t last) {
            const real *from = x + first * in;
            real *to = y + first * out;
            if (w.bias)
                for (int64_t r = 0; r < last - first; ++r)
                    for (int64_t n = 0; n < out; n += LANES)
                        store(to + r * out + n, ADD ? load(to + r * out + n) + load(w.bias + n) : load(w.bias + n));
            if (ADD || w.bias)
                rows_times<true>(from, last - first, int(in), w.transpose, int(out), to);
            else
                rows_times<false>(from, last - first, int(in), w.transpose, int(out), to);
        });
    }
    template <bool ADD>
    void reverse(const Matrix &w, const real *dy, int64_t rows, int64_t in, int64_t out, real *dx) const {
        in_blocks(rows, threads, [&](int64_t first, int64_t last) {
            rows_times<ADD>(dy + first * out, last - first, int(out), w.weight, int(in), dx + first * in);
        });
    }

    // y = LN(x); what the reverse needs is y without weight and bias, and the inverse of the deviation. The reverse adds
    // to dx.
    void norm(const Norm &w, const real *x, int64_t rows, int64_t C, real *y, real *plain, real *over) const {
        in_blocks(rows, threads, [&](int64_t first, int64_t last) {
            for (int64_t i = first; i < last; ++i) {
                real mean = 0, square = 0;
                for (int64_t n = 0; n < C; ++n) mean += x[i * C + n];
                mean /= C;
                for (int64_t n = 0; n < C; ++n) square += (x[i * C + n] - mean) * (x[i * C + n] - mean);
                over[i] = 1 / std::sqrt(square / C + EPSILON);
                for (int64_t n = 0; n < C; ++n) {
                    plain[i * C + n] = (x[i * C + n] - mean) * over[i];
                    y[i * C + n] = plain[i * C + n] * w.weight[n] + w.bias[n];
                }
            }
        });
    }
    void norm_reverse(
        const Norm &w, const real *dy, int64_t rows, int64_t C, const real *plain, const real *over, real *dx) const {
        in_blocks(rows, threads, [&](int64_t first, int64_t last) {
            for (int64_t i = first; i < last; ++i) {
                real mean = 0, along = 0;
                for (int64_t n = 0; n < C; ++n) {
                    const real d = dy[i * C + n] * w.weight[n];
                    mean += d, along += d * plain[i * C + n];
                }
                mean /= C, along /= C;
                for (int64_t n = 0; n < C; ++n)
                    dx[i * C + n] += over[i] * (dy[i * C + n] * w.weight[n] - mean - plain[i * C + n] * along);
            }
        });
    }

    // swish(x) in place of x, and its slope in place of it.
    void swish(real *x, real *slope, int64_t count) const {
        for (int64_t n = 0; n < count; n += LANES) {
            const vec v = load(x + n), s = sigmoid(v);
            store(x + n, v * s);
            store(slope + n, s * (real(1) + v * (real(1) - s)));
        }
    }
    void multiply(real *a, const real *b, int64_t count) const {
        for (int64_t n = 0; n < count; n += LANES) store(a + n, load(a + n) * load(b + n));
    }

    // What one readout gives for every row, eV; adds the gradient of their sum, times a factor, to dy.
    void read_out(
        const ReadoutParameters &w, const real *y, int64_t rows, int64_t C, real factor, real *energies, int64_t stride,
        real *dy) const {
        Array first = array(rows * C), second = array(rows * C), slope1 = array(rows * C), slope2 = array(rows * C);
        linear(w.fc1, y, rows, C, C, first.get());
        swish(first.get(), slope1.get(), rows * C);
        linear(w.fc2, first.get(), rows, C, C, second.get());
        swish(second.get(), slope2.get(), rows * C);
        for (int64_t i = 0; i < rows; ++i) {
            vec sum_of{};
            for (int64_t n = 0; n < C; n += LANES) {
                sum_of += load(second.get() + i * C + n) * load(w.fc_out.weight + n);
                store(slope2.get() + i * C + n, factor * load(w.fc_out.weight + n) * load(slope2.get() + i * C + n));
            }
            energies[i * stride] = sum(sum_of) + w.fc_out.bias[0];
        }
        reverse<false>(w.fc2, slope2.get(), rows, C, C, first.get());
        multiply(first.get(), slope1.get(), rows * C);
        reverse<true>(w.fc1, first.get(), rows, C, C, dy);
    }
};

}  // namespace
