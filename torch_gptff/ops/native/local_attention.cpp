// Attention of every atom to itself and to its neighbours, fused, with its gradient and the gradient of that. The
// mathematics, with the same names, is in ../local_attention.py.
#include <cmath>

#include "parallel.hpp"
#include "simd.hpp"

namespace {

constexpr int D = CHANNELS;

struct Edges {
    int64_t count, neighbours, centres;
    const int64_t *centre, *neighbour;
};
struct Sizes {
    int64_t heads, radial;
};
struct Inputs {  // row-major; see local_attention.py
    const real *query, *key, *value, *own_key, *own_value, *radial, *w_bias;
};
struct Outputs {
    real *query, *key, *value, *own_key, *own_value, *radial, *w_bias;
};

real dot(const real *a, const real *b, int width) {
    real total = 0;
#pragma omp simd reduction(+ : total)
    for (int n = 0; n < width; ++n) total += a[n] * b[n];
    return total;
}

void add_scaled(real *to, real scale, const real *from, int width) {
#pragma omp simd
    for (int n = 0; n < width; ++n) to[n] += scale * from[n];
}

// What centre i attends to with head h: the neighbours of its bonds e, and itself, e = -1, without bias and envelope.
struct Pairs {
    const Edges &edges;
    int heads, radial, width;
    Pairs(const Edges &edges, const Sizes &size)
        : edges(edges), heads(int(size.heads)), radial(int(size.radial)), width(D / heads) {}

    // The row of what the pair attends to, in a matrix of the atoms themselves or in one of the neighbours.
    template <typename T> T *row(T *own, T *neighbours, int64_t i, int64_t e, int h) const {
        return (e < 0 ? own + i * D : neighbours + edges.neighbour[e] * D) + h * width;
    }
    real envelope(const real *features, int64_t e) const { return e < 0 ? real(1) : features[(e + 1) * radial - 1]; }
    real bias(const real *features, const real *w_bias, int64_t e, int h) const {
        return e < 0 ? real(0) : dot(features + e * radial, w_bias + h * radial, radial);
    }
    template <typename Each> void each(int64_t start, int64_t end, int64_t first, int64_t last, Each visit) const {
        for (int h = 0; h < heads; ++h) {
            for (int64_t i = first; i < last; ++i) visit(i, int64_t(-1), h);
            for (int64_t e = start; e < end; ++e) visit(edges.centre[e], e, h);
        }
    }
    // work(range, start, end, first, last) with the bonds from `start` and the centres from `first` on.
    template <typename Work> void in_parallel_with_centres(int threads, Work work) const {
        const std::vector<int64_t> cuts = cut(edges.count, edges.centre, edges.centre, threads);
        const int ranges = int(cuts.size()) - 1;
#pragma omp parallel for schedule(static, 1) num_threads(ranges) if (ranges > 1)
        for (int r = 0; r < ranges; ++r) {
            const int64_t first = r == 0 ? 0 : edges.centre[cuts[r]];
            const int64_t last = r == ranges - 1 ? edges.centres : edges.centre[cuts[r + 1]];
            work(r, cuts[r], cuts[r + 1], first, last);
        }
    }
};

// What belongs to a pair, [E + M, H]: bonds first, then the atoms themselves.
template <typename T> struct PerPair {
    T *values;
    int64_t bonds;
    int heads;
    T &operator()(int64_t i, int64_t e, int h) const { return values[(e < 0 ? bonds + i : e) * heads + h]; }
};

struct PairArray : PerPair<real> {
    std::vector<real> memory;
    PairArray(const Edges &edges, int heads)
        : PerPair<real>{nullptr, edges.count, heads}, memory((edges.count + edges.centres) * heads) {
        values = memory.data();
    }
};

struct Gradients {  // of one range: those that ranges share are its own
    real *key, *value, *w_bias;
};

struct SharedGradients {
    SharedRows key, value, w_bias;
    SharedGradients(const Outputs &d, const Pairs &pairs, int threads)
        : key(d.key, pairs.edges.neighbours * D, threads), value(d.value, pairs.edges.neighbours * D, threads),
          w_bias(d.w_bias, int64_t(pairs.heads) * pairs.radial, threads) {}
    Gradients of(int range) { return {key.of(range), value.of(range), w_bias.of(range)}; }
    void add_up() {
        key.add_up();
        value.add_up();
        w_bias.add_up();
    }
};

}  // namespace

