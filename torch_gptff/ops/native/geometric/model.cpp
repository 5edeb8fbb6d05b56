// Energies of atoms, and the gradient of their sum by the bond vectors, of a whole model: the layers of
// ../../../nn/geometric_transformer.py and a readout, forward and then in reverse, with the names of those files.
#include "../dense.hpp"
#include "dual.hpp"
#include "records.hpp"

namespace {

constexpr int L = DEGREE, M = (L + 1) * (L + 1) - 1;

struct LayerParameters {
    Norm norm;
    Matrix query, key, value, message[L], product[L], lin1, lin2;
    const real *table, *product_weight;
    int64_t rows;
};
struct Model {
    int64_t channels, hidden, known, heads, layers, readouts;  // known: what the network takes, filled up to whole vectors
    int64_t paths, terms;
    const Term *list;
    double per_angstrom, total_scale;
    const real *embedding;
    Norm norm;
    const LayerParameters *layer;
    const ReadoutParameters *readout;
};
struct Exchange {  // see ../../../models/exchange.py; of arrays with a row for every atom, those of own atoms first
    // Fill the rows of ghosts with those of their atoms; in reverse, add the rows of ghosts to those of their atoms.
    void (*call)(void *context, int reverse, int count, real *const *arrays, const int64_t *widths);
    void *context;
};
struct Graph {
    int64_t atoms, own, bonds;  // centres of bonds are own atoms, the first ones
    const int64_t *z, *neighbour, *centre;
    const real *vectors;
};

struct Run : Dense {
    const Model &m;
    const Graph &g;
    const Exchange *const exchange;
    const int64_t N, A, E, C, H, K;  // N own atoms, A of all
    Array lengths, harmonics, dlengths, dharmonics;

    Run(const Model &m, const Graph &g, const Exchange *exchange, int threads)
        : Dense{threads}, m(m), g(g), exchange(exchange), N(g.own), A(g.atoms), E(g.bonds), C(m.channels), H(m.hidden), K(m.known), lengths(array(E)),
          harmonics(array(E * M)), dlengths(zeros(E)), dharmonics(zeros(E * M)) {}

    // Features of atoms between processes: of width C, and then those that turn, where there are any.
    void exchange_features(bool reverse, real *y, const Array *turning) const {
        if (!exchange) return;
        real *arrays[L + 1] = {y};
        int64_t widths[L + 1] = {C};
        for (int l = 0; l < L && turning; ++l) arrays[l + 1] = turning[l].get(), widths[l + 1] = (2 * l + 3) * C;
        exchange->call(exchange->context, reverse, turning ? L + 1 : 1, arrays, widths);
    }
};

// One layer, and what it keeps for the reverse.
struct Layer {
    const Run &r;
    const LayerParameters &w;
    const bool turns, last;
    const int64_t N, A, C, H, K, out;
    Array y, plain, over, query, key, value, features[L], v[L], products[L], slope, gates;
    Bonds bonds;
    Sizes sizes;

    Layer(const Run &r, const LayerParameters &w, bool first, bool last)
        : r(r), w(w), turns(!first), last(last), N(r.N), A(r.A), C(r.C), H(r.H), K(r.K), out(last ? C : (L + 1) * C), y(array(A * C)),
          plain(array(N * C)), over(array(N)), query(array(N * C)), key(array(A * C)), value(array(A * C)), slope(array(N * H)) {
        bonds = {C, r.E, A, N, r.m.heads, w.rows, turns, r.m.per_angstrom, r.g.centre, r.g.neighbour};
        sizes = {C, N, r.m.paths, r.m.terms, r.m.list};
        for (int l = 0; l < L; ++l) v[l] = array(N * (2 * l + 3) * C), products[l] = array(N * (2 * l + 3) * C);
    }

    // The inputs of the attention, in the order of its kernels.
    void attention_inputs(const real **x) const {
        int n = 0;
        for (const real *each : {query.get(), key.get(), value.get(), r.lengths.get(), r.harmonics.get()}) x[n++] = each;
        for (int l = 0; l < L && turns; ++l) x[n++] = features[l].get();
        x[n] = w.table;
    }

