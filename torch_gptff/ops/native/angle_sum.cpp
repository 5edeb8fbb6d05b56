// The angle sum, its gradient and the gradient of that, fused: a block of angles goes through all steps while it is in
// cache, and nothing per angle is ever written to memory. The mathematics, with the same names, is in ../eager.py.
// Compiled with REAL = float or double and CHANNELS = d, a multiple of 32.
#include "parallel.hpp"
#include "records.hpp"
#include "simd.hpp"

namespace {

constexpr int D = CHANNELS, BLOCK = 4 * ROWS;  // angles in a block
constexpr real SCALE = real(COSINE_SCALE);

typedef AngleInputs Inputs;
typedef AngleOutputs Outputs;

// Gradients by the parameters, of one range of angles.
struct Parameters {
    alignas(64) real weight[2 * D * D] = {}, bias[2 * D] = {}, angle_weight[D] = {}, angle_bias[D] = {};
    void add_into(const Outputs &out) const {
        for (int n = 0; n < 2 * D * D; ++n) out.weight[n] += weight[n];
        for (int n = 0; n < 2 * D; ++n) out.bias[n] += bias[n];
        for (int n = 0; n < D; ++n) { out.angle_weight[n] += angle_weight[n]; out.angle_bias[n] += angle_bias[n]; }
    }
};

// The forward pass of up to BLOCK angles, up to y = [v | g] without bias. Rows beyond `size` are zero. A forward pass
// may keep y, [A, 2 D], for the derivatives.
struct Block {
    alignas(64) real z[BLOCK * D], sigma_z[BLOCK * D], h[BLOCK * D], y[BLOCK * 2 * D];
    int64_t first[BLOCK], second[BLOCK];
    real cosine[BLOCK];
    int size;

    void evaluate(
        const Inputs &x, const Angles &angles, int64_t start, int64_t end, const real *transposed, const real *kept) {
        size = int(std::min<int64_t>(BLOCK, end - start));
        for (int a = 0; a < BLOCK; ++a) {
            if (a >= size) {
                std::fill_n(h + a * D, D, real(0));
                continue;
            }
            const int64_t i = first[a] = angles.first[start + a], j = second[a] = angles.second[start + a];
            for (int n = 0; n < D; n += LANES) {
                const vec zn = load(x.p + i * D + n) + load(x.q + j * D + n), s = sigmoid(zn);
                store(z + a * D + n, zn);
                store(sigma_z + a * D + n, s);
                store(h + a * D + n, zn * s);
            }
            const real *u = x.direction + 3 * i, *w = x.direction + 3 * j;
            cosine[a] = (u[0] * w[0] + u[1] * w[1] + u[2] * w[2]) * SCALE;
        }
        if (kept)
            std::copy_n(kept + start * 2 * D, size * 2 * D, y);
        else
            product<BLOCK, false>(h, D, 1, transposed, y, 2 * D, D);
    }
};

// weight[m, n] += sum over the block's angles of dy[a, m] h[a, n].
void outer_product(const real *dy, const real *h, real *weight) {
    product<2 * D, true>(dy, 1, 2 * D, h, weight, D, BLOCK);
}

void add_scaled(real *to, real scale, const real *from) {
    for (int c = 0; c < 3; ++c) to[c] += scale * from[c];
}

}  // namespace

extern "C" void angle_sum_forward(
    const Angles *angles, const Inputs *inputs, real *const *sums, real *const *keeps, int threads) {
    const Inputs &x = *inputs;
    real *out = sums[0], *kept = keeps[0];
    const std::vector<real> transposed = transpose(x.weight, 2 * D, D);
    in_parallel(angles->count, angles->first, angles->second, threads, [&](int, int64_t start, int64_t end) {
        Block b;
        for (; start < end; start += BLOCK) {
            b.evaluate(x, *angles, start, end, transposed.data(), nullptr);
            if (kept) std::copy_n(b.y, b.size * 2 * D, kept + start * 2 * D);
            for (int a = 0; a < b.size; ++a)
                for (int n = 0; n < D; n += LANES) {
                    const vec v = load(b.y + a * 2 * D + n) + load(x.bias + n);
                    const vec g = load(b.y + a * 2 * D + D + n) + load(x.bias + D + n);
                    const vec both = v / ((real(1) + exponential(-v)) * (real(1) + exponential(-g)));
                    const vec c = b.cosine[a] * load(x.angle_weight + n) + load(x.angle_bias + n);
                    add_to(out + b.first[a] * D + n, both * load(x.k + b.second[a] * D + n) * c);
                }
        }
    });
}

