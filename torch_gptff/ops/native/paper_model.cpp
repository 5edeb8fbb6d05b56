// Energies, and the gradient of their sum by the bond vectors, of a whole model of the paper's layers: forward and then in
// reverse, by the kernels of bonds and angles, with the names of ../../models/paper_layer.py and ../../nn.
#include <vector>

#include "dense.hpp"
#include "records.hpp"

namespace {

constexpr int D = CHANNELS;
constexpr double PI = 3.14159265358979323846;

enum Attention : int64_t { NONE, LOCAL, GLOBAL };

// Weights of radial features are [out, R filled up to whole vectors]; their transposes are not filled up.
struct AngleParameters {
    Matrix centre, neighbour, p, q;  // of lin_full: of x_i; of x_j and x_k; of e_ij; of e_ik
    Matrix radial_j, radial_k;
    const real *weight, *bias, *angle_weight, *angle_bias;
};
struct EdgeParameters {  // of a bond or atom update
    Matrix centre, neighbour;
    const real *w_radial, *w_edge, *w, *bias;
};
struct TransformerParameters {
    Norm norm1, norm2, attended, fed;  // of the layer, and those within the transformer
    Matrix query, key, value, out, bias, lin1, lin2;
};
struct LayerParameters {
    AngleParameters angle;
    EdgeParameters bond, atom;
    TransformerParameters transformer;
};
struct Model {
    int64_t elements, layers, readouts, pooled, attention, heads, hidden;
    int64_t radial, filled, exponent;  // radial: features of a bond, filled up to whole vectors; exponent: 0 for no envelope
    double cutoff, angle_cutoff;
    const real *embedding, *start_centre, *start_neighbour;  // rows for each element
    Matrix start_basis, start_radial;
    const LayerParameters *layer;
    const ReadoutParameters *readout;
};
struct Graph {
    int64_t atoms, bonds, angles, structures, keep_bonds, keep_angles;  // keep: results of a layer's products
    const int64_t *z, *batch, *neighbour, *centre, *first, *second;     // batch: null for one structure
    const real *vectors;
};

// Radial features of one length and their slopes, as RadialFeatures has them, in double precision.
struct RadialFeatures {
    const int64_t functions, exponent;
    const double cutoff;

    // visit(n, value, slope) of each feature, the envelope last.
    template <typename Visit> void each(double r, Visit visit) const {
        double u = 1, du = 0;
        if (exponent) {
            const double x = std::min(r / cutoff, 1.), rest = 1 - x, p = double(exponent);
            double series = p * (p + 1) / 2, power = 1;
            for (int64_t k = exponent - 2; k >= 0; --k) series = series * x + double((k + 1) * (k + 2)) / 2;
            for (int64_t k = 1; k < exponent; ++k) power *= x;
            u = rest * rest * rest * series;
            du = -p * (p + 1) * (p + 2) / 2 * power * rest * rest / cutoff;
        }
        const double theta = PI * r / cutoff, over = 1 / r, scale = std::sqrt(2 / cutoff) * over;
        const double step_sine = std::sin(theta), step_cosine = std::cos(theta);
        double sine = step_sine, cosine = step_cosine;  // of n theta
        for (int64_t n = 1; n <= functions; ++n) {
            const double value = scale * sine, slope = scale * (double(n) * PI / cutoff * cosine - sine * over);
            visit(n - 1, value * u, slope * u + value * du);
            const double next = sine * step_cosine + cosine * step_sine;
            cosine = cosine * step_cosine - sine * step_sine;
            sine = next;
        }
        visit(functions, u, du);
    }
};

double length_of(const real *v) {
    const double x = v[0], y = v[1], z = v[2];
    return std::sqrt(x * x + y * y + z * z);
}

struct Run : Dense {
    const Model &m;
    const Graph &g;
    const int64_t N, E, A, R, F;  // F: radial features, filled up
    int64_t S = 0;                // bonds that form angles, `short_bonds`; angles are between their positions in that list
    std::vector<int64_t> short_bonds, short_centre, short_neighbour, first, second, starts;
    RadialFeatures bond_features, angle_features;
    Array radial, short_radial, direction, dradial, short_dradial, ddirection;

