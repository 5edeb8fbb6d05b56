// Invariants and products of the features of each atom, with their derivatives: see ../../tensor_product.py.
#include <cmath>

#include "../parallel.hpp"
#include "dual.hpp"
#include "records.hpp"

namespace {

constexpr int L = DEGREE, M = (L + 1) * (L + 1) - 1;

static constexpr int degree(int m) { return m < 3 ? 1 : m < 8 ? 2 : 3; }

static inline vec root_inverse(real x) { return vec{} + 1 / std::sqrt(x); }
static inline Dual<vec> root_inverse(Dual<real> x) {
    const real r = 1 / std::sqrt(x.value);
    return {vec{} + r, vec{} - r / (2 * x.value) * x.slope};
}

// The work of one atom, a chunk of LANES channels after the other.
template <typename K> struct Atom {
    typedef typename K::Vector V;
    const Sizes &s;
    const Input *v;
    const real *w;
    const int64_t C, i;
    V scale;  // 1 / root(1 + mean of V^2)
    V U[M], Z[M];

    Atom(const Sizes &s, const Input *v, const real *w, int64_t i) : s(s), v(v), w(w), C(s.channels), i(i) {
        V total{};
        for (int m = 0; m < M; ++m)
            for (int64_t n = 0; n < C; n += LANES) {
                const V value = K::load(v[degree(m) - 1], at(m, n));
                total += value * value;
            }
        scale = root_inverse(real(1) + mean(total));
    }
    // Of all components and channels.
    typename K::Scalar mean(V total) const {
        typename K::Scalar sum[1];
        lane_sums<1>(&total, sum);
        return sum[0] * (real(1) / (M * C));
    }
    // Where a component begins among the features of its degree, and an invariant among the invariants.
    int64_t at(int m, int64_t n) const {
        const int l = degree(m);
        return (i * (2 * l + 1) + m - (l * l - 1)) * C + n;
    }
    int64_t invariant(int l, int64_t n) const { return (i * 2 * L + l) * C + n; }

    void load_chunk(int64_t n) {
        for (int m = 0; m < M; ++m) {
            U[m] = K::load(v[degree(m) - 1], at(m, n)) * scale;
            Z[m] = V{};
        }
        for (const Term *t = s.list; t < s.list + s.terms; ++t)
            Z[t->third] += (real(t->coefficient) * load(w + t->path * C + n)) * (U[t->first] * U[t->second]);
    }
};

// out: invariants [N, 2 L, C], then Z of each degree.
template <typename K> void forward(const Sizes &s, const Input *v, const real *w, real *const *out, int threads) {
    typedef typename K::Vector V;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t i = 0; i < s.atoms; ++i) {
        Atom<K> atom(s, v, w, i);
        for (int64_t n = 0; n < s.channels; n += LANES) {
            atom.load_chunk(n);
            V two[L] = {}, three[L] = {};
            for (int m = 0; m < M; ++m) {
                two[degree(m) - 1] += atom.U[m] * atom.U[m];
                three[degree(m) - 1] += atom.U[m] * atom.Z[m];
                K::store(out[degree(m)] + atom.at(m, n), atom.Z[m]);
            }
            for (int l = 0; l < L; ++l) {
                K::store(out[0] + atom.invariant(l, n), two[l]);
                K::store(out[0] + atom.invariant(L + l, n), three[l]);
            }
        }
    }
}

template <typename K>
void backward(
    const Sizes &s, const Input *v, const real *w, const real *const *dout, real *const *dv, real *dw, int threads) {
    typedef typename K::Vector V;
    const int64_t C = s.channels, share = (s.atoms + threads - 1) / threads;
    std::vector<std::vector<real>> of_threads(threads, std::vector<real>(dw ? s.paths * C : 0));
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1)
    for (int thread = 0; thread < threads; ++thread) {
        std::vector<V> kept(M * C / LANES);
        real *own = of_threads[thread].data();
        for (int64_t i = thread * share; i < std::min(s.atoms, (thread + 1) * share); ++i) {
            Atom<K> atom(s, v, w, i);
            const auto &U = atom.U;
            V along{};
            for (int64_t n = 0; n < C; n += LANES) {
                atom.load_chunk(n);
                V dU[M], dZ[M];
                for (int m = 0; m < M; ++m) {
                    const int l = degree(m) - 1;
                    const vec two = load(dout[0] + atom.invariant(l, n)), three = load(dout[0] + atom.invariant(L + l, n));
                    dU[m] = U[m] * (two + two) + atom.Z[m] * three;
                    dZ[m] = plus(U[m] * three, load(dout[l + 1] + atom.at(m, n)));
                }
                for (const Term *t = s.list; t < s.list + s.terms; ++t) {
                    const V g = dZ[t->third] * (vec{} + real(t->coefficient)), gw = g * load(w + t->path * C + n);
                    if (dw) K::add(own + t->path * C + n, g * (U[t->first] * U[t->second]));
                    dU[t->first] += gw * U[t->second];
                    dU[t->second] += gw * U[t->first];
                }
                for (int m = 0; m < M; ++m) {
                    along += U[m] * dU[m];
                    kept[n / LANES * M + m] = dU[m];
                }
            }
            // U = V / root(1 + mean of V^2): dV = (dU - U (mean of U . dU)) / root(1 + mean of V^2)
            const typename K::Scalar part = atom.mean(along);
            for (int64_t n = 0; n < C; n += LANES)
                for (int m = 0; m < M; ++m) {
                    const V value = K::load(v[degree(m) - 1], atom.at(m, n)) * atom.scale;
                    K::store(dv[degree(m) - 1] + atom.at(m, n), atom.scale * (kept[n / LANES * M + m] - part * value));
                }
        }
    }
    for (const auto &part : of_threads)
        for (size_t n = 0; n < part.size(); ++n) dw[n] += part[n];
}

void inputs(const real *const *x, const real *const *t, Input *v) {
    for (int l = 0; l < L; ++l) v[l] = {x[l], t ? t[l] : nullptr};
}

}  // namespace

// x: features of each degree, [N, 2l + 1, C], then the weights of the paths, [paths, C].
extern "C" void tensor_product_forward(const Sizes *sizes, const real *const *x, real *const *out, int threads) {
    Input v[L];
    inputs(x, nullptr, v);
    forward<Plain>(*sizes, v, x[L], out, threads);
}

extern "C" void tensor_product_backward(
    const Sizes *sizes, const real *const *x, const real *const *dout, real *const *dx, int threads) {
    Input v[L];
    inputs(x, nullptr, v);
    backward<Plain>(*sizes, v, x[L], dout, dx, dx[L], threads);
}

extern "C" void tensor_product_double_backward(
    const Sizes *sizes, const real *const *x, const real *const *t, const real *const *dout,
    real *const *ddout, real *const *dx, int threads) {
    Input v[L];
    inputs(x, t, v);
    forward<Twofold>(*sizes, v, x[L], ddout, threads);
    backward<Twofold>(*sizes, v, x[L], dout, dx, dx[L], threads);
}
