// Dual numbers: a value and its derivative along one direction. A kernel that is written for any kind of number gives,
// of dual ones, the derivative of its result: of a gradient, the product of the second derivatives with a direction.
#pragma once
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

// Sums over the lanes of LANES vectors, as one vector: lane n has the sum of rows[n].
static inline vec sums(const vec *rows) {
    typedef decltype(vec{} < vec{}) mask;
    mask low, high;
    for (int n = 0; n < LANES; ++n) {
        low[n] = n % 2 * LANES + n / 2;
        high[n] = low[n] + LANES / 2;
    }
    vec level[LANES];
    for (int n = 0; n < LANES; ++n) {
        int reversed = 0;
        for (int bit = 1, back = LANES / 2; bit < LANES; bit *= 2, back /= 2)
            if (n & bit) reversed |= back;
        level[n] = rows[reversed];
    }
    for (int count = LANES; count > 1; count /= 2)
        for (int n = 0; n < count / 2; ++n)
            level[n] = __builtin_shuffle(level[2 * n], level[2 * n + 1], low) +
                       __builtin_shuffle(level[2 * n], level[2 * n + 1], high);
    return level[0];
}

// The sums over the lanes of COUNT vectors.
template <int COUNT> static inline void lane_sums(const vec *rows, real *to) {
    for (int n = 0; n < COUNT; n += LANES) {
        vec block[LANES];
        for (int k = 0; k < LANES; ++k) block[k] = n + k < COUNT ? rows[n + k] : vec{};
        const vec total = sums(block);
        if (n + LANES <= COUNT)
            store(to + n, total);
        else
            for (int k = 0; n + k < COUNT; ++k) to[n + k] = total[k];
    }
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