    Run(const Model &m, const Graph &g, int threads)
        : Dense{threads}, m(m), g(g), N(g.atoms), E(g.bonds), A(g.angles), R(m.radial), F(m.filled), first(A), second(A),
          starts(g.structures + 1), bond_features{R - 1, m.exponent, m.cutoff},
          angle_features{R - 1, m.exponent, m.angle_cutoff} {}

    // Whether indices point to elements, atoms, bonds and structures that exist.
    bool prepare() {
        for (int64_t e = 0; e < E; ++e)
            if (g.centre[e] < 0 || g.centre[e] >= N || g.neighbour[e] < 0 || g.neighbour[e] >= N) return false;
        std::vector<int64_t> place(E, -1);
        for (const int64_t *index : {g.first, g.second})
            for (int64_t a = 0; a < A; ++a) {
                if (index[a] < 0 || index[a] >= E) return false;
                place[index[a]] = 0;
            }
        for (int64_t e = 0; e < E; ++e)
            if (place[e] == 0) {
                place[e] = S++;
                short_bonds.push_back(e);
                short_centre.push_back(g.centre[e]);
                short_neighbour.push_back(g.neighbour[e]);
            }
        for (int64_t a = 0; a < A; ++a) first[a] = place[g.first[a]], second[a] = place[g.second[a]];
        for (int64_t i = 0; i < N; ++i) {
            const int64_t structure = g.batch ? g.batch[i] : 0;
            if (structure < 0 || structure >= g.structures || g.z[i] < 0 || g.z[i] >= m.elements) return false;
            ++starts[structure + 1];
        }
        for (int64_t b = 0; b < g.structures; ++b) starts[b + 1] += starts[b];
        measure();
        return true;
    }

    void measure() {
        radial = array(E * R), short_radial = array(S * R), direction = array(S * 3);
        dradial = zeros(E * F), short_dradial = zeros(S * F), ddirection = zeros(S * 3);
        in_blocks(E, threads, [&](int64_t from, int64_t to) {
            for (int64_t e = from; e < to; ++e)
                bond_features.each(length_of(g.vectors + 3 * e), [&](int64_t n, double value, double) {
                    radial[e * R + n] = real(value);
                });
        });
        in_blocks(S, threads, [&](int64_t from, int64_t to) {
            for (int64_t s = from; s < to; ++s) {
                const real *v = g.vectors + 3 * short_bonds[s];
                const double r = length_of(v);
                for (int c = 0; c < 3; ++c) direction[3 * s + c] = real(v[c] / r);
                angle_features.each(r, [&](int64_t n, double value, double) { short_radial[s * R + n] = real(value); });
            }
        });
    }

    // From the gradients by radial features and directions to that by the vectors.
    void measure_back(real *gradient) const {
        in_blocks(E, threads, [&](int64_t from, int64_t to) {
            for (int64_t e = from; e < to; ++e) add_along(bond_features, e, dradial.get() + e * F, gradient, false);
        });
        in_blocks(S, threads, [&](int64_t from, int64_t to) {
            for (int64_t s = from; s < to; ++s) {
                const int64_t e = short_bonds[s];
                const double r = add_along(angle_features, e, short_dradial.get() + s * F, gradient, true);
                const real *u = direction.get() + 3 * s, *du = ddirection.get() + 3 * s;
                const double along = double(u[0]) * du[0] + double(u[1]) * du[1] + double(u[2]) * du[2];
                for (int c = 0; c < 3; ++c) gradient[3 * e + c] += real((du[c] - along * u[c]) / r);
            }
        });
    }
    double add_along(const RadialFeatures &features, int64_t e, const real *d, real *gradient, bool add) const {
        const real *v = g.vectors + 3 * e;
        const double r = length_of(v);
        double slope = 0;
        features.each(r, [&](int64_t n, double, double along) { slope += d[n] * along; });
        for (int c = 0; c < 3; ++c) {
            const real value = real(slope * v[c] / r);
            gradient[3 * e + c] = add ? gradient[3 * e + c] + value : value;
        }
        return r;
    }
    void add_to_dradial(const real *d) const {
        in_blocks(E, threads, [&](int64_t from, int64_t to) {
            for (int64_t e = from; e < to; ++e)
                for (int64_t n = 0; n < R; ++n) dradial[e * F + n] += d[e * R + n];
        });
    }

