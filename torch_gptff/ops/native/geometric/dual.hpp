// Dual numbers: a value and its derivative along one direction. A kernel that is written for any kind of number gives,
// of dual ones, the derivative of its result: of a gradient, the product of the second derivatives with a direction.
#pragma once
#include <utility>

#include "../simd.hpp"

template <typename T> struct Dual {
    T value, slope;
    Dual &operator+=(const Dual &other) {
        value += other.value;
        slope += other.slope;
        return *this;
    }
};

template <typename T> Dual<T> operator+(Dual<T> a, Dual<T> b) { return {a.value + b.value, a.slope + b.slope}; }
template <typename T> Dual<T> operator-(Dual<T> a, Dual<T> b) { return {a.value - b.value, a.slope - b.slope}; }
template <typename A, typename B> auto operator*(Dual<A> a, Dual<B> b) -> Dual<decltype(a.value * b.value)> {
    return {a.value * b.value, a.value * b.slope + a.slope * b.value};
}
template <typename A> auto operator*(Dual<A> a, real b) -> Dual<A> { return {a.value * b, a.slope * b}; }
template <typename A> auto operator*(real b, Dual<A> a) -> Dual<A> { return {a.value * b, a.slope * b}; }
template <typename A> auto operator+(real a, Dual<A> b) -> Dual<A> { return {a + b.value, b.slope}; }
static inline Dual<vec> operator*(Dual<real> a, vec b) { return {a.value * b, a.slope * b}; }
static inline Dual<vec> operator*(vec b, Dual<real> a) { return {a.value * b, a.slope * b}; }
static inline Dual<vec> operator*(Dual<vec> a, vec b) { return {a.value * b, a.slope * b}; }
static inline Dual<vec> operator*(vec b, Dual<vec> a) { return {a.value * b, a.slope * b}; }

static inline vec plus(vec a, vec b) { return a + b; }
static inline Dual<vec> plus(Dual<vec> a, vec b) { return {a.value + b, a.slope}; }

// What a kernel reads: a tensor, and of dual numbers its tangent.
struct Input {
    const real *value, *tangent;
};

// The numbers of a kernel: plain ones, whose results are stored as they are, or dual ones, whose slopes are.
struct Plain {
    typedef vec Vector;
    typedef real Scalar;
    static Vector load(const Input &x, int64_t at) { return ::load(x.value + at); }
    static Scalar scalar(const Input &x, int64_t at) { return x.value[at]; }
    static void store(real *to, const Vector &v) { ::store(to, v); }
    static void add(real *to, const Vector &v) { ::add_to(to, v); }
    static vec result(const Vector &v) { return v; }
    static real result(const Scalar &s) { return s; }
};
struct Twofold {
    typedef Dual<vec> Vector;
    typedef Dual<real> Scalar;
    static Vector load(const Input &x, int64_t at) { return {::load(x.value + at), ::load(x.tangent + at)}; }
    static Scalar scalar(const Input &x, int64_t at) { return {x.value[at], x.tangent[at]}; }
    static void store(real *to, const Vector &v) { ::store(to, v.slope); }
    static void add(real *to, const Vector &v) { ::add_to(to, v.slope); }
    static vec result(const Vector &v) { return v.slope; }
    static real result(const Scalar &s) { return s.slope; }
};

// Sums over the lanes of LANES vectors, as one vector: lane n has the sum of rows[n]. Two vectors at a time are woven into
// one of half sums, so that in the end lane n has the vector whose number is n with its bits reversed.
typedef decltype(vec{} < vec{}) lanes;
template <int... N> static constexpr lanes low_half(std::integer_sequence<int, N...>) { return lanes{(N % 2 * LANES + N / 2)...}; }
template <int... N> static constexpr lanes high_half(std::integer_sequence<int, N...>) {
    return lanes{(N % 2 * LANES + N / 2 + LANES / 2)...};
}
static constexpr int bits_reversed(int n) {
    int reversed = 0;
    for (int bit = 1, back = LANES / 2; bit < LANES; bit *= 2, back /= 2)
        if (n & bit) reversed |= back;
    return reversed;
}
static inline __attribute__((always_inline)) vec woven(vec a, vec b) {
    constexpr auto numbers = std::make_integer_sequence<int, LANES>{};
    return __builtin_shuffle(a, b, low_half(numbers)) + __builtin_shuffle(a, b, high_half(numbers));
}
template <int COUNT, int FIRST, int STEP> static inline __attribute__((always_inline)) vec woven_rows(const vec *rows) {
    if constexpr (STEP == LANES) {
        constexpr int n = bits_reversed(FIRST);
        if constexpr (n < COUNT)
            return rows[n];
        else
            return vec{};
    } else
        return woven(woven_rows<COUNT, FIRST, STEP * 2>(rows), woven_rows<COUNT, FIRST + LANES / STEP / 2, STEP * 2>(rows));
}

// The sums over the lanes of COUNT vectors.
template <int COUNT> static inline __attribute__((always_inline)) void lane_sums(const vec *rows, real *to) {
    constexpr int here = COUNT < LANES ? COUNT : LANES;
    const vec total = woven_rows<here, 0, 1>(rows);
    if constexpr (here == LANES)
        store(to, total);
    else
        for (int k = 0; k < here; ++k) to[k] = total[k];
    if constexpr (COUNT > LANES) lane_sums<COUNT - LANES>(rows + LANES, to + LANES);
}
template <int COUNT> static inline void lane_sums(const Dual<vec> *rows, Dual<real> *to) {
    vec part[COUNT];
    real result[COUNT];
    for (int n = 0; n < COUNT; ++n) part[n] = rows[n].value;
    lane_sums<COUNT>(part, result);
    for (int n = 0; n < COUNT; ++n) to[n].value = result[n], part[n] = rows[n].slope;
    lane_sums<COUNT>(part, result);
    for (int n = 0; n < COUNT; ++n) to[n].slope = result[n];
}