    // x and the features change.
    void forward(real *x, Array *turning) {
        r.norm(w.norm, x, N, C, y.get(), plain.get(), over.get());
        for (int l = 0; l < L && turns; ++l) features[l] = std::move(turning[l]);
        r.exchange_features(false, y.get(), turns ? features : nullptr);
        r.linear(w.query, y.get(), N, C, C, query.get());
        r.linear(w.key, y.get(), A, C, C, key.get());
        r.linear(w.value, y.get(), A, C, C, value.get());

        Array zero = array(N * C), received[L], total = array(N * r.m.heads);
        real *results[L + 2];
        const real *inputs[L + 6];
        results[0] = zero.get(), results[L + 1] = total.get();
        for (int l = 0; l < L; ++l) received[l] = array(N * (2 * l + 3) * C), results[l + 1] = received[l].get();
        attention_inputs(inputs);
        geometric_attention_forward(&bonds, inputs, results, r.threads);

        Array invariants = array(N * 2 * L * C);
        const real *factors[L + 1];
        for (int l = 0; l < L; ++l) {
            const int64_t rows = N * (2 * l + 3);
            r.linear(w.message[l], received[l].get(), rows, C, C, v[l].get());
            for (int64_t n = 0; n < rows * C && turns; n += LANES) add_to(v[l].get() + n, load(features[l].get() + n));
            factors[l] = v[l].get();
            results[l + 1] = products[l].get();
        }
        factors[L] = w.product_weight, results[0] = invariants.get();
        tensor_product_forward(&sizes, factors, results, r.threads);

        Array known = array(N * K), hidden = array(N * H), change = array(N * out);
        for (int64_t i = 0; i < N; ++i) {
            real *row = known.get() + i * K;
            row = std::copy_n(y.get() + i * C, C, row);
            row = std::copy_n(zero.get() + i * C, C, row);
            row = std::copy_n(invariants.get() + i * 2 * L * C, 2 * L * C, row);
            for (int64_t h = 0; h < r.m.heads; ++h) *row++ = real(r.m.total_scale) * total[i * r.m.heads + h];
            std::fill(row, known.get() + (i + 1) * K, real(0));
        }
        r.linear(w.lin1, known.get(), N, K, H, hidden.get());
        r.swish(hidden.get(), slope.get(), N * H);
        r.linear(w.lin2, hidden.get(), N, H, out, change.get());
        for (int64_t i = 0; i < N; ++i)
            for (int64_t n = 0; n < C; n += LANES) add_to(x + i * C + n, load(change.get() + i * out + n));
        if (last) return;
        gates = array(N * L * C);
        for (int64_t i = 0; i < N; ++i)
            for (int64_t n = 0; n < L * C; n += LANES)
                store(gates.get() + i * L * C + n, real(2) * sigmoid(load(change.get() + i * out + C + n)));
        for (int l = 0; l < L; ++l) {
            const int64_t wide = 2 * l + 3;
            turning[l] = array(A * wide * C);
            r.linear(w.product[l], products[l].get(), N * wide, C, C, turning[l].get());
            each_component(l, [&](int64_t gate, int64_t at) {
                add_to(turning[l].get() + at, load(gates.get() + gate) * load(v[l].get() + at));
            });
        }
    }

    // visit(place of the gate, place of the component) of each chunk of channels of degree l + 1.
    template <typename Visit> void each_component(int l, Visit visit) const {
        const int64_t wide = 2 * l + 3;
        for (int64_t i = 0; i < N; ++i)
            for (int64_t m = 0; m < wide; ++m)
                for (int64_t n = 0; n < C; n += LANES) visit((i * L + l) * C + n, (i * wide + m) * C + n);
    }

    // From the gradients by what the layer gives to those by what it takes: dx and dturning change.
    void reverse(real *dx, Array *dturning) {
        Array dchange = zeros(N * out), dproducts[L], dv[L];
        for (int64_t i = 0; i < N; ++i) std::copy_n(dx + i * C, C, dchange.get() + i * out);
        for (int l = 0; l < L; ++l) {
            const int64_t count = N * (2 * l + 3) * C;
            dv[l] = zeros(A * (2 * l + 3) * C), dproducts[l] = zeros(count);
            if (last) continue;
            r.reverse<false>(w.product[l], dturning[l].get(), N * (2 * l + 3), C, C, dproducts[l].get());
            each_component(l, [&](int64_t gate, int64_t at) {
                const vec g = load(gates.get() + gate), d = load(dturning[l].get() + at);
                const int64_t i = gate / (L * C);
                store(dv[l].get() + at, g * d);
                add_to(dchange.get() + i * out + C + gate - i * L * C, g * (real(1) - real(.5) * g) * load(v[l].get() + at) * d);
            });
        }
        Array dhidden = array(N * H), dknown = array(N * K);
        r.reverse<false>(w.lin2, dchange.get(), N, H, out, dhidden.get());
        r.multiply(dhidden.get(), slope.get(), N * H);
        r.reverse<false>(w.lin1, dhidden.get(), N, K, H, dknown.get());

        Array dy = zeros(A * C), dzero = array(N * C), dinvariants = array(N * 2 * L * C), dtotal = array(N * r.m.heads);
        for (int64_t i = 0; i < N; ++i) {
            const real *row = dknown.get() + i * K;
            std::copy_n(row, C, dy.get() + i * C);
            std::copy_n(row + C, C, dzero.get() + i * C);
            std::copy_n(row + 2 * C, 2 * L * C, dinvariants.get() + i * 2 * L * C);
            for (int64_t h = 0; h < r.m.heads; ++h)
                dtotal[i * r.m.heads + h] = real(r.m.total_scale) * row[(2 + 2 * L) * C + h];
        }
        product_reverse(dinvariants.get(), dproducts, dv);

        Array dreceived[L];
        for (int l = 0; l < L; ++l) {
            dreceived[l] = array(N * (2 * l + 3) * C);
            r.reverse<false>(w.message[l], dv[l].get(), N * (2 * l + 3), C, C, dreceived[l].get());
            dturning[l] = std::move(dv[l]);  // of features that were added, and of what the attention adds below
        }
        attention_reverse(dzero.get(), dreceived, dtotal.get(), dturning, dy.get());
        if (!turns) return;  // what a first layer takes does not depend on bonds
        r.exchange_features(true, dy.get(), dturning);
        r.norm_reverse(w.norm, dy.get(), N, C, plain.get(), over.get(), dx);
    }