    // Rows of width D, added or multiplied one by one.
    void add(real *to, const real *from, int64_t rows) const {
        in_blocks(rows, threads, [&](int64_t first, int64_t last) {
            for (int64_t n = first * D; n < last * D; n += LANES) add_to(to + n, load(from + n));
        });
    }
    Array product_of(const real *a, const real *b, int64_t rows) const {
        Array result = array(rows * D);
        in_blocks(rows, threads, [&](int64_t first, int64_t last) {
            for (int64_t n = first * D; n < last * D; n += LANES) store(result.get() + n, load(a + n) * load(b + n));
        });
        return result;
    }
    Array short_rows(const real *of_bonds) const {
        Array result = array(S * D);
        for (int64_t s = 0; s < S; ++s) std::copy_n(of_bonds + short_bonds[s] * D, D, result.get() + s * D);
        return result;
    }
    void add_short_rows(real *of_bonds, const real *rows) const {
        for (int64_t s = 0; s < S; ++s)
            for (int n = 0; n < D; n += LANES) add_to(of_bonds + short_bonds[s] * D + n, load(rows + s * D + n));
    }
};

Array copy_of(const real *values, int64_t size) {
    Array result = array(size);
    std::copy_n(values, size, result.get());
    return result;
}

// The update of bonds by the angles they form: see AngleConv.
struct AngleUpdate {
    const Run &r;
    const AngleParameters &w;
    const Angles angles;
    Array p, q, k, j, sums, kept;

    AngleUpdate(const Run &r, const AngleParameters &w)
        : r(r), w(w), angles{r.A, r.first.data(), r.second.data()} {}

    AngleInputs inputs() const {
        return {p.get(), q.get(), k.get(), r.direction.get(), w.weight, w.bias, w.angle_weight, w.angle_bias};
    }

    void forward(const real *x, real *e) {
        const int64_t N = r.N, S = r.S;
        if (!S) return;
        p = array(S * D), q = array(S * D), k = array(S * D), j = array(S * D), sums = zeros(S * D);
        Array x_i = array(N * D), x_jk = array(N * 2 * D);
        const Array rows = r.short_rows(e);
        r.linear(w.centre, x, N, D, D, x_i.get());
        r.linear(w.neighbour, x, N, D, 2 * D, x_jk.get());
        for (int64_t s = 0; s < S; ++s) {
            const real *i = x_i.get() + r.short_centre[s] * D, *jk = x_jk.get() + r.short_neighbour[s] * 2 * D;
            for (int n = 0; n < D; n += LANES) {
                store(p.get() + s * D + n, load(i + n) + load(jk + n));
                store(q.get() + s * D + n, load(jk + D + n));
            }
        }
        r.linear<true>(w.p, rows.get(), S, D, D, p.get());
        r.linear<true>(w.q, rows.get(), S, D, D, q.get());
        r.linear(w.radial_k, r.short_radial.get(), S, r.R, D, k.get());
        r.linear(w.radial_j, r.short_radial.get(), S, r.R, D, j.get());
        if (r.g.keep_angles) kept = array(r.A * 2 * D);
        const AngleInputs in = inputs();
        real *out = sums.get(), *keep = kept.get();
        angle_sum_forward(&angles, &in, &out, &keep, r.threads);
        r.add_short_rows(e, r.product_of(sums.get(), j.get(), S).get());
    }

