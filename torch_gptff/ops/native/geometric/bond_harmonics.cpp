// Length and real spherical harmonics of bonds, with their derivatives: see ../../bond_harmonics.py.
#include <cmath>

#include "../parallel.hpp"
#include "dual.hpp"

namespace {

constexpr int M = (DEGREE + 1) * (DEGREE + 1) - 1;

static inline real root(real x) { return std::sqrt(x); }
static inline Dual<real> root(Dual<real> x) {
    const real r = std::sqrt(x.value);
    return {r, x.slope / (2 * r)};
}
static inline real inverse(real x) { return 1 / x; }
static inline Dual<real> inverse(Dual<real> x) { return {1 / x.value, -x.slope / (x.value * x.value)}; }

const real S3 = std::sqrt(real(3)), S15 = std::sqrt(real(15));
const real N2 = std::sqrt(real(5)), N3 = std::sqrt(real(7));
const real A = std::sqrt(real(5) / 8) * N3, B = std::sqrt(real(15)) * N3, C = std::sqrt(real(3) / 8) * N3;

// The harmonics of degree 1 to DEGREE of a unit vector, and the sums of g[m] times their derivatives by x, y, z.
template <typename S> void harmonics(S x, S y, S z, S *Y) {
    Y[0] = S3 * x, Y[1] = S3 * y, Y[2] = S3 * z;
    if constexpr (DEGREE >= 2) {
        const S xx = x * x, yy = y * y, zz = z * z;
        Y[3] = (S3 * N2) * (x * y), Y[4] = (S3 * N2) * (y * z), Y[6] = (S3 * N2) * (z * x);
        Y[5] = (N2 / 2) * (real(2) * zz - xx - yy), Y[7] = (S3 * N2 / 2) * (xx - yy);
        if constexpr (DEGREE >= 3) {
            const S four = real(4) * zz - xx - yy;
            Y[8] = A * (y * (real(3) * xx - yy)), Y[9] = B * (x * y * z), Y[10] = C * (y * four);
            Y[11] = (N3 / 2) * (z * (real(2) * zz - real(3) * xx - real(3) * yy));
            Y[12] = C * (x * four), Y[13] = (B / 2) * (z * (xx - yy)), Y[14] = A * (x * (xx - real(3) * yy));
        }
    }
}
template <typename S> void gradient(S x, S y, S z, const real *g, S &dx, S &dy, S &dz) {
    const S zero = real(0) * x;
    dx = zero, dy = zero, dz = zero;
    if constexpr (DEGREE >= 2) {
        const real xy = S3 * N2 * g[3], yz = S3 * N2 * g[4], zx = S3 * N2 * g[6], a = N2 * g[5], b = S3 * N2 * g[7];
        dx += xy * y + zx * z + (b - a) * x;
        dy += xy * x + yz * z - (a + b) * y;
        dz += yz * y + zx * x + (2 * a) * z;
        if constexpr (DEGREE >= 3) {
            const S xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, zx = z * x;
            const S four = real(4) * zz - xx - yy;
            const real a = A * g[8], b = B * g[9], c = C * g[10], d = N3 / 2 * g[11], e = C * g[12], f = B / 2 * g[13],
                       h = A * g[14];
            dx += (6 * a) * xy + b * yz - (2 * c) * xy - (6 * d) * zx + e * (four - real(2) * xx) + (2 * f) * zx +
                  (3 * h) * (xx - yy);
            dy += (3 * a) * (xx - yy) + b * zx + c * (four - real(2) * yy) - (6 * d) * yz - (2 * e) * xy - (2 * f) * yz -
                  (6 * h) * xy;
            dz += b * xy + (8 * c) * yz + d * (real(6) * zz - real(3) * xx - real(3) * yy) + (8 * e) * zx + f * (xx - yy);
        }
    }
    dx += S3 * g[0] + zero, dy += S3 * g[1] + zero, dz += S3 * g[2] + zero;
}

template <typename K> struct Bond {
    typedef typename K::Scalar S;
    S length, over, x, y, z;
    Bond(const Input &vectors, int64_t e) {
        const S a = K::scalar(vectors, 3 * e), b = K::scalar(vectors, 3 * e + 1), c = K::scalar(vectors, 3 * e + 2);
        length = root(a * a + b * b + c * c);
        over = inverse(length);
        x = a * over, y = b * over, z = c * over;
    }
};

template <typename K> void forward(int64_t count, const Input &vectors, real *lengths, real *all, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t e = 0; e < count; ++e) {
        typename K::Scalar Y[M];
        const Bond<K> bond(vectors, e);
        harmonics(bond.x, bond.y, bond.z, Y);
        lengths[e] = K::result(bond.length);
        for (int m = 0; m < M; ++m) all[e * M + m] = K::result(Y[m]);
    }
}

template <typename K>
void backward(int64_t count, const Input &vectors, const real *dlengths, const real *dall, real *dvectors, int threads) {
    typedef typename K::Scalar S;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t e = 0; e < count; ++e) {
        const Bond<K> b(vectors, e);
        S dx, dy, dz;
        gradient(b.x, b.y, b.z, dall + e * M, dx, dy, dz);
        const S along = dlengths[e] * b.length - (b.x * dx + b.y * dy + b.z * dz);
        dvectors[3 * e] = K::result((dx + along * b.x) * b.over);
        dvectors[3 * e + 1] = K::result((dy + along * b.y) * b.over);
        dvectors[3 * e + 2] = K::result((dz + along * b.z) * b.over);
    }
}

}  // namespace

extern "C" void bond_harmonics_forward(const int64_t *sizes, const real *const *x, real *const *out, int threads) {
    forward<Plain>(sizes[0], {x[0], nullptr}, out[0], out[1], threads);
}

extern "C" void bond_harmonics_backward(
    const int64_t *sizes, const real *const *x, const real *const *dout, real *const *dx, int threads) {
    backward<Plain>(sizes[0], {x[0], nullptr}, dout[0], dout[1], dx[0], threads);
}

// The derivatives along the tangents t of what forward and backward give.
extern "C" void bond_harmonics_double_backward(
    const int64_t *sizes, const real *const *x, const real *const *t, const real *const *dout, real *const *ddout,
    real *const *dx, int threads) {
    forward<Twofold>(sizes[0], {x[0], t[0]}, ddout[0], ddout[1], threads);
    backward<Twofold>(sizes[0], {x[0], t[0]}, dout[0], dout[1], dx[0], threads);
}