// Gradients by parameters are left out where there is no place for them.
extern "C" void angle_sum_backward(
    const Angles *angles, const Inputs *inputs, const real *const *dsums, const real *const *keeps,
    const Outputs *gradients, int threads) {
    const Inputs &x = *inputs;
    const Outputs &d = *gradients;
    const real *dout = dsums[0], *kept = keeps[0];
    const bool with_parameters = d.weight;
    const std::vector<real> transposed = kept ? std::vector<real>() : transpose(x.weight, 2 * D, D);
    std::vector<Parameters> parameters(with_parameters ? threads : 0);
    in_parallel(angles->count, angles->first, angles->second, threads, [&](int range, int64_t start, int64_t end) {
        Block b;
        alignas(64) real dy[BLOCK * 2 * D], dh[BLOCK * D];
        Parameters *own = with_parameters ? &parameters[range] : nullptr;
        for (; start < end; start += BLOCK) {
            b.evaluate(x, *angles, start, end, transposed.data(), kept);
            std::fill_n(dy + b.size * 2 * D, (BLOCK - b.size) * 2 * D, real(0));
            for (int a = 0; a < b.size; ++a) {
                const int64_t i = b.first[a], j = b.second[a];
                vec dcosine = {};
                for (int n = 0; n < D; n += LANES) {
                    const vec v = load(b.y + a * 2 * D + n) + load(x.bias + n);
                    const vec g = load(b.y + a * 2 * D + D + n) + load(x.bias + D + n);
                    const vec sigma_v = sigmoid(v), sigma_g = sigmoid(g), s = v * sigma_v, core = s * sigma_g;
                    const vec angle_weight = load(x.angle_weight + n);
                    const vec c = b.cosine[a] * angle_weight + load(x.angle_bias + n);
                    const vec dm = load(dout + i * D + n), dmk = dm * load(x.k + j * D + n), dmkc = dmk * c;
                    const vec dc = dmk * core;
                    add_to(d.k + j * D + n, dm * core * c);
                    dcosine += dc * angle_weight;
                    store(dy + a * 2 * D + n, dmkc * sigma_g * (sigma_v + s * (real(1) - sigma_v)));
                    store(dy + a * 2 * D + D + n, dmkc * core * (real(1) - sigma_g));
                    if (with_parameters) {
                        add_to(own->angle_weight + n, dc * b.cosine[a]);
                        add_to(own->angle_bias + n, dc);
                    }
                }
                add_scaled(d.direction + 3 * i, sum(dcosine) * SCALE, x.direction + 3 * j);
                add_scaled(d.direction + 3 * j, sum(dcosine) * SCALE, x.direction + 3 * i);
            }
            product<BLOCK, false>(dy, 2 * D, 1, x.weight, dh, D, 2 * D);
            for (int a = 0; a < b.size; ++a)
                for (int n = 0; n < D; n += LANES) {
                    const vec sigma_z = load(b.sigma_z + a * D + n);
                    const vec slope = sigma_z + load(b.h + a * D + n) * (real(1) - sigma_z);
                    const vec dz = load(dh + a * D + n) * slope;
                    add_to(d.p + b.first[a] * D + n, dz);
                    add_to(d.q + b.second[a] * D + n, dz);
                }
            if (with_parameters) {
                for (int a = 0; a < b.size; ++a)
                    for (int n = 0; n < 2 * D; n += LANES) add_to(own->bias + n, load(dy + a * 2 * D + n));
                outer_product(dy, b.h, own->weight);
            }
        }
    });
    for (const Parameters &own : parameters) own.add_into(d);
}