    // Adds to the gradient by x, where it is wanted.
    void reverse(real *de, real *dx) const {
        const int64_t N = r.N, S = r.S;
        if (!S) return;
        const Array dupdate = r.short_rows(de);
        const Array dsums = r.product_of(dupdate.get(), j.get(), S), dj = r.product_of(dupdate.get(), sums.get(), S);
        Array dp = zeros(S * D), dq = zeros(S * D), dk = zeros(S * D);
        const AngleInputs in = inputs();
        const AngleOutputs d{dp.get(), dq.get(), dk.get(), r.ddirection.get()};
        const real *dout = dsums.get(), *keep = kept.get();
        angle_sum_backward(&angles, &in, &dout, &keep, &d, r.threads);
        r.reverse<true>(w.radial_k, dk.get(), S, r.F, D, r.short_dradial.get());
        r.reverse<true>(w.radial_j, dj.get(), S, r.F, D, r.short_dradial.get());
        Array drows = array(S * D);
        r.reverse<false>(w.p, dp.get(), S, D, D, drows.get());
        r.reverse<true>(w.q, dq.get(), S, D, D, drows.get());
        r.add_short_rows(de, drows.get());
        if (!dx) return;
        Array dx_i = zeros(N * D), dx_jk = zeros(N * 2 * D);
        for (int64_t s = 0; s < S; ++s) {
            real *i = dx_i.get() + r.short_centre[s] * D, *jk = dx_jk.get() + r.short_neighbour[s] * 2 * D;
            for (int n = 0; n < D; n += LANES) {
                const vec of_p = load(dp.get() + s * D + n);
                add_to(i + n, of_p);
                add_to(jk + n, of_p);
                add_to(jk + D + n, load(dq.get() + s * D + n));
            }
        }
        r.reverse<true>(w.centre, dx_i.get(), N, D, D, dx);
        r.reverse<true>(w.neighbour, dx_jk.get(), N, D, 2 * D, dx);
    }
};

typedef void Forward(const Edges *, const EdgeInputs *, real *const *, real *const *, int);
typedef void Backward(
    const Edges *, const EdgeInputs *, const real *const *, const real *const *, const EdgeOutputs *, int);

// The update of bonds or atoms by bonds and the atoms at their ends: see BondConv and AtomConv. WIDTH: of what is kept.
template <Forward FORWARD, Backward BACKWARD, int WIDTH> struct EdgeUpdate {
    const Run &r;
    const EdgeParameters &w;
    const Edges edges;
    Array a, b, kept;

    EdgeUpdate(const Run &r, const EdgeParameters &w)
        : r(r), w(w), edges{r.E, r.N, r.R, r.g.centre, r.g.neighbour} {}

    EdgeInputs inputs(const real *e) const {
        return {a.get(), b.get(), e, r.radial.get(), w.w_radial, w.w_edge, w.w, w.bias};
    }

    void forward(const real *x, const real *e, real *out) {
        a = array(r.N * 2 * D), b = array(r.N * 2 * D);
        r.linear(w.centre, x, r.N, D, 2 * D, a.get());
        r.linear(w.neighbour, x, r.N, D, 2 * D, b.get());
        if (r.g.keep_bonds) kept = array(r.E * WIDTH * D);
        const EdgeInputs in = inputs(e);
        real *keep = kept.get();
        FORWARD(&edges, &in, &out, &keep, r.threads);
    }

    // The gradient by e; adds to that by x, where it is wanted.
    Array reverse(const real *dout, const real *e, real *dx) const {
        Array da = zeros(r.N * 2 * D), db = zeros(r.N * 2 * D), de = array(r.E * D), dradial = array(r.E * r.R);
        const EdgeInputs in = inputs(e);
        const EdgeOutputs d{da.get(), db.get(), de.get(), dradial.get()};
        const real *keep = kept.get();
        BACKWARD(&edges, &in, &dout, &keep, &d, r.threads);
        r.add_to_dradial(dradial.get());
        if (dx) {
            r.reverse<true>(w.centre, da.get(), r.N, D, 2 * D, dx);
            r.reverse<true>(w.neighbour, db.get(), r.N, D, 2 * D, dx);
        }
        return de;
    }
};

typedef EdgeUpdate<bond_update_forward, bond_update_backward, 3> BondUpdate;
typedef EdgeUpdate<atom_update_forward, atom_update_backward, 4> AtomUpdate;

// Attention of the atoms of each structure to all of them: see GlobalAttention. Scores are of a block of atoms at a time,
// and computed again in reverse.
struct GlobalAttention {
    static constexpr int ATOMS = 4 * ROWS;  // in a block
    const Run &r;
    const real *query, *key, *value;
    const int width;  // of a head

    GlobalAttention(const Run &r, const real *query, const real *key, const real *value)
        : r(r), query(query), key(key), value(value), width(int(D / r.m.heads)) {}