// `kept` [E + M, H] receives r = exp(s) / sum of u exp(s): with the envelope u the share of a value, p = u r.
extern "C" void local_attention_forward(
    const Inputs *inputs, const Edges *edges, const Sizes *size, real *out, real *kept, int threads) {
    const Inputs &x = *inputs;
    const Pairs pairs(*edges, *size);
    const int heads = pairs.heads, width = pairs.width;
    const PerPair<real> r{kept, edges->count, heads};
    std::vector<real> highest(edges->centres * heads, -INFINITY), total(edges->centres * heads);
    pairs.in_parallel_with_centres(threads, [&](int, int64_t start, int64_t end, int64_t first, int64_t last) {
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const real *key = pairs.row(x.own_key, x.key, i, e, h);
            const real s = dot(x.query + i * D + h * width, key, width) + pairs.bias(x.radial, x.w_bias, e, h);
            r(i, e, h) = s;
            real &most = highest[i * heads + h];
            most = s <= most ? most : s;  // a NaN stays
        });
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const real value = std::exp(r(i, e, h) - highest[i * heads + h]);
            r(i, e, h) = value;
            total[i * heads + h] += pairs.envelope(x.radial, e) * value;
        });
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            real &value = r(i, e, h);
            value /= total[i * heads + h];
            const real *from = pairs.row(x.own_value, x.value, i, e, h);
            add_scaled(out + i * D + h * width, pairs.envelope(x.radial, e) * value, from, width);
        });
    });
}

extern "C" void local_attention_backward(
    const real *dout, const Inputs *inputs, const Edges *edges, const Sizes *size, const real *kept,
    const Outputs *gradients, int threads) {
    const Inputs &x = *inputs;
    const Outputs &d = *gradients;
    const Pairs pairs(*edges, *size);
    const int heads = pairs.heads, width = pairs.width, radial = pairs.radial;
    const PerPair<const real> r{kept, edges->count, heads};
    const PairArray c(*edges, heads);  // dout . v
    std::vector<real> mean(edges->centres * heads);
    SharedGradients shared(d, pairs, threads);
    pairs.in_parallel_with_centres(threads, [&](int range, int64_t start, int64_t end, int64_t first, int64_t last) {
        const Gradients own = shared.of(range);
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const int64_t at = i * D + h * width;
            const real p = pairs.envelope(x.radial, e) * r(i, e, h);
            c(i, e, h) = dot(dout + at, pairs.row(x.own_value, x.value, i, e, h), width);
            mean[i * heads + h] += p * c(i, e, h);
        });
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const int64_t at = i * D + h * width;
            const real p = pairs.envelope(x.radial, e) * r(i, e, h);
            const real above = c(i, e, h) - mean[i * heads + h], ds = p * above;
            add_scaled(pairs.row(d.own_value, own.value, i, e, h), p, dout + at, width);
            add_scaled(pairs.row(d.own_key, own.key, i, e, h), ds, x.query + at, width);
            add_scaled(d.query + at, ds, pairs.row(x.own_key, x.key, i, e, h), width);
            if (e < 0) return;
            add_scaled(d.radial + e * radial, ds, x.w_bias + h * radial, radial);
            d.radial[(e + 1) * radial - 1] += r(i, e, h) * above;
            add_scaled(own.w_bias + h * radial, ds, x.radial + e * radial, radial);
        });
    });
    shared.add_up();
}

