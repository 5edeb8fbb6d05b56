"""Relaxations of many structures side by side: coordinates, optimisers and calculators in tensors of all of them."""