    // One head of one structure: its atoms, filled up to whole vectors; keys and values, and their transposes.
    struct Head {
        const int64_t first, count;
        const int column, filled;
        Array key, value, keys, values;
        Head(const GlobalAttention &of, int64_t structure, int64_t head)
            : first(of.r.starts[structure]), count(of.r.starts[structure + 1] - first), column(int(head) * of.width),
              filled(int((count + 2 * LANES - 1) / (2 * LANES) * (2 * LANES))), key(array(count * of.width)),
              value(array(count * of.width)), keys(zeros(filled * of.width)), values(zeros(filled * of.width)) {
            for (int64_t j = 0; j < count; ++j)
                for (int n = 0; n < of.width; ++n) {
                    const int64_t at = (first + j) * D + column + n;
                    key[j * of.width + n] = keys[n * filled + j] = of.key[at];
                    value[j * of.width + n] = values[n * filled + j] = of.value[at];
                }
        }
    };

    template <typename Work> void each_head(Work work) const {
        const int64_t heads = r.m.heads, all = r.g.structures * heads;
#pragma omp parallel for schedule(dynamic) num_threads(r.threads) if (r.threads > 1 && all > 1)
        for (int64_t n = 0; n < all; ++n) work(Head(*this, n / heads, n % heads));
    }
    // Rows of a block of atoms, zero beyond the last one.
    void rows_of(const real *x, const Head &h, int64_t from, int64_t size, real *rows) const {
        std::fill_n(rows, ATOMS * width, real(0));
        for (int64_t a = 0; a < size; ++a) std::copy_n(x + (h.first + from + a) * D + h.column, width, rows + a * width);
    }
    // Shares of all atoms in what a block of atoms receives, [ATOMS, filled].
    void shares(const Head &h, const real *queries, int64_t size, real *p) const {
        product<ATOMS, false>(queries, width, 1, h.keys.get(), p, h.filled, width);
        for (int64_t a = 0; a < size; ++a) {
            real *row = p + a * h.filled, highest = row[0], total = 0;
            for (int64_t j = 1; j < h.count; ++j) highest = std::max(highest, row[j]);
            for (int n = 0; n < h.filled; n += LANES) store(row + n, exponential(load(row + n) - highest));
            for (int64_t j = h.count; j < h.filled; ++j) row[j] = 0;
            for (int64_t j = 0; j < h.count; ++j) total += row[j];
            for (int n = 0; n < h.filled; n += LANES) store(row + n, load(row + n) / total);
        }
    }

    void forward(real *out) const {
        each_head([&](const Head &h) {
            Array queries = array(ATOMS * width), p = array(ATOMS * h.filled), mixed = array(ATOMS * width);
            for (int64_t from = 0; from < h.count; from += ATOMS) {
                const int64_t size = std::min<int64_t>(ATOMS, h.count - from);
                rows_of(query, h, from, size, queries.get());
                shares(h, queries.get(), size, p.get());
                product<ATOMS, false>(p.get(), h.filled, 1, h.value.get(), mixed.get(), width, int(h.count));
                for (int64_t a = 0; a < size; ++a)
                    std::copy_n(mixed.get() + a * width, width, out + (h.first + from + a) * D + h.column);
            }
        });
    }

