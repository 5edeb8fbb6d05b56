// Attention of every atom to itself and to its neighbours, fused, with its gradient and the gradient of that. The
// mathematics, with the same names, is in ../local_attention.py.
#include <cmath>

#include "parallel.hpp"
#include "records.hpp"
#include "simd.hpp"

namespace {

constexpr int D = CHANNELS;

typedef AttentionInputs Inputs;
typedef AttentionOutputs Outputs;

// What centre i attends to with head h: the neighbours of its bonds e, and itself, e = -1, without bias and envelope.
// WIDTH: of a head, where it is whole vectors, and 0 otherwise.
template <int WIDTH> struct Pairs {
    const AttentionEdges &edges;
    const int heads, width;
    explicit Pairs(const AttentionEdges &edges)
        : edges(edges), heads(int(edges.heads)), width(WIDTH ? WIDTH : D / int(edges.heads)) {}

    real dot(const real *a, const real *b) const {
        if constexpr (WIDTH > 0) {
            vec total = load(a) * load(b);
            for (int n = LANES; n < WIDTH; n += LANES) total += load(a + n) * load(b + n);
            return sum(total);
        }
        real total = 0;
        for (int n = 0; n < width; ++n) total += a[n] * b[n];
        return total;
    }
    void add_scaled(real *to, real scale, const real *from) const {
        if constexpr (WIDTH > 0)
            for (int n = 0; n < WIDTH; n += LANES) add_to(to + n, scale * load(from + n));
        else
            for (int n = 0; n < width; ++n) to[n] += scale * from[n];
    }

    // The row of what the pair attends to, in a matrix of the atoms themselves or in one of the neighbours.
    template <typename T> T *row(T *own, T *neighbours, int64_t i, int64_t e, int h) const {
        return (e < 0 ? own + i * D : neighbours + edges.neighbour[e] * D) + h * width;
    }
    real envelope(const real *of_bonds, int64_t e) const { return e < 0 ? real(1) : of_bonds[e]; }
    real bias(const real *of_bonds, int64_t e, int h) const { return e < 0 ? real(0) : of_bonds[e * heads + h]; }

    template <typename Each> void each(int64_t start, int64_t end, int64_t first, int64_t last, Each visit) const {
        for (int64_t i = first; i < last; ++i)
            for (int h = 0; h < heads; ++h) visit(i, int64_t(-1), h);
        for (int64_t e = start; e < end; ++e)
            for (int h = 0; h < heads; ++h) visit(edges.centre[e], e, h);
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

// run(pairs) with heads as wide as they are.
template <typename Run> void with_pairs(const AttentionEdges &edges, Run run) {
    const int64_t width = D / edges.heads;
    if (width == LANES) return run(Pairs<LANES>(edges));
    if (width == 2 * LANES) return run(Pairs<2 * LANES>(edges));
    if (width == 4 * LANES) return run(Pairs<4 * LANES>(edges));
    return run(Pairs<0>(edges));
}

// What belongs to a pair, [E + M, H]: bonds first, then the atoms themselves.
template <typename T> struct PerPair {
    T *values;
    int64_t bonds;
    int heads;
    T &operator()(int64_t i, int64_t e, int h) const { return values[(e < 0 ? bonds + i : e) * heads + h]; }
};

struct PairArray : PerPair<real> {
    std::vector<real> memory;
    explicit PairArray(const AttentionEdges &edges)
        : PerPair<real>{nullptr, edges.count, int(edges.heads)}, memory((edges.count + edges.centres) * edges.heads) {
        values = memory.data();
    }
};

// To HIGHEST only where an envelope of zero, or next to it, takes all of it away again.
constexpr real HIGHEST = 80;

void exponentiate(real *x, const real *end) {
    for (; x + LANES <= end; x += LANES) {
        const vec s = load(x);
        store(x, exponential(s > HIGHEST ? vec{} + HIGHEST : s));
    }
    for (; x < end; ++x) *x = std::exp(*x > HIGHEST ? HIGHEST : *x);
}

// Of an envelope; of one that is not small 0 will do, where the largest of scores is looked for.
real log_if_small(real envelope) { return envelope < real(1e-3) ? std::log(envelope) : real(0); }

struct Gradients {  // of one range: those that ranges share are its own
    real *key, *value;
};

struct SharedGradients {
    SharedRows key, value;
    SharedGradients(const Outputs &d, const AttentionEdges &edges, int threads)
        : key(d.key, edges.neighbours * D, threads), value(d.value, edges.neighbours * D, threads) {}
    Gradients of(int range) { return {key.of(range), value.of(range)}; }
    void add_up() {
        key.add_up();
        value.add_up();
    }
};

template <int WIDTH>
void forward(const Pairs<WIDTH> &pairs, const Inputs &x, real *out, real *kept, int threads) {
    const int heads = pairs.heads, width = pairs.width;
    const int64_t bonds = pairs.edges.count;
    const PerPair<real> r{kept, bonds, heads};
    std::vector<real> highest(pairs.edges.centres * heads, -INFINITY), total(pairs.edges.centres * heads);
    pairs.in_parallel_with_centres(threads, [&](int, int64_t start, int64_t end, int64_t first, int64_t last) {
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const real *key = pairs.row(x.own_key, x.key, i, e, h);
            const real s = pairs.dot(x.query + i * D + h * width, key) + pairs.bias(x.bias, e, h);
            r(i, e, h) = s;
            const real weighted = s + log_if_small(pairs.envelope(x.envelope, e));
            real &most = highest[i * heads + h];
            most = weighted <= most ? most : weighted;  // a NaN stays
        });
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) { r(i, e, h) -= highest[i * heads + h]; });
        exponentiate(kept + start * heads, kept + end * heads);
        exponentiate(kept + (bonds + first) * heads, kept + (bonds + last) * heads);
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            total[i * heads + h] += pairs.envelope(x.envelope, e) * r(i, e, h);
        });
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            real &value = r(i, e, h);
            value /= total[i * heads + h];
            const real *from = pairs.row(x.own_value, x.value, i, e, h);
            pairs.add_scaled(out + i * D + h * width, pairs.envelope(x.envelope, e) * value, from);
        });
    });
}

