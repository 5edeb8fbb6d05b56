// Vectors as wide as the processor has them, and the few functions of them that the kernels need.
// Compiled with REAL = float or double.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, ROWS = 12;  // ROWS: of a matrix product, held in registers at a time
#else
constexpr int VECTOR_BYTES = 32, ROWS = 6;
#endif

typedef REAL real;
typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
constexpr int LANES = VECTOR_BYTES / sizeof(real);

static inline vec load(const real *x) { vec v; std::memcpy(&v, x, sizeof v); return v; }
static inline void store(real *x, vec v) { std::memcpy(x, &v, sizeof v); }
static inline void add_to(real *x, vec v) { store(x, load(x) + v); }
static inline real sum(vec v) {
    real x[LANES];
    store(x, v);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; ++l) x[l] += x[l + half];
    return x[0];
}

template <typename T> struct Exponential;
template <> struct Exponential<float> {
    typedef int32_t integer;
    static constexpr float magic = 12582912.f, log2e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float lowest = -87.f, highest = 89.f;  // at which e^x overflows to infinity
    static constexpr int bias = 127, mantissa = 23, degree = 7;
};
template <> struct Exponential<double> {
    typedef int64_t integer;
    static constexpr double magic = 6755399441055744., log2e = 1.4426950408889634, ln2_high = 6.93145751953125e-1,
                            ln2_low = 1.42860682030941723e-6, lowest = -708., highest = 710.;
    static constexpr int bias = 1023, mantissa = 52, degree = 13;
};

constexpr double INVERSE_FACTORIAL[] = {
    1., 1., 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040, 1. / 40320, 1. / 362880, 1. / 3628800,
    1. / 39916800, 1. / 479001600, 1. / 6227020800};

// e^x = 2^n e^r with n = round(x / ln 2) and the Taylor series of e^r, |r| <= ln(2) / 2, to rounding.
static inline vec exponential(vec x) {
    typedef Exponential<real> E;
    typedef E::integer integer __attribute__((vector_size(VECTOR_BYTES)));
    x = x < E::lowest ? vec{} + E::lowest : x;
    x = x > E::highest ? vec{} + E::highest : x;
    const vec magic = vec{} + E::magic;
    const vec shifted = x * E::log2e + magic;
    const vec n = shifted - magic;
    const vec r = (x - n * E::ln2_high) - n * E::ln2_low;
    vec series = vec{} + real(INVERSE_FACTORIAL[E::degree]);
#pragma GCC unroll 13
    for (int k = E::degree - 1; k >= 0; --k) series = series * r + real(INVERSE_FACTORIAL[k]);
    const integer exponent = (integer)shifted - (integer)magic;
    return series * (vec)((exponent + E::bias) << E::mantissa);
}

static inline vec sigmoid(vec x) { return real(1) / (real(1) + exponential(-x)); }

// R rows of C and two vectors of its columns, held in registers: see product().
template <int R, bool ACCUMULATE>
static inline void tile(const real *A, int row, int column, const real *B, real *C, int N, int K) {
    vec left[R], right[R];
    for (int i = 0; i < R; ++i) {
        left[i] = ACCUMULATE ? load(C + i * N) : vec{};
        right[i] = ACCUMULATE ? load(C + i * N + LANES) : vec{};
    }
    for (int k = 0; k < K; ++k) {
        const vec b0 = load(B + k * N), b1 = load(B + k * N + LANES);
#pragma GCC unroll 12
        for (int i = 0; i < R; ++i) {
            const real a = A[i * row + k * column];
            left[i] += a * b0;
            right[i] += a * b1;
        }
    }
    for (int i = 0; i < R; ++i) {
        store(C + i * N, left[i]);
        store(C + i * N + LANES, right[i]);
    }
}

// C[m, n] (+)= sum over k of A(m, k) B[k, n], row-major; A(m, k) = A[m * row + k * column]. N is a multiple of 2 LANES.
template <int M, bool ACCUMULATE>
static inline void product(const real *A, int row, int column, const real *B, real *C, int N, int K) {
    constexpr int REST = M % ROWS;
    for (int n = 0; n < N; n += 2 * LANES) {
        for (int m = 0; m + ROWS <= M; m += ROWS)
            tile<ROWS, ACCUMULATE>(A + m * row, row, column, B + n, C + m * N + n, N, K);
        if constexpr (REST > 0)
            tile<REST, ACCUMULATE>(A + (M - REST) * row, row, column, B + n, C + (M - REST) * N + n, N, K);
    }
}

static inline std::vector<real> transpose(const real *matrix, int rows, int columns) {
    std::vector<real> result(rows * columns);
    for (int m = 0; m < rows; ++m)
        for (int n = 0; n < columns; ++n) result[n * rows + m] = matrix[m * columns + n];
    return result;
}