    void reverse(const real *dout, real *dquery, real *dkey, real *dvalue) const {
        each_head([&](const Head &h) {
            Array queries = array(ATOMS * width), douts = array(ATOMS * width), dqueries = array(ATOMS * width);
            Array p = array(ATOMS * h.filled), ds = array(ATOMS * h.filled);
            Array dkeys = zeros(h.count * width), dvalues = zeros(h.count * width);
            for (int64_t from = 0; from < h.count; from += ATOMS) {
                const int64_t size = std::min<int64_t>(ATOMS, h.count - from);
                rows_of(query, h, from, size, queries.get());
                rows_of(dout, h, from, size, douts.get());
                shares(h, queries.get(), size, p.get());
                product<ATOMS, false>(douts.get(), width, 1, h.values.get(), ds.get(), h.filled, width);
                for (int64_t a = 0; a < size; ++a) {
                    real *d = ds.get() + a * h.filled, *share = p.get() + a * h.filled, mean = 0;
                    for (int64_t j = 0; j < h.count; ++j) mean += d[j] * share[j];
                    for (int n = 0; n < h.filled; n += LANES) store(d + n, load(share + n) * (load(d + n) - mean));
                }
                product<ATOMS, false>(ds.get(), h.filled, 1, h.key.get(), dqueries.get(), width, int(h.count));
                for (int64_t a = 0; a < size; ++a)
                    std::copy_n(dqueries.get() + a * width, width, dquery + (h.first + from + a) * D + h.column);
                add_transposed(ds.get(), h, size, queries.get(), dkeys.get());
                add_transposed(p.get(), h, size, douts.get(), dvalues.get());
            }
            for (int64_t j = 0; j < h.count; ++j) {
                const int64_t at = (h.first + j) * D + h.column;
                std::copy_n(dkeys.get() + j * width, width, dkey + at);
                std::copy_n(dvalues.get() + j * width, width, dvalue + at);
            }
        });
    }
    // to[j, n] += sum over the block's atoms of p[a, j] rows[a, n].
    void add_transposed(const real *p, const Head &h, int64_t size, const real *rows, real *to) const {
        int64_t j = 0;
        for (; j + ROWS <= h.count; j += ROWS)
            product<ROWS, true>(p + j, 1, h.filled, rows, to + j * width, width, int(size));
        for (; j < h.count; ++j) product<1, true>(p + j, 1, h.filled, rows, to + j * width, width, int(size));
    }
};

// norm1, a transformer encoder layer and norm2: see PaperLayer and GraphTransformer.
struct Transformer {
    const Run &r;
    const TransformerParameters &w;
    const int64_t N, H;
    struct Kept {  // of a norm
        Array plain, over;
    } norm1, norm2, attended, fed;
    Array query, key, value, bias, envelope, shares, slope;

    Transformer(const Run &r, const TransformerParameters &w) : r(r), w(w), N(r.N), H(r.m.hidden) {}

    Array normed(const Norm &norm, const Array &x, Kept &kept) const {
        Array y = array(N * D);
        kept = {array(N * D), array(N)};
        r.norm(norm, x.get(), N, D, y.get(), kept.plain.get(), kept.over.get());
        return y;
    }
    Array norm_back(const Norm &norm, const real *dy, const Kept &kept) const {
        Array dx = zeros(N * D);
        r.norm_reverse(norm, dy, N, D, kept.plain.get(), kept.over.get(), dx.get());
        return dx;
    }
    Array linear(const Matrix &matrix, const Array &x, int64_t in, int64_t out) const {
        Array y = array(N * out);
        r.linear(matrix, x.get(), N, in, out, y.get());
        return y;
    }
    AttentionEdges edges() const { return {r.E, N, N, r.m.heads, r.g.centre, r.g.neighbour}; }
    AttentionInputs inputs() const {
        return {query.get(), key.get(), value.get(), key.get(), value.get(), bias.get(), envelope.get()};
    }

    void forward(Array &x) {
        x = normed(w.norm1, x, norm1);
        query = linear(w.query, x, D, D), key = linear(w.key, x, D, D), value = linear(w.value, x, D, D);
        Array mixed = zeros(N * D);
        if (r.m.attention == LOCAL)
            attend_to_neighbours(mixed.get());
        else
            GlobalAttention(r, query.get(), key.get(), value.get()).forward(mixed.get());
        Array y = linear(w.out, mixed, D, D);
        r.add(y.get(), x.get(), N);
        y = normed(w.attended, y, attended);
        Array hidden = linear(w.lin1, y, D, H);
        slope = array(N * H);
        gelu(hidden.get());
        Array z = linear(w.lin2, hidden, H, D);
        r.add(z.get(), y.get(), N);
        z = normed(w.norm2, normed(w.fed, z, fed), norm2);
        r.add(x.get(), z.get(), N);
    }

    void reverse(Array &dx) const {
        Array dz = norm_back(w.fed, norm_back(w.norm2, dx.get(), norm2).get(), fed);
        Array dhidden = array(N * H);
        r.reverse<false>(w.lin2, dz.get(), N, H, D, dhidden.get());
        r.multiply(dhidden.get(), slope.get(), N * H);
        r.reverse<true>(w.lin1, dhidden.get(), N, D, H, dz.get());  // dz is that by y as well
        const Array dy = norm_back(w.attended, dz.get(), attended);
        r.add(dx.get(), dy.get(), N);
        Array dmixed = array(N * D), dquery = zeros(N * D), dkey = zeros(N * D), dvalue = zeros(N * D);
        r.reverse<false>(w.out, dy.get(), N, D, D, dmixed.get());
        if (r.m.attention == LOCAL)
            attend_to_neighbours_back(dmixed.get(), dquery.get(), dkey.get(), dvalue.get());
        else
            GlobalAttention(r, query.get(), key.get(), value.get())
                .reverse(dmixed.get(), dquery.get(), dkey.get(), dvalue.get());
        r.reverse<true>(w.query, dquery.get(), N, D, D, dx.get());
        r.reverse<true>(w.key, dkey.get(), N, D, D, dx.get());
        r.reverse<true>(w.value, dvalue.get(), N, D, D, dx.get());
        dx = norm_back(w.norm1, dx.get(), norm1);
    }