template <int WIDTH>
void backward(
    const Pairs<WIDTH> &pairs, const real *dout, const Inputs &x, const real *kept, const Outputs &d, int threads) {
    const int heads = pairs.heads, width = pairs.width;
    const PerPair<const real> r{kept, pairs.edges.count, heads};
    const PairArray c(pairs.edges);  // dout . v
    std::vector<real> mean(pairs.edges.centres * heads);
    SharedGradients shared(d, pairs.edges, threads);
    pairs.in_parallel_with_centres(threads, [&](int range, int64_t start, int64_t end, int64_t first, int64_t last) {
        const Gradients own = shared.of(range);
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const real p = pairs.envelope(x.envelope, e) * r(i, e, h);
            c(i, e, h) = pairs.dot(dout + i * D + h * width, pairs.row(x.own_value, x.value, i, e, h));
            mean[i * heads + h] += p * c(i, e, h);
        });
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const int64_t at = i * D + h * width;
            const real p = pairs.envelope(x.envelope, e) * r(i, e, h);
            const real above = c(i, e, h) - mean[i * heads + h], ds = p * above;
            pairs.add_scaled(pairs.row(d.own_value, own.value, i, e, h), p, dout + at);
            pairs.add_scaled(pairs.row(d.own_key, own.key, i, e, h), ds, x.query + at);
            pairs.add_scaled(d.query + at, ds, pairs.row(x.own_key, x.key, i, e, h));
            if (e < 0) return;
            d.bias[e * heads + h] = ds;
            d.envelope[e] += r(i, e, h) * above;
        });
    });
    shared.add_up();
}