// See ../local_attention.py. `t` are the tangents, of which that of w_bias is zero and not read.
extern "C" void local_attention_double_backward(
    const Inputs *tangents, const real *dout, const Inputs *inputs, const Edges *edges, const Sizes *size,
    const real *kept, real *ddout, const Outputs *gradients, int threads) {
    const Inputs &x = *inputs, &t = *tangents;
    const Outputs &d = *gradients;
    const Pairs pairs(*edges, *size);
    const int heads = pairs.heads, width = pairs.width, radial = pairs.radial;
    const PerPair<const real> r{kept, edges->count, heads};
    const PairArray c(*edges, heads), ts(*edges, heads), w(*edges, heads), a(*edges, heads);
    const int64_t of_centres = edges->centres * heads;
    std::vector<real> mean_c(of_centres), sum_w(of_centres), rest(of_centres);
    SharedGradients shared(d, pairs, threads);
    pairs.in_parallel_with_centres(threads, [&](int range, int64_t start, int64_t end, int64_t first, int64_t last) {
        const Gradients own = shared.of(range);
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const int64_t at = i * D + h * width;
            const real share = r(i, e, h), p = pairs.envelope(x.radial, e) * share;
            const real tu = e < 0 ? real(0) : pairs.envelope(t.radial, e);
            c(i, e, h) = dot(dout + at, pairs.row(x.own_value, x.value, i, e, h), width);
            ts(i, e, h) = dot(t.query + at, pairs.row(x.own_key, x.key, i, e, h), width) +
                          dot(x.query + at, pairs.row(t.own_key, t.key, i, e, h), width) +
                          pairs.bias(t.radial, x.w_bias, e, h);
            w(i, e, h) = tu * share + p * ts(i, e, h);
            mean_c[i * heads + h] += p * c(i, e, h);
            sum_w[i * heads + h] += w(i, e, h);
        });
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const int64_t at = i * D + h * width, of = i * heads + h;
            const real p = pairs.envelope(x.radial, e) * r(i, e, h);
            a(i, e, h) = dot(dout + at, pairs.row(t.own_value, t.value, i, e, h), width) - sum_w[of] * c(i, e, h);
            rest[of] += w(i, e, h) * (c(i, e, h) - mean_c[of]) + p * a(i, e, h);
        });
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const int64_t at = i * D + h * width, of = i * heads + h;
            const real share = r(i, e, h), p = pairs.envelope(x.radial, e) * share;
            const real tp = w(i, e, h) - p * sum_w[of], above = c(i, e, h) - mean_c[of], over = a(i, e, h) - rest[of];
            const real ds = w(i, e, h) * above + p * over, dts = p * above;
            const real *key = pairs.row(x.own_key, x.key, i, e, h), *tkey = pairs.row(t.own_key, t.key, i, e, h);
            real *dkey = pairs.row(d.own_key, own.key, i, e, h);
            add_scaled(ddout + at, tp, pairs.row(x.own_value, x.value, i, e, h), width);
            add_scaled(ddout + at, p, pairs.row(t.own_value, t.value, i, e, h), width);
            add_scaled(pairs.row(d.own_value, own.value, i, e, h), tp, dout + at, width);
            add_scaled(dkey, ds, x.query + at, width);
            add_scaled(dkey, dts, t.query + at, width);
            add_scaled(d.query + at, ds, key, width);
            add_scaled(d.query + at, dts, tkey, width);
            if (e < 0) return;
            add_scaled(d.radial + e * radial, ds, x.w_bias + h * radial, radial);
            d.radial[(e + 1) * radial - 1] += share * (ts(i, e, h) * above + over);
            add_scaled(own.w_bias + h * radial, ds, x.radial + e * radial, radial);
            add_scaled(own.w_bias + h * radial, dts, t.radial + e * radial, radial);
        });
    });
    shared.add_up();
}