    // x Φ(x) in place of x, and its slope Φ(x) + x φ(x).
    void gelu(real *x) const {
        in_blocks(N, r.threads, [&](int64_t first, int64_t last) {
            for (int64_t n = first * H; n < last * H; ++n) {
                const real below = real(0.5) * (1 + std::erf(x[n] * real(0.70710678118654752440)));
                slope[n] = below + x[n] * std::exp(real(-0.5) * x[n] * x[n]) * real(0.39894228040143267794);
                x[n] *= below;
            }
        });
    }

    void attend_to_neighbours(real *out) {
        const int64_t E = r.E, R = r.R, heads = r.m.heads;
        bias = array(E * heads), envelope = array(E), shares = array((E + N) * heads);
        for (int64_t e = 0; e < E; ++e) {
            const real *radial = r.radial.get() + e * R;
            envelope[e] = radial[R - 1];
            for (int64_t h = 0; h < heads; ++h) {
                real total = 0;
                for (int64_t n = 0; n < R; ++n) total += w.bias.weight[h * r.F + n] * radial[n];
                bias[e * heads + h] = total;
            }
        }
        const AttentionEdges all = edges();
        const AttentionInputs in = inputs();
        real *kept = shares.get();
        local_attention_forward(&all, &in, &out, &kept, r.threads);
    }
    void attend_to_neighbours_back(const real *dout, real *dquery, real *dkey, real *dvalue) const {
        const int64_t E = r.E, R = r.R, heads = r.m.heads;
        Array own_dkey = zeros(N * D), own_dvalue = zeros(N * D), dbias = zeros(E * heads), denvelope = zeros(E);
        const AttentionEdges all = edges();
        const AttentionInputs in = inputs();
        const AttentionOutputs d{dquery, dkey, dvalue, own_dkey.get(), own_dvalue.get(), dbias.get(), denvelope.get()};
        const real *kept = shares.get();
        local_attention_backward(&all, &in, &dout, &kept, &d, r.threads);
        r.add(dkey, own_dkey.get(), N);
        r.add(dvalue, own_dvalue.get(), N);
        for (int64_t e = 0; e < E; ++e) {
            real *dradial = r.dradial.get() + e * r.F;
            dradial[R - 1] += denvelope[e];
            for (int64_t h = 0; h < heads; ++h)
                for (int64_t n = 0; n < R; ++n) dradial[n] += w.bias.weight[h * r.F + n] * dbias[e * heads + h];
        }
    }
};

struct Layer {
    const Run &r;
    const bool first;
    AngleUpdate angle;
    BondUpdate bond;
    AtomUpdate atom;
    Transformer transformer;
    Array before, after;  // features of bonds before and after the bond update

    Layer(const Run &r, const LayerParameters &w, bool first)
        : r(r), first(first), angle(r, w.angle), bond(r, w.bond), atom(r, w.atom), transformer(r, w.transformer) {}

    // Features of bonds from those of the layer before; those of atoms change.
    const real *forward(Array &x, const real *e) {
        before = copy_of(e, r.E * D), after = array(r.E * D);
        angle.forward(x.get(), before.get());
        bond.forward(x.get(), before.get(), after.get());
        Array sums = copy_of(x.get(), r.N * D);
        atom.forward(x.get(), after.get(), sums.get());
        x = std::move(sums);
        if (r.m.attention != NONE) transformer.forward(x);
        return after.get();
    }

