// The atom and the bond update, fused, with their gradients by everything but the parameters. A block of bonds goes
// through all steps while it is in cache. The mathematics, with the same names, is in ../gated_edges.py.
#include "parallel.hpp"
#include "simd.hpp"

namespace {

constexpr int D = CHANNELS, BLOCK = 4 * ROWS;  // bonds in a block

struct Edges {
    int64_t count, neighbours;
    const int64_t *centre, *neighbour;
};
struct Inputs {  // row-major; see gated_edges.py
    const real *a, *b, *e, *weight;
};
struct Outputs {
    real *a, *b, *e, *weight;
};

// e W^T + a_i + b_j of up to BLOCK bonds, [BLOCK, 2 D]. Rows beyond `size` are of no meaning, but finite.
struct Block {
    alignas(64) real e[BLOCK * D] = {}, z[BLOCK * 2 * D];
    int size;

    void evaluate(const Inputs &x, const Edges &edges, int64_t start, int64_t end, const real *transposed) {
        size = int(std::min<int64_t>(BLOCK, end - start));
        std::copy_n(x.e + start * D, size * D, e);
        product<BLOCK, 2 * D, D, false>(e, D, 1, transposed, z);
        for (int r = 0; r < size; ++r) {
            const real *a = x.a + edges.centre[start + r] * 2 * D, *b = x.b + edges.neighbour[start + r] * 2 * D;
            for (int n = 0; n < 2 * D; n += LANES) add_to(z + r * 2 * D + n, load(a + n) + load(b + n));
        }
    }
};

struct Gate {  // swish(v) σ(g) and what its derivatives need
    vec sigma_v, sigma_g, s, both;
    Gate(vec v, vec g) : sigma_v(sigmoid(v)), sigma_g(sigmoid(g)), s(v * sigma_v), both(s * sigma_g) {}
    vec slope_v() const { return sigma_g * (sigma_v + s * (real(1) - sigma_v)); }
    vec slope_g() const { return both * (real(1) - sigma_g); }
};

// Gradients by b, which bonds of several threads share: the first range writes to the result, every other one to rows
// of its own, added in order at the end.
struct SharedRows {
    real *result;
    int64_t size;
    std::vector<std::vector<real>> others;
    SharedRows(real *result, int64_t size, int threads) : result(result), size(size), others(threads) {}
    real *of(int range) {
        if (range == 0) return result;
        others[range].assign(size, real(0));
        return others[range].data();
    }
    void add_up() {
        for (const auto &other : others)
            for (size_t n = 0; n < other.size(); ++n) result[n] += other[n];
    }
};

void scatter(const real *dz, const Edges &edges, int64_t start, int size, real *da, real *db) {
    for (int r = 0; r < size; ++r)
        for (int n = 0; n < 2 * D; n += LANES) {
            const vec value = load(dz + r * 2 * D + n);
            add_to(da + edges.centre[start + r] * 2 * D + n, value);
            add_to(db + edges.neighbour[start + r] * 2 * D + n, value);
        }
}

void multiply_back(const real *dz, const real *w_edge, int64_t start, int size, real *de) {
    alignas(64) real block[BLOCK * D];
    product<BLOCK, D, 2 * D, false>(dz, 2 * D, 1, w_edge, block);
    std::copy_n(block, size * D, de + start * D);
}

}  // namespace

extern "C" void atom_update_forward(
    const Inputs *inputs, const real *w_edge, const real *w_gate, const real *b_gate, const Edges *edges, real *out,
    int threads) {
    const Inputs &x = *inputs;
    const std::vector<real> edge_t = transpose(w_edge, 2 * D, D), gate_t = transpose(w_gate, 2 * D, 2 * D);
    in_parallel(edges->count, edges->centre, edges->centre, threads, [&](int, int64_t start, int64_t end) {
        Block block;
        alignas(64) real y[BLOCK * 2 * D];
        for (; start < end; start += BLOCK) {
            block.evaluate(x, *edges, start, end, edge_t.data());
            for (int n = 0; n < block.size * 2 * D; n += LANES) {
                const vec z = load(block.z + n);
                store(block.z + n, z * sigmoid(z));
            }
            product<BLOCK, 2 * D, 2 * D, false>(block.z, 2 * D, 1, gate_t.data(), y);
            for (int r = 0; r < block.size; ++r)
                for (int n = 0; n < D; n += LANES) {
                    const vec v = load(y + r * 2 * D + n) + load(b_gate + n);
                    const vec g = load(y + r * 2 * D + D + n) + load(b_gate + D + n);
                    const vec both = v / ((real(1) + exponential(-v)) * (real(1) + exponential(-g)));
                    add_to(out + edges->centre[start + r] * D + n, both * load(x.weight + (start + r) * D + n));
                }
        }
    });
}