    void product_reverse(const real *dinvariants, const Array *dproducts, Array *dv) const {
        const real *inputs[L + 1], *dout[L + 1];
        real *d[L + 1];
        Array own[L];
        dout[0] = dinvariants, inputs[L] = w.product_weight, d[L] = nullptr;
        for (int l = 0; l < L; ++l) {
            own[l] = array(N * (2 * l + 3) * C);
            inputs[l] = v[l].get(), dout[l + 1] = dproducts[l].get(), d[l] = own[l].get();
        }
        tensor_product_backward(&sizes, inputs, dout, d, r.threads);
        for (int l = 0; l < L; ++l)
            for (int64_t n = 0; n < N * (2 * l + 3) * C; n += LANES) add_to(dv[l].get() + n, load(own[l].get() + n));
    }

    void attention_reverse(const real *dzero, const Array *dreceived, const real *dtotal, Array *dturning, real *dy) const {
        const real *inputs[L + 6], *dout[L + 2];
        real *d[L + 6];
        Array dquery = array(N * C), dkey = zeros(A * C), dvalue = zeros(A * C), dlengths = array(r.E),
              dharmonics = array(r.E * M);
        attention_inputs(inputs);
        dout[0] = dzero, dout[L + 1] = dtotal;
        for (int l = 0; l < L; ++l) dout[l + 1] = dreceived[l].get();
        int n = 0;
        for (real *each : {dquery.get(), dkey.get(), dvalue.get(), dlengths.get(), dharmonics.get()}) d[n++] = each;
        for (int l = 0; l < L && turns; ++l) d[n++] = dturning[l].get();  // added to what is there
        d[n] = nullptr;
        geometric_attention_backward(&bonds, inputs, dout, d, r.threads);
        for (int64_t e = 0; e < r.E; ++e) r.dlengths[e] += dlengths[e];
        for (int64_t e = 0; e < r.E * M; ++e) r.dharmonics[e] += dharmonics[e];
        if (!turns) return;
        r.reverse<true>(w.query, dquery.get(), N, C, C, dy);
        r.reverse<true>(w.key, dkey.get(), A, C, C, dy);
        r.reverse<true>(w.value, dvalue.get(), A, C, C, dy);
    }
};

}  // namespace

// energies of own atoms [N, readouts]; what the readouts take, [N, C]; gradient of the sum of the means of energies by
// the vectors, [E, 3]. No exchange where all atoms are own ones.
extern "C" void geometric_model(const Model *model, const Graph *graph, const Exchange *exchange, real *energies,
                                real *features, real *gradient, int threads) {
    Run r(*model, *graph, exchange, threads);
    const int64_t N = r.N, C = r.C;
    real *geometry[2] = {r.lengths.get(), r.harmonics.get()};
    bond_harmonics_forward(&r.E, &graph->vectors, geometry, threads);

    Array x = array(N * C), turning[L];
    for (int64_t i = 0; i < N; ++i) std::copy_n(model->embedding + graph->z[i] * C, C, x.get() + i * C);
    std::vector<std::unique_ptr<Layer>> layers;
    for (int64_t k = 0; k < model->layers; ++k) {
        layers.push_back(std::make_unique<Layer>(r, model->layer[k], k == 0, k == model->layers - 1));
        layers.back()->forward(x.get(), turning);
    }
    Array y = array(N * C), plain = array(N * C), over = array(N), dy = zeros(N * C), dx = zeros(N * C);
    r.norm(model->norm, x.get(), N, C, y.get(), plain.get(), over.get());
    std::copy_n(y.get(), N * C, features);
    for (int64_t k = 0; k < model->readouts; ++k)
        r.read_out(
            model->readout[k], y.get(), N, C, real(1) / model->readouts, energies + k, model->readouts, dy.get());
    r.norm_reverse(model->norm, dy.get(), N, C, plain.get(), over.get(), dx.get());
    while (!layers.empty()) {
        layers.back()->reverse(dx.get(), turning);
        layers.pop_back();
    }
    const real *dgeometry[2] = {r.dlengths.get(), r.dharmonics.get()};
    bond_harmonics_backward(&r.E, &graph->vectors, dgeometry, &gradient, threads);
}
