// What the pair style asks of Python: see ../engine.py, which has the same structures.
#pragma once
#include <cstdint>
#include <string>

namespace gptff {

// A process's own atoms, and the ghosts that follow them; bonds ascend by their centres, which are own atoms.
struct Atoms {
    int64_t own, all, bonds;
    const int64_t *z, *neighbour, *centre;
    const double *vectors;       // from centre to neighbour, Å
    double *energies, *gradient; // of own atoms, eV; of the energy of all processes by the vectors, eV/Å
};

// Fill the rows of ghosts with those of their atoms; in reverse, add the rows of ghosts to those of their atoms.
typedef void Exchange(void *pair, int reverse, int count, void *const *arrays, const int64_t *widths);

// What a model is asked for, and what it says.
struct Model {
    const char *name, *elements, *precision; // elements: symbols of the atom types, with spaces between
    int processes, rank;
    void *pair;
    Exchange *exchange;
    double cutoff;       // Å
    int64_t width, bytes; // numbers that an atom exchanges at most, and the size of one
    int64_t *z;          // of the atom types, from 1 on
};

constexpr int64_t MESSAGE = 2000;
// Each returns what is negative where it fails, and then writes why, MESSAGE characters at most.
struct Engine {
    int64_t (*load)(Model *, char *message); // the number of the model
    int64_t (*compute)(int64_t number, const Atoms *, char *message);
    void (*forget)(int64_t number);
};

// The Python that runs, or one that is started. What went wrong is written to the message.
const Engine *engine(std::string &message);

} // namespace gptff