extern "C" void atom_update_backward(
    const real *dout, const Inputs *inputs, const real *w_edge, const real *w_gate, const real *b_gate,
    const Edges *edges, const Outputs *gradients, int threads) {
    const Inputs &x = *inputs;
    const Outputs &d = *gradients;
    const std::vector<real> edge_t = transpose(w_edge, 2 * D, D), gate_t = transpose(w_gate, 2 * D, 2 * D);
    SharedRows db(d.b, edges->neighbours * 2 * D, threads);
    in_parallel(edges->count, edges->centre, edges->centre, threads, [&](int range, int64_t start, int64_t end) {
        Block block;
        alignas(64) real sigma[BLOCK * 2 * D], y[BLOCK * 2 * D] = {}, dz[BLOCK * 2 * D];
        real *own_db = db.of(range);
        for (; start < end; start += BLOCK) {
            block.evaluate(x, *edges, start, end, edge_t.data());
            real *h = block.z;
            for (int n = 0; n < block.size * 2 * D; n += LANES) {
                const vec z = load(block.z + n), s = sigmoid(z);
                store(sigma + n, s);
                store(h + n, z * s);
            }
            product<BLOCK, 2 * D, 2 * D, false>(h, 2 * D, 1, gate_t.data(), y);
            for (int r = 0; r < block.size; ++r)
                for (int n = 0; n < D; n += LANES) {
                    real *v = y + r * 2 * D + n, *g = v + D;
                    const int64_t at = (start + r) * D + n;
                    const Gate gate(load(v) + load(b_gate + n), load(g) + load(b_gate + D + n));
                    const vec dm = load(dout + edges->centre[start + r] * D + n), dw = dm * load(x.weight + at);
                    store(d.weight + at, dm * gate.both);
                    store(v, dw * gate.slope_v());
                    store(g, dw * gate.slope_g());
                }
            product<BLOCK, 2 * D, 2 * D, false>(y, 2 * D, 1, w_gate, dz);
            for (int n = 0; n < block.size * 2 * D; n += LANES) {
                const vec s = load(sigma + n);
                store(dz + n, load(dz + n) * (s + load(h + n) * (real(1) - s)));
            }
            scatter(dz, *edges, start, block.size, d.a, own_db);
            multiply_back(dz, w_edge, start, block.size, d.e);
        }
    });
    db.add_up();
}

extern "C" void bond_update_forward(
    const Inputs *inputs, const real *w_edge, const real *w_out, const real *b_out, const Edges *edges, real *out,
    int threads) {
    const Inputs &x = *inputs;
    const std::vector<real> edge_t = transpose(w_edge, 2 * D, D), out_t = transpose(w_out, D, D);
    in_parallel(edges->count, edges->centre, edges->centre, threads, [&](int, int64_t start, int64_t end) {
        Block block;
        alignas(64) real t[BLOCK * D] = {}, o[BLOCK * D];
        for (; start < end; start += BLOCK) {
            block.evaluate(x, *edges, start, end, edge_t.data());
            for (int r = 0; r < block.size; ++r)
                for (int n = 0; n < D; n += LANES) {
                    const vec v = load(block.z + r * 2 * D + n), g = load(block.z + r * 2 * D + D + n);
                    store(t + r * D + n, v / ((real(1) + exponential(-v)) * (real(1) + exponential(-g))));
                }
            product<BLOCK, D, D, false>(t, D, 1, out_t.data(), o);
            for (int r = 0; r < block.size; ++r)
                for (int n = 0; n < D; n += LANES) {
                    const vec on = load(o + r * D + n) + load(b_out + n);
                    const int64_t at = (start + r) * D + n;
                    store(out + at, on * sigmoid(on) * load(x.weight + at));
                }
        }
    });
}

extern "C" void bond_update_backward(
    const real *dout, const Inputs *inputs, const real *w_edge, const real *w_out, const real *b_out,
    const Edges *edges, const Outputs *gradients, int threads) {
    const Inputs &x = *inputs;
    const Outputs &d = *gradients;
    const std::vector<real> edge_t = transpose(w_edge, 2 * D, D), out_t = transpose(w_out, D, D);
    SharedRows db(d.b, edges->neighbours * 2 * D, threads);
    in_parallel(edges->count, edges->centre, edges->centre, threads, [&](int range, int64_t start, int64_t end) {
        Block block;
        alignas(64) real t[BLOCK * D] = {}, o[BLOCK * D], dt[BLOCK * D], dz[BLOCK * 2 * D] = {};
        real *own_db = db.of(range);
        for (; start < end; start += BLOCK) {
            block.evaluate(x, *edges, start, end, edge_t.data());
            for (int r = 0; r < block.size; ++r)
                for (int n = 0; n < D; n += LANES) {
                    const vec v = load(block.z + r * 2 * D + n), g = load(block.z + r * 2 * D + D + n);
                    store(t + r * D + n, v / ((real(1) + exponential(-v)) * (real(1) + exponential(-g))));
                }
            product<BLOCK, D, D, false>(t, D, 1, out_t.data(), o);
            for (int r = 0; r < block.size; ++r)
                for (int n = 0; n < D; n += LANES) {
                    const vec on = load(o + r * D + n) + load(b_out + n), sigma = sigmoid(on), s = on * sigma;
                    const int64_t at = (start + r) * D + n;
                    const vec dm = load(dout + at);
                    store(d.weight + at, dm * s);
                    store(o + r * D + n, dm * load(x.weight + at) * (sigma + s * (real(1) - sigma)));
                }
            product<BLOCK, D, D, false>(o, D, 1, w_out, dt);
            for (int r = 0; r < block.size; ++r)
                for (int n = 0; n < D; n += LANES) {
                    const int at = r * 2 * D + n;
                    const Gate gate(load(block.z + at), load(block.z + at + D));
                    const vec dtn = load(dt + r * D + n);
                    store(dz + at, dtn * gate.slope_v());
                    store(dz + at + D, dtn * gate.slope_g());
                }
            scatter(dz, *edges, start, block.size, d.a, own_db);
            multiply_back(dz, w_edge, start, block.size, d.e);
        }
    });
    db.add_up();
}
