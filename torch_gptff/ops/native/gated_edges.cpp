// The atom and the bond update, fused, with their gradients and the gradients of those. A block of bonds goes through
// all steps while it is in cache. The mathematics, with the same names, is in ../gated_edges.py: both updates are
//     z = a_i + b_j + W_edge e,  h = first(z),  y = W h + bias,  message = second(y) * weight,  weight = W_radial radial
// of which one activation is swish and the other the gate of two halves.
#include <memory>

#include "parallel.hpp"
#include "records.hpp"
#include "simd.hpp"

namespace {

constexpr int D = CHANNELS, BLOCK = 4 * ROWS;  // bonds in a block

typedef EdgeInputs Inputs;
typedef EdgeOutputs Outputs;

// An activation of IN vectors x, with its slope by each of them. `curve(…)[k]` is the derivative by x[k] of the
// activation's tangent, the sum of slope[k] tx[k].
struct Swish {
    static constexpr int IN = 1;
    vec x, sigma, out, slope[IN];
    explicit Swish(const vec *in)
        : x(in[0]), sigma(sigmoid(x)), out(x * sigma), slope{sigma + out * (real(1) - sigma)} {}
    void curve(const vec *tx, vec *result) const {
        result[0] = sigma * (real(1) - sigma) * (real(2) + x * (real(1) - real(2) * sigma)) * tx[0];
    }
};
struct Gate {  // swish(v) σ(g)
    static constexpr int IN = 2;
    vec v, sigma_v, sigma_g, s, out, slope_v, slope[IN];
    explicit Gate(const vec *in)
        : v(in[0]), sigma_v(sigmoid(v)), sigma_g(sigmoid(in[1])), s(v * sigma_v), out(s * sigma_g),
          slope_v(sigma_v + s * (real(1) - sigma_v)), slope{slope_v * sigma_g, out * (real(1) - sigma_g)} {}
    void curve(const vec *tx, vec *result) const {
        const vec curve_v = sigma_v * (real(1) - sigma_v) * (real(2) + v * (real(1) - real(2) * sigma_v));
        const vec mixed = slope[0] * (real(1) - sigma_g);
        result[0] = curve_v * sigma_g * tx[0] + mixed * tx[1];
        result[1] = mixed * tx[0] + slope[1] * (real(1) - real(2) * sigma_g) * tx[1];
    }
};

template <class Activation> struct Columns {  // of a row of IN parts, `width` wide each
    vec x[Activation::IN];
    Columns(const real *row, int width) {
        for (int k = 0; k < Activation::IN; ++k) x[k] = load(row + k * width);
    }
};

// Rows of R radial features, with zeros after them up to the width that product() takes.
struct Radial {
    int R, padded;
    explicit Radial(const Edges &edges)
        : R(int(edges.radial)), padded((R + 2 * LANES - 1) / (2 * LANES) * (2 * LANES)) {}
    void pad(const real *rows, int count, real *to) const {
        for (int r = 0; r < count; ++r) std::copy_n(rows + r * R, R, to + r * padded);
    }
    void unpad(const real *rows, int count, real *to) const {
        for (int r = 0; r < count; ++r) std::copy_n(rows + r * padded, R, to + r * R);
    }
};

// SUMS: whether messages are summed over the bonds of a centre, or added to the bond's own features.
template <class First, class Second, bool SUMS> struct Update {
    static constexpr int Z = 2 * D, H = Z / First::IN, Y = D * Second::IN, KEPT = Z + Y;

    struct Parameters {  // gradients of one range of bonds
        const Radial &rows;
        std::vector<real> w_radial;  // padded
        alignas(64) real w_edge[Z * D] = {}, w[Y * H] = {}, bias[Y] = {};
        explicit Parameters(const Radial &rows) : rows(rows), w_radial(D * rows.padded) {}
        void add_into(const Outputs &out) const {
            for (int m = 0; m < D; ++m)
                for (int n = 0; n < rows.R; ++n) out.w_radial[m * rows.R + n] += w_radial[m * rows.padded + n];
            for (int n = 0; n < Z * D; ++n) out.w_edge[n] += w_edge[n];
            for (int n = 0; n < Y * H; ++n) out.w[n] += w[n];
            for (int n = 0; n < Y; ++n) out.bias[n] += bias[n];
        }
    };
    // Matrices as the products take them. Those before the activations are not needed where their results were kept.
    struct Maps {
        const Radial rows;
        std::vector<real> w_radial, w_radial_back, w_edge, w;
        Maps(const Inputs &x, const Edges &edges, bool with_z = true)
            : rows(edges), w_radial(transpose(x.w_radial, D, rows.R)), w_radial_back(D * rows.padded) {
            rows.pad(x.w_radial, D, w_radial_back.data());
            if (!with_z) return;
            w_edge = transpose(x.w_edge, Z, D);
            w = transpose(x.w, Y, H);
        }
    };

    // The forward pass of up to BLOCK bonds. Rows beyond `size` are of no meaning, but finite.
    struct Block {
        alignas(64) real e[BLOCK * D] = {}, z[BLOCK * Z] = {}, h[BLOCK * H] = {}, y[BLOCK * Y] = {}, weight[BLOCK * D];
        std::vector<real> radial;  // padded
        const Edges &edges;
        const Maps &maps;
        int64_t start;
        int size;
        Block(const Edges &edges, const Maps &maps) : radial(BLOCK * maps.rows.padded), edges(edges), maps(maps) {}

        int64_t target(int r) const { return SUMS ? edges.centre[start + r] : start + r; }

        // e, a, b and radial are of the tangents too: W_edge e + a_i + b_j, and W_radial radial.
        void first_map(const real *a, const real *b, const real *e_rows, real *to) const {
            product<BLOCK, false>(e_rows, D, 1, maps.w_edge.data(), to, Z, D);
            for (int r = 0; r < size; ++r) {
                const real *a_i = a + edges.centre[start + r] * Z, *b_j = b + edges.neighbour[start + r] * Z;
                for (int n = 0; n < Z; n += LANES) add_to(to + r * Z + n, load(a_i + n) + load(b_j + n));
            }
        }
        void weigh(const real *all_rows, std::vector<real> &rows, real *to) const {
            maps.rows.pad(all_rows + start * maps.rows.R, size, rows.data());
            product<BLOCK, false>(rows.data(), maps.rows.padded, 1, maps.w_radial.data(), to, D, maps.rows.R);
        }
        // With what was kept, h is of use to the gradients by parameters only.
        void evaluate(const Inputs &x, int64_t from, int64_t end, const real *kept, bool with_parameters) {
            start = from;
            size = int(std::min<int64_t>(BLOCK, end - from));
            std::copy_n(x.e + start * D, size * D, e);
            weigh(x.radial, radial, weight);
            if (kept)
                for (int r = 0; r < size; ++r) std::copy_n(kept + (start + r) * KEPT, Z, z + r * Z);
            else
                first_map(x.a, x.b, e, z);
            if (!kept || with_parameters)
                for (int r = 0; r < size; ++r)
                    for (int n = 0; n < H; n += LANES)
                        store(h + r * H + n, First(Columns<First>(z + r * Z + n, H).x).out);
            if (kept) {
                for (int r = 0; r < size; ++r) std::copy_n(kept + (start + r) * KEPT + Z, Y, y + r * Y);
                return;
            }
            product<BLOCK, false>(h, H, 1, maps.w.data(), y, Y, H);
            for (int r = 0; r < size; ++r)
                for (int n = 0; n < Y; n += LANES) add_to(y + r * Y + n, load(x.bias + n));
        }
        void keep(real *kept) const {
            for (int r = 0; r < size; ++r) {
                std::copy_n(z + r * Z, Z, kept + (start + r) * KEPT);
                std::copy_n(y + r * Y, Y, kept + (start + r) * KEPT + Z);
            }
        }
        void scatter(const real *dz, real *da, real *db) const {
            for (int r = 0; r < size; ++r)
                for (int n = 0; n < Z; n += LANES) {
                    const vec value = load(dz + r * Z + n);
                    add_to(da + edges.centre[start + r] * Z + n, value);
                    add_to(db + edges.neighbour[start + r] * Z + n, value);
                }
        }
        // With the gradient by e of the sum that e itself is a part of, if it is.
        void multiply_back(const real *dz, const real *w_edge, const real *dsum, real *de) const {
            alignas(64) real block[BLOCK * D];
            product<BLOCK, false>(dz, Z, 1, w_edge, block, D, Z);
            if (dsum)
                for (int n = 0; n < size * D; n += LANES) add_to(block + n, load(dsum + start * D + n));
            std::copy_n(block, size * D, de + start * D);
        }
        void weigh_back(const real *dweight, std::vector<real> &block, real *dradial) const {
            product<BLOCK, false>(dweight, D, 1, maps.w_radial_back.data(), block.data(), maps.rows.padded, D);
            maps.rows.unpad(block.data(), size, dradial + start * maps.rows.R);
        }
        void add_bias(const real *dy, real *bias) const {
            for (int r = 0; r < size; ++r)
                for (int n = 0; n < Y; n += LANES) add_to(bias + n, load(dy + r * Y + n));
        }
    };

    static void forward(const Inputs &x, const Edges &edges, real *out, real *kept, int threads) {
        const Maps maps(x, edges);
        in_parallel(edges.count, edges.centre, edges.centre, threads, [&](int, int64_t start, int64_t end) {
            auto block = std::make_unique<Block>(edges, maps);
            Block &b = *block;
            for (; start < end; start += BLOCK) {
                b.evaluate(x, start, end, nullptr, false);
                if (kept) b.keep(kept);
                for (int r = 0; r < b.size; ++r)
                    for (int n = 0; n < D; n += LANES) {
                        const Second second(Columns<Second>(b.y + r * Y + n, D).x);
                        const vec message = second.out * load(b.weight + r * D + n);
                        if (SUMS)
                            add_to(out + b.target(r) * D + n, message);
                        else
                            store(out + b.target(r) * D + n, load(b.e + r * D + n) + message);
                    }
            }
        });
    }

    static void backward(
        const real *dout, const Inputs &x, const Edges &edges, const real *kept, const Outputs &d, bool with_parameters,
        int threads) {
        struct Work : Block {
            alignas(64) real dweight[BLOCK * D] = {}, dy[BLOCK * Y] = {}, dh[BLOCK * H], dz[BLOCK * Z] = {};
            std::vector<real> dradial;
            Work(const Edges &edges, const Maps &maps) : Block(edges, maps), dradial(BLOCK * maps.rows.padded) {}
        };
        const Maps maps(x, edges, !kept);
        SharedRows db(d.b, edges.neighbours * Z, threads);
        std::vector<Parameters> parameters(with_parameters ? threads : 0, Parameters(maps.rows));
        in_parallel(edges.count, edges.centre, edges.centre, threads, [&](int range, int64_t start, int64_t end) {
            auto work = std::make_unique<Work>(edges, maps);
            Work &b = *work;
            real *own_db = db.of(range);
            for (; start < end; start += BLOCK) {
                b.evaluate(x, start, end, kept, with_parameters);
                std::fill_n(b.dweight + b.size * D, (BLOCK - b.size) * D, real(0));
                std::fill_n(b.dy + b.size * Y, (BLOCK - b.size) * Y, real(0));
                std::fill_n(b.dz + b.size * Z, (BLOCK - b.size) * Z, real(0));
                for (int r = 0; r < b.size; ++r)
                    for (int n = 0; n < D; n += LANES) {
                        const Second second(Columns<Second>(b.y + r * Y + n, D).x);
                        const vec dm = load(dout + b.target(r) * D + n), dw = dm * load(b.weight + r * D + n);
                        store(b.dweight + r * D + n, dm * second.out);
                        for (int k = 0; k < Second::IN; ++k) store(b.dy + r * Y + k * D + n, dw * second.slope[k]);
                    }
                product<BLOCK, false>(b.dy, Y, 1, x.w, b.dh, H, Y);
                for (int r = 0; r < b.size; ++r)
                    for (int n = 0; n < H; n += LANES) {
                        const First first(Columns<First>(b.z + r * Z + n, H).x);
                        const vec dh = load(b.dh + r * H + n);
                        for (int k = 0; k < First::IN; ++k) store(b.dz + r * Z + k * H + n, dh * first.slope[k]);
                    }
                b.scatter(b.dz, d.a, own_db);
                b.multiply_back(b.dz, x.w_edge, SUMS ? nullptr : dout, d.e);
                b.weigh_back(b.dweight, b.dradial, d.radial);
                if (with_parameters) {
                    Parameters &own = parameters[range];
                    b.add_bias(b.dy, own.bias);
                    product<D, true>(
                        b.dweight, 1, D, b.radial.data(), own.w_radial.data(), maps.rows.padded, BLOCK);
                    product<Y, true>(b.dy, 1, Y, b.h, own.w, H, BLOCK);
                    product<Z, true>(b.dz, 1, Z, b.e, own.w_edge, D, BLOCK);
                }
            }
        });
        db.add_up();
        for (const Parameters &own : parameters) own.add_into(d);
    }

    // The gradients of sum t . backward(dout, x) by dout and by x, for tangents t of all but the parameters.
    static void double_backward(
        const Inputs &tangents, const real *dout, const Inputs &x, const Edges &edges, const real *kept, real *ddout,
        const Outputs &d, bool with_parameters, int threads) {
        struct Work : Block {
            alignas(64) real tweight[BLOCK * D], dweight[BLOCK * D] = {}, dtweight[BLOCK * D] = {};
            alignas(64) real te[BLOCK * D] = {}, tz[BLOCK * Z] = {}, th[BLOCK * H] = {}, ty[BLOCK * Y];
            alignas(64) real dy[BLOCK * Y] = {}, dty[BLOCK * Y] = {}, dh[BLOCK * H], dth[BLOCK * H];
            alignas(64) real dz[BLOCK * Z] = {}, dtz[BLOCK * Z] = {};
            std::vector<real> tradial, dradial;
            Work(const Edges &edges, const Maps &maps)
                : Block(edges, maps), tradial(BLOCK * maps.rows.padded), dradial(BLOCK * maps.rows.padded) {}
        };
        const Maps maps(x, edges);
        SharedRows db(d.b, edges.neighbours * Z, threads);
        std::vector<Parameters> parameters(with_parameters ? threads : 0, Parameters(maps.rows));
        in_parallel(edges.count, edges.centre, edges.centre, threads, [&](int range, int64_t start, int64_t end) {
            auto work = std::make_unique<Work>(edges, maps);
            Work &b = *work;
            real *own_db = db.of(range);
            for (; start < end; start += BLOCK) {
                b.evaluate(x, start, end, kept, with_parameters);
                for (real *rows : {b.dweight, b.dtweight})
                    std::fill_n(rows + b.size * D, (BLOCK - b.size) * D, real(0));
                for (real *rows : {b.dy, b.dty}) std::fill_n(rows + b.size * Y, (BLOCK - b.size) * Y, real(0));
                for (real *rows : {b.dz, b.dtz}) std::fill_n(rows + b.size * Z, (BLOCK - b.size) * Z, real(0));
                std::copy_n(tangents.e + start * D, b.size * D, b.te);
                b.first_map(tangents.a, tangents.b, b.te, b.tz);
                b.weigh(tangents.radial, b.tradial, b.tweight);
                for (int r = 0; r < b.size; ++r)
                    for (int n = 0; n < H; n += LANES) {
                        const First first(Columns<First>(b.z + r * Z + n, H).x);
                        vec th = {};
                        for (int k = 0; k < First::IN; ++k) th += first.slope[k] * load(b.tz + r * Z + k * H + n);
                        store(b.th + r * H + n, th);
                    }
                product<BLOCK, false>(b.th, H, 1, maps.w.data(), b.ty, Y, H);
                for (int r = 0; r < b.size; ++r)
                    for (int n = 0; n < D; n += LANES) {
                        const Second second(Columns<Second>(b.y + r * Y + n, D).x);
                        const Columns<Second> ty(b.ty + r * Y + n, D);
                        vec tout = {}, curve[Second::IN];
                        for (int k = 0; k < Second::IN; ++k) tout += second.slope[k] * ty.x[k];
                        second.curve(ty.x, curve);
                        const int at = r * D + n;
                        const vec weight = load(b.weight + at), tweight = load(b.tweight + at);
                        const vec dm = load(dout + b.target(r) * D + n);
                        const vec tmessage = tout * weight + second.out * tweight;
                        add_to(ddout + b.target(r) * D + n, SUMS ? tmessage : load(b.te + at) + tmessage);
                        store(b.dweight + at, dm * tout);
                        store(b.dtweight + at, dm * second.out);
                        for (int k = 0; k < Second::IN; ++k) {
                            const int to = r * Y + k * D + n;
                            store(b.dy + to, dm * (tweight * second.slope[k] + weight * curve[k]));
                            store(b.dty + to, dm * weight * second.slope[k]);
                        }
                    }
                product<BLOCK, false>(b.dy, Y, 1, x.w, b.dh, H, Y);
                product<BLOCK, false>(b.dty, Y, 1, x.w, b.dth, H, Y);
                for (int r = 0; r < b.size; ++r)
                    for (int n = 0; n < H; n += LANES) {
                        const First first(Columns<First>(b.z + r * Z + n, H).x);
                        const Columns<First> tz(b.tz + r * Z + n, H);
                        const vec dh = load(b.dh + r * H + n), dth = load(b.dth + r * H + n);
                        vec curve[First::IN];
                        first.curve(tz.x, curve);
                        for (int k = 0; k < First::IN; ++k) {
                            const int to = r * Z + k * H + n;
                            store(b.dz + to, dh * first.slope[k] + dth * curve[k]);
                            store(b.dtz + to, dth * first.slope[k]);
                        }
                    }
                b.scatter(b.dz, d.a, own_db);
                b.multiply_back(b.dz, x.w_edge, nullptr, d.e);
                b.weigh_back(b.dweight, b.dradial, d.radial);
                if (with_parameters) {
                    Parameters &own = parameters[range];
                    b.add_bias(b.dy, own.bias);
                    product<D, true>(
                        b.dweight, 1, D, b.radial.data(), own.w_radial.data(), maps.rows.padded, BLOCK);
                    product<D, true>(
                        b.dtweight, 1, D, b.tradial.data(), own.w_radial.data(), maps.rows.padded, BLOCK);
                    product<Y, true>(b.dy, 1, Y, b.h, own.w, H, BLOCK);
                    product<Y, true>(b.dty, 1, Y, b.th, own.w, H, BLOCK);
                    product<Z, true>(b.dz, 1, Z, b.e, own.w_edge, D, BLOCK);
                    product<Z, true>(b.dtz, 1, Z, b.te, own.w_edge, D, BLOCK);
                }
            }
        });
        db.add_up();
        for (const Parameters &own : parameters) own.add_into(d);
    }
};

typedef Update<Swish, Gate, true> AtomUpdate;
typedef Update<Gate, Swish, false> BondUpdate;

}  // namespace

// Gradients by parameters are left out where there is no place for them.
#define EXPORT(NAME, UPDATE)                                                                                           \
    extern "C" void NAME##_forward(                                                                                    \
        const Edges *edges, const Inputs *x, real *const *out, real *const *kept, int threads) {                       \
        UPDATE::forward(*x, *edges, out[0], kept[0], threads);                                                         \
    }                                                                                                                  \
    extern "C" void NAME##_backward(                                                                                   \
        const Edges *edges, const Inputs *x, const real *const *dout, const real *const *kept, const Outputs *d,       \
        int threads) {                                                                                                 \
        UPDATE::backward(dout[0], *x, *edges, kept[0], *d, d->w, threads);                                             \
    }                                                                                                                  \
    extern "C" void NAME##_double_backward(                                                                            \
        const Edges *edges, const Inputs *x, const Inputs *t, const real *const *dout, const real *const *kept,        \
        real *const *ddout, const Outputs *d, int threads) {                                                           \
        UPDATE::double_backward(*t, dout[0], *x, *edges, kept[0], ddout[0], *d, d->w, threads);                        \
    }

EXPORT(atom_update, AtomUpdate)
EXPORT(bond_update, BondUpdate)