template <int WIDTH>
void double_backward(
    const Pairs<WIDTH> &pairs, const Inputs &t, const real *dout, const Inputs &x, const real *kept, real *ddout,
    const Outputs &d, int threads) {
    const int heads = pairs.heads, width = pairs.width;
    const PerPair<const real> r{kept, pairs.edges.count, heads};
    const PairArray c(pairs.edges), ts(pairs.edges), w(pairs.edges), a(pairs.edges);
    const int64_t of_centres = pairs.edges.centres * heads;
    std::vector<real> mean_c(of_centres), sum_w(of_centres), rest(of_centres);
    SharedGradients shared(d, pairs.edges, threads);
    pairs.in_parallel_with_centres(threads, [&](int range, int64_t start, int64_t end, int64_t first, int64_t last) {
        const Gradients own = shared.of(range);
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const int64_t at = i * D + h * width;
            const real share = r(i, e, h), p = pairs.envelope(x.envelope, e) * share;
            const real tu = e < 0 ? real(0) : t.envelope[e];
            c(i, e, h) = pairs.dot(dout + at, pairs.row(x.own_value, x.value, i, e, h));
            ts(i, e, h) = pairs.dot(t.query + at, pairs.row(x.own_key, x.key, i, e, h)) +
                          pairs.dot(x.query + at, pairs.row(t.own_key, t.key, i, e, h)) + pairs.bias(t.bias, e, h);
            w(i, e, h) = tu * share + p * ts(i, e, h);
            mean_c[i * heads + h] += p * c(i, e, h);
            sum_w[i * heads + h] += w(i, e, h);
        });
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const int64_t at = i * D + h * width, of = i * heads + h;
            const real p = pairs.envelope(x.envelope, e) * r(i, e, h);
            a(i, e, h) = pairs.dot(dout + at, pairs.row(t.own_value, t.value, i, e, h)) - sum_w[of] * c(i, e, h);
            rest[of] += w(i, e, h) * (c(i, e, h) - mean_c[of]) + p * a(i, e, h);
        });
        pairs.each(start, end, first, last, [&](int64_t i, int64_t e, int h) {
            const int64_t at = i * D + h * width, of = i * heads + h;
            const real share = r(i, e, h), p = pairs.envelope(x.envelope, e) * share;
            const real tp = w(i, e, h) - p * sum_w[of], above = c(i, e, h) - mean_c[of], over = a(i, e, h) - rest[of];
            const real ds = w(i, e, h) * above + p * over, dts = p * above;
            const real *key = pairs.row(x.own_key, x.key, i, e, h), *tkey = pairs.row(t.own_key, t.key, i, e, h);
            real *dkey = pairs.row(d.own_key, own.key, i, e, h);
            pairs.add_scaled(ddout + at, tp, pairs.row(x.own_value, x.value, i, e, h));
            pairs.add_scaled(ddout + at, p, pairs.row(t.own_value, t.value, i, e, h));
            pairs.add_scaled(pairs.row(d.own_value, own.value, i, e, h), tp, dout + at);
            pairs.add_scaled(dkey, ds, x.query + at);
            pairs.add_scaled(dkey, dts, t.query + at);
            pairs.add_scaled(d.query + at, ds, key);
            pairs.add_scaled(d.query + at, dts, tkey);
            if (e < 0) return;
            d.bias[e * heads + h] = ds;
            d.envelope[e] += share * (ts(i, e, h) * above + over);
        });
    });
    shared.add_up();
}

}  // namespace

// `kept` [E + M, H] receives r = exp(s) / sum of u exp(s): with the envelope u the share of a value, p = u r.
extern "C" void local_attention_forward(
    const AttentionEdges *edges, const Inputs *x, real *const *out, real *const *kept, int threads) {
    with_pairs(*edges, [&](auto pairs) { forward(pairs, *x, out[0], kept[0], threads); });
}

extern "C" void local_attention_backward(
    const AttentionEdges *edges, const Inputs *x, const real *const *dout, const real *const *kept, const Outputs *d,
    int threads) {
    with_pairs(*edges, [&](auto pairs) { backward(pairs, dout[0], *x, kept[0], *d, threads); });
}

// `t` are the tangents.
extern "C" void local_attention_double_backward(
    const AttentionEdges *edges, const Inputs *x, const Inputs *t, const real *const *dout, const real *const *kept,
    real *const *ddout, const Outputs *d, int threads) {
    with_pairs(*edges, [&](auto pairs) { double_backward(pairs, *t, dout[0], *x, kept[0], ddout[0], *d, threads); });
}
