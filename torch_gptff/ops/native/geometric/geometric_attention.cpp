// Attention of atoms to their neighbours that carries geometry, fused, with its gradient and the gradient of that: see
// ../../geometric_attention.py, whose names stand here too. Bonds are taken in the order of their centres, and nothing of
// size bonds x channels is stored.
#include <algorithm>
#include <cmath>

#include "../parallel.hpp"
#include "dual.hpp"
#include "records.hpp"

namespace {

constexpr int L = DEGREE, M = (L + 1) * (L + 1) - 1;

static constexpr int first(int l) { return l * l - 1; }

// Columns of the table of radial functions, C each: of the score, of the values of degree 0 to L, and, where neighbours have
// features that turn, of their products and of themselves. Then a bias of every head and the envelope.
template <bool TURNS> constexpr int SETS = 2 + L + (TURNS ? 2 : 0);
enum { SCORE, VALUE, PRODUCT = VALUE + L + 1, ITSELF };

template <typename K> struct Tensors {
    Input query, key, value, length, harmonics, turning[L];
    const real *table;
    Tensors(const real *const *x, const real *const *t, bool turns) {
        auto of = [&](int n) { return Input{x[n], t ? t[n] : nullptr}; };
        query = of(0), key = of(1), value = of(2), length = of(3), harmonics = of(4);
        for (int l = 0; l < L; ++l) turning[l] = turns ? of(5 + l) : Input{nullptr, nullptr};
        table = x[turns ? 5 + L : 5];
    }
};

// Four pieces of a cubic B-spline, at a bond's length: value and slope of each. Beyond the last knot they stay as they are.
template <typename S> struct Spline {
    S value[4], slope[4];
    int64_t row;
    static real plain(real x) { return x; }
    static real plain(Dual<real> x) { return x.value; }
    static real constant(real, real value) { return value; }
    static Dual<real> constant(Dual<real>, real value) { return {value, 0}; }
    Spline(const Bonds &bonds, S length) {
        const real per = real(bonds.per_angstrom);
        const S u = plain(length) * per < real(bonds.rows - 3) ? length * per : constant(length, real(bonds.rows - 3));
        row = std::min<int64_t>(int64_t(plain(u)), bonds.rows - 4);
        const S t = real(-row) + u, s = real(1) + real(-1) * t, t2 = t * t, s2 = s * s, t3 = t2 * t, s3 = s2 * s;
        value[0] = s3 * real(1. / 6), value[3] = t3 * real(1. / 6);
        value[1] = real(4. / 6) + (t3 * real(.5) - t2), value[2] = real(4. / 6) + (s3 * real(.5) - s2);
        if (!(plain(length) * per < real(bonds.rows - 3))) {
            for (S &each : slope) each = constant(length, 0);
            return;
        }
        slope[0] = s2 * (real(-.5) * per), slope[3] = t2 * (real(.5) * per);
        slope[1] = (t2 * real(1.5) - t * real(2)) * per, slope[2] = (s * real(2) - s2 * real(1.5)) * per;
    }
};

// A radial function: LANES columns of the table at a bond's length.
template <typename S> inline __attribute__((always_inline)) auto sum_of(const S (&w)[4], const real *at, int64_t stride) {
    return w[0] * load(at) + w[1] * load(at + stride) + w[2] * load(at + 2 * stride) + w[3] * load(at + 3 * stride);
}

// The same and its slope.
template <typename S, typename V> inline __attribute__((always_inline)) void sums_of(const Spline<S> &s, const real *at, int64_t stride, V &value, V &slope) {
    value = slope = V{};
    for (int k = 0; k < 4; ++k) {
        const vec row = load(at + k * stride);
        value += s.value[k] * row;
        slope += s.slope[k] * row;
    }
}

// g(s) = 2 / (1 + exp(-s)) of many scores, and of dual ones.
void weights(real *s, int64_t count) {
    for (int64_t n = 0; n < count; n += LANES) store(s + n, real(2) * sigmoid(load(s + n)));
}
void weights(Dual<real> *s, int64_t count) {
    real values[LANES];
    for (int64_t n = 0; n < count; n += LANES) {
        for (int l = 0; l < LANES; ++l) values[l] = s[n + l].value;
        weights(values, LANES);
        for (int l = 0; l < LANES; ++l)
            s[n + l] = {values[l], values[l] * (1 - values[l] / 2) * s[n + l].slope};
    }
}
template <typename S> S weight_slope(S g) { return g * (real(1) + real(-.5) * g); }

template <typename K, bool TURNS> struct Kernel {
    typedef typename K::Vector V;
    typedef typename K::Scalar S;
    const Bonds &b;
    const Tensors<K> &x;
    const int64_t C;            // channels
    const int heads, chunks, wide;  // chunks of all channels, and of one head
    const int64_t F, stride;    // columns before the biases, and all of them
    std::vector<S> weight;  // of the bonds of one centre, by head
    std::vector<Spline<S>> spline;
    std::vector<V> dquery;

    Kernel(const Bonds &b, const Tensors<K> &x)
        : b(b), x(x), C(b.channels), heads(int(b.heads)), chunks(int(C) / LANES), wide(chunks / heads), F(SETS<TURNS> * C),
          stride(F + (b.heads + 1 + 15) / 16 * 16), dquery(chunks) {}

    const real *table(const Spline<S> &s, int set, int chunk) const { return x.table + s.row * stride + set * C + chunk * LANES; }
    S column(const S (&w)[4], const Spline<S> &s, int n) const {
        const real *at = x.table + s.row * stride + F + n;
        return w[0] * at[0] + w[1] * at[stride] + w[2] * at[2 * stride] + w[3] * at[3 * stride];
    }
    // Where the features of degree l of an atom begin.
    int64_t row(int64_t atom, int l) const { return atom * (2 * l + 1) * C; }

    // Splines and weights of the bonds from start to end, all of centre i.
    void prepare(int64_t i, int64_t start, int64_t end) {
        spline.clear();
        weight.resize((end - start) * heads + LANES);
        for (int64_t e = start; e < end; ++e) {
            spline.emplace_back(b, K::scalar(x.length, e));
            const Spline<S> &s = spline.back();
            const int64_t j = b.neighbour[e];
            V part[MAX_HEADS];
            for (int h = 0; h < heads; ++h) {
                part[h] = V{};
                for (int n = h * wide; n < (h + 1) * wide; ++n)
                    part[h] += K::load(x.query, i * C + n * LANES) * K::load(x.key, j * C + n * LANES) *
                               sum_of(s.value, table(s, SCORE, n), stride);
            }
            S scores[MAX_HEADS];
            for (int h = heads; h < MAX_HEADS; ++h) part[h] = V{};
            lane_sums<MAX_HEADS>(part, scores);
            for (int h = 0; h < heads; ++h)
                weight[(e - start) * heads + h] = scores[h] + column(s.value, s, h);
        }
        weights(weight.data(), (end - start) * heads);
    }

    void forward(int64_t i, int64_t start, int64_t end, real *const *out) {
        prepare(i, start, end);
        for (int n = 0; n < chunks; ++n) {
            V sum0{}, sum[M]{};
            for (int64_t e = start; e < end; ++e) {
                const Spline<S> &s = spline[e - start];
                const int64_t j = b.neighbour[e];
                const S g = weight[(e - start) * heads + n / wide];
                const V ga = K::load(x.value, j * C + n * LANES) * g;
                V zero = ga * sum_of(s.value, table(s, VALUE, n), stride), product{}, itself{};
                if constexpr (TURNS) itself = sum_of(s.value, table(s, ITSELF, n), stride) * g;
#pragma GCC unroll 3
                for (int l = 1; l <= L; ++l) {
                    const V rga = ga * sum_of(s.value, table(s, VALUE + l, n), stride);
                    int64_t at = row(j, l) + n * LANES;
#pragma GCC unroll 7
                    for (int m = first(l); m < first(l + 1); ++m, at += C) {
                        const S Y = K::scalar(x.harmonics, e * M + m);
                        sum[m] += rga * Y;
                        if constexpr (TURNS) {
                            const V v = K::load(x.turning[l - 1], at);
                            sum[m] += itself * v;
                            product += v * Y;
                        }
                    }
                }
                if constexpr (TURNS) zero += product * (sum_of(s.value, table(s, PRODUCT, n), stride) * g);
                sum0 += zero;
            }
            K::store(out[0] + i * C + n * LANES, sum0);
            for (int l = 1; l <= L; ++l)
                for (int m = first(l); m < first(l + 1); ++m)
                    K::store(out[l] + row(i, l) + (m - first(l)) * C + n * LANES, sum[m]);
        }
        for (int h = 0; h < heads; ++h) {
            S total{};
            for (int64_t e = start; e < end; ++e)
                total += weight[(e - start) * heads + h] * column(spline[e - start].value, spline[e - start], heads);
            out[L + 1][i * heads + h] = K::result(total);
        }
    }

    struct Gradients {
        real *query, *key, *value, *length, *harmonics, *table, *turning[L];
    };

    void add_to_table(const Gradients &d, const Spline<S> &s, int set, int n, V gradient) {
        if (!d.table) return;
        for (int k = 0; k < 4; ++k) K::add(d.table + (s.row + k) * stride + set * C + n * LANES, gradient * s.value[k]);
    }
    void add_column(const Gradients &d, const Spline<S> &s, int n, S gradient) {
        if (!d.table) return;
        for (int k = 0; k < 4; ++k) d.table[(s.row + k) * stride + F + n] += K::result(gradient * s.value[k]);
    }

    void backward(int64_t i, int64_t start, int64_t end, const real *const *dout, const Gradients &d) {
        prepare(i, start, end);
        std::fill(dquery.begin(), dquery.end(), V{});
        for (int64_t e = start; e < end; ++e) {
            const Spline<S> &s = spline[e - start];
            const int64_t j = b.neighbour[e];
            // By the harmonics and by the length, and by the weight of each head.
            V by[M + 1]{}, by_weight[MAX_HEADS]{};
            S Y[M];
            for (int m = 0; m < M; ++m) Y[m] = K::scalar(x.harmonics, e * M + m);
            for (int h = 0; h < heads; ++h) {
                const S g = weight[(e - start) * heads + h];
                V dweight{};
                for (int n = h * wide; n < (h + 1) * wide; ++n) dweight += values_backward(i, j, n, g, s, Y, dout, d, by);
                by_weight[h] = dweight;
            }
            S sums[M + 1], dweights[MAX_HEADS];
            lane_sums<MAX_HEADS>(by_weight, dweights);
            // The weights: g = g(q . (R k) + bias), and the sum of envelope times g.
            const S envelope = column(s.value, s, heads);
            S denvelope{}, dlength{};
            for (int h = 0; h < heads; ++h) {
                const real dtotal = dout[L + 1][i * heads + h];
                const S g = weight[(e - start) * heads + h];
                const S ds = weight_slope(g) * (dweights[h] + envelope * dtotal);
                denvelope += g * dtotal;
                dlength += ds * column(s.slope, s, h);
                add_column(d, s, h, ds);
                for (int n = h * wide; n < (h + 1) * wide; ++n) {
                    const V q = K::load(x.query, i * C + n * LANES), k = K::load(x.key, j * C + n * LANES);
                    V R, slope;
                    sums_of(s, table(s, SCORE, n), stride, R, slope);
                    const V qs = q * ds;
                    dquery[n] += k * ds * R;
                    K::add(d.key + j * C + n * LANES, qs * R);
                    const V dR = qs * k;
                    by[M] += dR * slope;
                    add_to_table(d, s, SCORE, n, dR);
                }
            }
            dlength += denvelope * column(s.slope, s, heads);
            add_column(d, s, heads, denvelope);
            lane_sums<M + 1>(by, sums);
            for (int m = 0; m < M; ++m) d.harmonics[e * M + m] = K::result(sums[m]);
            d.length[e] = K::result(dlength + sums[M]);
        }
        for (int n = 0; n < chunks; ++n) K::store(d.query + i * C + n * LANES, dquery[n]);
    }

    // Of the channels of one chunk: adds the gradients by the neighbour's values and by the radial functions, and returns that
    // by the weight.
    __attribute__((always_inline)) inline V values_backward(
        int64_t i, int64_t j, int n, S g, const Spline<S> &s, const S (&Y)[M], const real *const *dout, const Gradients &d,
        V (&by)[M + 1]) {
        const V a = K::load(x.value, j * C + n * LANES), ga = a * g;
        const vec g0 = load(dout[0] + i * C + n * LANES);
        V core, along_length, product{}, along{}, of_product{}, of_itself{}, R, slope, R_product, R_itself;
        sums_of(s, table(s, VALUE, n), stride, R, slope);
        core = R * g0;
        V dR = ga * g0;
        along_length = dR * slope;
        add_to_table(d, s, VALUE, n, dR);
        V slope_product, slope_itself;
        if constexpr (TURNS) {
            sums_of(s, table(s, PRODUCT, n), stride, R_product, slope_product);
            sums_of(s, table(s, ITSELF, n), stride, R_itself, slope_itself);
            of_product = R_product * g * g0, of_itself = R_itself * g;
        }
#pragma GCC unroll 3
        for (int l = 1; l <= L; ++l) {
            sums_of(s, table(s, VALUE + l, n), stride, R, slope);
            const V rga = R * ga;
            V G{};
            const real *of_centre = dout[l] + row(i, l) + n * LANES;
            int64_t at = row(j, l) + n * LANES;
            real *to = TURNS ? d.turning[l - 1] + at : nullptr;
#pragma GCC unroll 7
            for (int m = first(l); m < first(l + 1); ++m, at += C, to += C, of_centre += C) {
                const vec gm = load(of_centre);
                G += gm * Y[m];
                V dY = rga * gm;
                if constexpr (TURNS) {
                    const V v = K::load(x.turning[l - 1], at);
                    product += v * Y[m];
                    along += v * gm;
                    dY += of_product * v;
                    K::add(to, of_product * Y[m] + of_itself * gm);
                }
                by[m] += dY;
            }
            core += R * G;
            dR = ga * G;
            along_length += dR * slope;
            add_to_table(d, s, VALUE + l, n, dR);
        }
        K::add(d.value + j * C + n * LANES, core * g);
        V dweight = a * core;
        if constexpr (TURNS) {
            const V whole = product * g0;
            dweight += R_product * whole + R_itself * along;
            dR = whole * g;
            along_length += dR * slope_product;
            add_to_table(d, s, PRODUCT, n, dR);
            dR = along * g;
            along_length += dR * slope_itself;
            add_to_table(d, s, ITSELF, n, dR);
        }
        by[M] += along_length;
        return dweight;
    }
};

// visit(range, centre, start, end) for every centre, also for one without bonds.
template <typename Visit> void each_centre(const Bonds &b, int threads, Visit visit) {
    std::vector<int64_t> ends(b.centres + 1, 0);
    for (int64_t e = 0; e < b.count; ++e) ++ends[b.centre[e] + 1];
    for (int64_t i = 0; i < b.centres; ++i) ends[i + 1] += ends[i];
    std::vector<int64_t> cuts{0};
    for (int64_t i = 1; i < b.centres; ++i)
        if (ends[i] * threads >= b.count * int64_t(cuts.size()) && int(cuts.size()) < threads) cuts.push_back(i);
    cuts.push_back(b.centres);
    const int ranges = int(cuts.size()) - 1;
#pragma omp parallel for schedule(static, 1) num_threads(ranges) if (ranges > 1)
    for (int r = 0; r < ranges; ++r) visit(r, cuts[r], cuts[r + 1], ends.data());
}

template <typename K, bool TURNS>
void forward(const Bonds &b, const Tensors<K> &x, real *const *out, int threads) {
    each_centre(b, threads, [&](int, int64_t from, int64_t to, const int64_t *ends) {
        Kernel<K, TURNS> kernel(b, x);
        for (int64_t i = from; i < to; ++i) kernel.forward(i, ends[i], ends[i + 1], out);
    });
}

// d: as the inputs; null for a table whose gradient is not wanted.
template <typename K, bool TURNS>
void backward(const Bonds &b, const Tensors<K> &x, const real *const *dout, real *const *d, int threads) {
    const int64_t stride = Kernel<K, TURNS>(b, x).stride;
    SharedRows key(d[1], b.neighbours * b.channels, threads), value(d[2], b.neighbours * b.channels, threads);
    real *dtable = d[TURNS ? 5 + L : 5];
    SharedRows table(dtable, dtable ? b.rows * stride : 0, threads);
    std::vector<SharedRows> turning;
    for (int l = 1; l <= L && TURNS; ++l) turning.emplace_back(d[4 + l], b.neighbours * (2 * l + 1) * b.channels, threads);
    each_centre(b, threads, [&](int r, int64_t from, int64_t to, const int64_t *ends) {
        Kernel<K, TURNS> kernel(b, x);
        typename Kernel<K, TURNS>::Gradients own{
            d[0], key.of(r), value.of(r), d[3], d[4], dtable ? table.of(r) : nullptr, {}};
        for (int l = 0; l < L && TURNS; ++l) own.turning[l] = turning[l].of(r);
        for (int64_t i = from; i < to; ++i) kernel.backward(i, ends[i], ends[i + 1], dout, own);
    });
    key.add_up(), value.add_up(), table.add_up();
    for (SharedRows &rows : turning) rows.add_up();
}

template <typename K>
void forward(const Bonds &b, const real *const *x, const real *const *t, real *const *out, int threads) {
    const Tensors<K> tensors(x, t, b.turns);
    b.turns ? forward<K, true>(b, tensors, out, threads) : forward<K, false>(b, tensors, out, threads);
}
template <typename K>
void backward(
    const Bonds &b, const real *const *x, const real *const *t, const real *const *dout, real *const *d, int threads) {
    const Tensors<K> tensors(x, t, b.turns);
    b.turns ? backward<K, true>(b, tensors, dout, d, threads) : backward<K, false>(b, tensors, dout, d, threads);
}

}  // namespace

extern "C" void geometric_attention_forward(const Bonds *bonds, const real *const *x, real *const *out, int threads) {
    forward<Plain>(*bonds, x, nullptr, out, threads);
}

extern "C" void geometric_attention_backward(
    const Bonds *bonds, const real *const *x, const real *const *dout, real *const *d, int threads) {
    backward<Plain>(*bonds, x, nullptr, dout, d, threads);
}

// The derivatives along the tangents t of what forward and backward give; the table's tangent is taken to be zero.
extern "C" void geometric_attention_double_backward(
    const Bonds *bonds, const real *const *x, const real *const *t, const real *const *dout, real *const *ddout,
    real *const *d, int threads) {
    forward<Twofold>(*bonds, x, t, ddout, threads);
    backward<Twofold>(*bonds, x, t, dout, d, threads);
}
