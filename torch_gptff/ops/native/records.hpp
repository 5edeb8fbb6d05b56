// What the kernels of bonds and angles take, and their entry points. All arrays are row-major, D = CHANNELS wide.
#pragma once
#include "simd.hpp"

struct Angles {
    int64_t count;
    const int64_t *first, *second;
};
template <typename T> struct AngleValues {  // see ../eager.py: Inputs
    T *p, *q, *k, *direction, *weight, *bias, *angle_weight, *angle_bias;
};
typedef AngleValues<const real> AngleInputs;
typedef AngleValues<real> AngleOutputs;

struct Edges {
    int64_t count, neighbours, radial;  // radial: features of a bond
    const int64_t *centre, *neighbour;
};
template <typename T> struct EdgeValues {  // see ../gated_edges.py
    T *a, *b, *e, *radial, *w_radial, *w_edge, *w, *bias;
};
typedef EdgeValues<const real> EdgeInputs;
typedef EdgeValues<real> EdgeOutputs;

struct AttentionEdges {
    int64_t count, neighbours, centres, heads;
    const int64_t *centre, *neighbour;
};
template <typename T> struct AttentionValues {  // see ../local_attention.py
    T *query, *key, *value, *own_key, *own_value, *bias, *envelope;
};
typedef AttentionValues<const real> AttentionInputs;
typedef AttentionValues<real> AttentionOutputs;

extern "C" {
void angle_sum_forward(const Angles *, const AngleInputs *, real *const *out, real *const *kept, int);
void angle_sum_backward(
    const Angles *, const AngleInputs *, const real *const *dout, const real *const *kept, const AngleOutputs *, int);
void atom_update_forward(const Edges *, const EdgeInputs *, real *const *out, real *const *kept, int);
void atom_update_backward(
    const Edges *, const EdgeInputs *, const real *const *dout, const real *const *kept, const EdgeOutputs *, int);
void bond_update_forward(const Edges *, const EdgeInputs *, real *const *out, real *const *kept, int);
void bond_update_backward(
    const Edges *, const EdgeInputs *, const real *const *dout, const real *const *kept, const EdgeOutputs *, int);
void local_attention_forward(
    const AttentionEdges *, const AttentionInputs *, real *const *out, real *const *kept, int);
void local_attention_backward(
    const AttentionEdges *, const AttentionInputs *, const real *const *dout, const real *const *kept,
    const AttentionOutputs *, int);
}