    // From the gradients by what the layer gives to those by what it takes; atoms of a first one do not depend on bonds.
    void reverse(Array &dx, Array &de) const {
        if (r.m.attention != NONE) transformer.reverse(dx);
        const Array dout = copy_of(dx.get(), r.N * D);
        real *wanted = first ? nullptr : dx.get();
        r.add(de.get(), atom.reverse(dout.get(), after.get(), wanted).get(), r.E);
        de = bond.reverse(de.get(), before.get(), wanted);
        angle.reverse(de.get(), wanted);
    }
};

// The first features of bonds, (a_i + b_j + W_b radial) ⊙ W_r radial, and their reverse.
struct Start {
    const Run &r;
    Array sum, weight;
    explicit Start(const Run &r) : r(r), sum(array(r.E * D)), weight(array(r.E * D)) {}

    Array forward() {
        in_blocks(r.E, r.threads, [&](int64_t first, int64_t last) {
            for (int64_t e = first; e < last; ++e) {
                const real *a = r.m.start_centre + r.g.z[r.g.centre[e]] * D;
                const real *b = r.m.start_neighbour + r.g.z[r.g.neighbour[e]] * D;
                for (int n = 0; n < D; n += LANES) store(sum.get() + e * D + n, load(a + n) + load(b + n));
            }
        });
        r.linear<true>(r.m.start_basis, r.radial.get(), r.E, r.R, D, sum.get());
        r.linear(r.m.start_radial, r.radial.get(), r.E, r.R, D, weight.get());
        return r.product_of(sum.get(), weight.get(), r.E);
    }
    void reverse(const Array &de) const {
        const Array dsum = r.product_of(de.get(), weight.get(), r.E), dweight = r.product_of(de.get(), sum.get(), r.E);
        r.reverse<true>(r.m.start_basis, dsum.get(), r.E, r.F, D, r.dradial.get());
        r.reverse<true>(r.m.start_radial, dweight.get(), r.E, r.F, D, r.dradial.get());
    }
};

// Energies of atoms by every readout, or of structures by the one that sums features first; and the gradient by x.
Array read_out(const Run &r, const Array &x, real *energies) {
    const int64_t N = r.N, B = r.g.structures, readouts = r.m.readouts;
    Array dx = zeros(N * D);
    if (!r.m.pooled) {
        for (int64_t k = 0; k < readouts; ++k)
            r.read_out(r.m.readout[k], x.get(), N, D, real(1) / real(readouts), energies + k, readouts, dx.get());
        return dx;
    }
    Array pooled = array(B * D), dpooled = zeros(B * D);
    for (int64_t b = 0; b < B; ++b)
        for (int n = 0; n < D; ++n) {
            double total = 0;
            for (int64_t i = r.starts[b]; i < r.starts[b + 1]; ++i) total += x[i * D + n];
            pooled[b * D + n] = real(total);
        }
    r.read_out(r.m.readout[0], pooled.get(), B, D, real(1), energies, 1, dpooled.get());
    for (int64_t b = 0; b < B; ++b)
        for (int64_t i = r.starts[b]; i < r.starts[b + 1]; ++i) std::copy_n(dpooled.get() + b * D, D, dx.get() + i * D);
    return dx;
}

}  // namespace

// energies of atoms [N, readouts], or of structures [B] where features are pooled; gradient of the sum of the means of the
// readouts by the vectors, [E, 3]. The result is 0 where an index points to nothing, and nothing is computed then.
extern "C" int paper_model(const Model *model, const Graph *graph, real *energies, real *gradient, int threads) {
    Run r(*model, *graph, threads);
    if (!r.prepare()) return 0;
    Array x = array(r.N * D);
    for (int64_t i = 0; i < r.N; ++i) std::copy_n(model->embedding + graph->z[i] * D, D, x.get() + i * D);
    Start start(r);
    const Array first = start.forward();
    const real *e = first.get();
    std::vector<std::unique_ptr<Layer>> layers;
    for (int64_t k = 0; k < model->layers; ++k) {
        layers.push_back(std::make_unique<Layer>(r, model->layer[k], k == 0));
        e = layers.back()->forward(x, e);
    }
    Array dx = read_out(r, x, energies), de = zeros(r.E * D);
    while (!layers.empty()) {
        layers.back()->reverse(dx, de);
        layers.pop_back();
    }
    start.reverse(de);
    r.measure_back(gradient);
    return 1;
}
