"""Elements that occur together."""

from __future__ import annotations

from torch_gptff.datasets.element_pairs import element_pairs


def test_pairs_of_different_elements_in_one_structure():
    compositions = [{11, 17}, [8, 8, 14], [29], {38, 22, 8}]
    assert element_pairs(compositions) == {(11, 17), (8, 14), (22, 38), (8, 22), (8, 38)}


def test_nothing_has_no_pairs():
    assert element_pairs([]) == element_pairs([[29, 29], [47]]) == frozenset()
