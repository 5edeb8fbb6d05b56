// pair_style gptff [float32|float64]; pair_coeff * * MODEL ELEMENT...
#pragma once
#include <string>
#include <vector>

#include "pair.h"
#include "python.hpp"

namespace gptff {

class PairGPTFF : public LAMMPS_NS::Pair {
  public:
    PairGPTFF(LAMMPS_NS::LAMMPS *);
    ~PairGPTFF() override;
    void settings(int, char **) override;
    void coeff(int, char **) override;
    void init_style() override;
    double init_one(int, int) override;
    void compute(int, int) override;
    double memory_usage() override;

    void exchange(bool reverse, int count, void *const *arrays, const int64_t *widths);
    int pack_forward_comm(int, int *, double *, int, int *) override;
    void unpack_forward_comm(int, int, double *) override;
    int pack_reverse_comm(int, int, double *) override;
    void unpack_reverse_comm(int, int *, double *) override;

  private:
    const Engine *engine = nullptr;
    int64_t number = -1; // of the model in the engine
    std::string precision;
    double cutoff = 0;
    int64_t bytes = 8;
    std::vector<int64_t> z_of_type;

    std::vector<int64_t> z, neighbour, centre;
    std::vector<double> vectors, energies, gradient;
    std::vector<int> atom_of; // the row of every atom: its own, or that of the atom that it is an image of

    void *const *arrays = nullptr; // that are being exchanged
    const int64_t *widths = nullptr;
    int count = 0, doubles = 0; // arrays, and the doubles that hold an atom's rows

    void find_rows();
    void find_bonds();
    void add_forces_and_virials();
    char *row(int array, int atom) const { return static_cast<char *>(arrays[array]) + atom * widths[array] * bytes; }
};

} // namespace gptff
