"""Who takes part: one adapter a file, see :mod:`work`. This package and its rivals answer the same calls."""