// See eager.double_backward. `t` are the tangents, of which those of the parameters are zero and not read.
extern "C" void angle_sum_double_backward(
    const Angles *angles, const Inputs *inputs, const Inputs *tangents, const real *const *dsums,
    const real *const *keeps, real *const *ddsums, const Outputs *gradients, int threads) {
    const Inputs &x = *inputs, &t = *tangents;
    const Outputs &d = *gradients;
    const real *dout = dsums[0], *kept = keeps[0];
    real *ddout = ddsums[0];
    const bool with_parameters = d.weight;
    const std::vector<real> transposed = transpose(x.weight, 2 * D, D);
    std::vector<Parameters> parameters(with_parameters ? threads : 0);
    in_parallel(angles->count, angles->first, angles->second, threads, [&](int range, int64_t start, int64_t end) {
        Block b;
        alignas(64) real th[BLOCK * D], ty[BLOCK * 2 * D], dy[BLOCK * 2 * D], dty[BLOCK * 2 * D];
        real *dh = ty, *dth = ty + BLOCK * D;  // ty has been used up by then
        Parameters *own = with_parameters ? &parameters[range] : nullptr;
        for (; start < end; start += BLOCK) {
            b.evaluate(x, *angles, start, end, transposed.data(), kept);
            std::fill_n(th + b.size * D, (BLOCK - b.size) * D, real(0));
            std::fill_n(dy + b.size * 2 * D, (BLOCK - b.size) * 2 * D, real(0));
            std::fill_n(dty + b.size * 2 * D, (BLOCK - b.size) * 2 * D, real(0));
            for (int a = 0; a < b.size; ++a)
                for (int n = 0; n < D; n += LANES) {
                    const vec sigma_z = load(b.sigma_z + a * D + n);
                    const vec slope = sigma_z + load(b.h + a * D + n) * (real(1) - sigma_z);
                    const vec tz = load(t.p + b.first[a] * D + n) + load(t.q + b.second[a] * D + n);
                    store(th + a * D + n, slope * tz);
                }
            product<BLOCK, false>(th, D, 1, transposed.data(), ty, 2 * D, D);
            for (int a = 0; a < b.size; ++a) {
                const int64_t i = b.first[a], j = b.second[a];
                const real *u_i = x.direction + 3 * i, *u_j = x.direction + 3 * j;
                const real *tu_i = t.direction + 3 * i, *tu_j = t.direction + 3 * j;
                real tcosine = 0;
                for (int c = 0; c < 3; ++c) tcosine += (tu_i[c] * u_j[c] + u_i[c] * tu_j[c]) * SCALE;
                vec dcosine = {}, dtcosine = {};
                for (int n = 0; n < D; n += LANES) {
                    const vec v = load(b.y + a * 2 * D + n) + load(x.bias + n);
                    const vec g = load(b.y + a * 2 * D + D + n) + load(x.bias + D + n);
                    const vec tv = load(ty + a * 2 * D + n), tg = load(ty + a * 2 * D + D + n);
                    const vec sigma_v = sigmoid(v), sigma_g = sigmoid(g), s = v * sigma_v;
                    const vec slope_v = sigma_v + s * (real(1) - sigma_v), slope_g = sigma_g * (real(1) - sigma_g);
                    const vec ts = slope_v * tv, tsigma = slope_g * tg;
                    const vec angle_weight = load(x.angle_weight + n);
                    const vec c = b.cosine[a] * angle_weight + load(x.angle_bias + n), tc = tcosine * angle_weight;
                    const vec k = load(x.k + j * D + n), tk = load(t.k + j * D + n);
                    const vec kc = k * c, tkc = tk * c + k * tc;
                    const vec core = s * sigma_g, tcore = ts * sigma_g + s * tsigma;
                    add_to(ddout + i * D + n, tcore * kc + core * tkc);

                    const vec dm = load(dout + i * D + n);
                    add_to(d.k + j * D + n, dm * (tcore * c + core * tc));
                    const vec dc = dm * (tcore * k + core * tk), dtc = dm * core * k;
                    dcosine += dc * angle_weight;
                    dtcosine += dtc * angle_weight;
                    if (with_parameters) {
                        add_to(own->angle_weight + n, dc * b.cosine[a] + dtc * tcosine);
                        add_to(own->angle_bias + n, dc);
                    }
                    const vec dcore = dm * tkc, dtcore = dm * kc;
                    const vec ds = dcore * sigma_g + dtcore * tsigma, dts = dtcore * sigma_g;
                    const vec dsigma = dcore * s + dtcore * ts, dtsigma = dtcore * s;
                    const vec curve_v = sigma_v * (real(1) - sigma_v) * (real(2) + v * (real(1) - real(2) * sigma_v));
                    const vec curve_g = slope_g * (real(1) - real(2) * sigma_g);
                    store(dy + a * 2 * D + n, ds * slope_v + dts * curve_v * tv);
                    store(dy + a * 2 * D + D + n, dsigma * slope_g + dtsigma * curve_g * tg);
                    store(dty + a * 2 * D + n, dts * slope_v);
                    store(dty + a * 2 * D + D + n, dtsigma * slope_g);
                }
                const real dcos = sum(dcosine) * SCALE, dtcos = sum(dtcosine) * SCALE;
                add_scaled(d.direction + 3 * i, dcos, u_j);
                add_scaled(d.direction + 3 * i, dtcos, tu_j);
                add_scaled(d.direction + 3 * j, dcos, u_i);
                add_scaled(d.direction + 3 * j, dtcos, tu_i);
            }
            product<BLOCK, false>(dy, 2 * D, 1, x.weight, dh, D, 2 * D);
            product<BLOCK, false>(dty, 2 * D, 1, x.weight, dth, D, 2 * D);
            for (int a = 0; a < b.size; ++a)
                for (int n = 0; n < D; n += LANES) {
                    const vec z = load(b.z + a * D + n), sigma_z = load(b.sigma_z + a * D + n);
                    const vec slope = sigma_z + load(b.h + a * D + n) * (real(1) - sigma_z);
                    const vec curve = sigma_z * (real(1) - sigma_z) * (real(2) + z * (real(1) - real(2) * sigma_z));
                    const vec tz = load(t.p + b.first[a] * D + n) + load(t.q + b.second[a] * D + n);
                    const vec dz = load(dh + a * D + n) * slope + load(dth + a * D + n) * curve * tz;
                    add_to(d.p + b.first[a] * D + n, dz);
                    add_to(d.q + b.second[a] * D + n, dz);
                }
            if (with_parameters) {
                for (int a = 0; a < b.size; ++a)
                    for (int n = 0; n < 2 * D; n += LANES) add_to(own->bias + n, load(dy + a * 2 * D + n));
                outer_product(dy, b.h, own->weight);
                outer_product(dty, th, own->weight);
            }
        }
    });
    for (const Parameters &own : parameters) own.add_into(d);
}
