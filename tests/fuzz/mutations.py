"""Strategies of bytes that are nearly a file of some format."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

NASTY = (
    b"", b"0", b"-0", b"-1", b"1e-300", b"1e300", b"1e400", b"nan", b"inf", b"-inf", b"1e-3", b"0.0001", b"1.2.3",
    b"999999999999999999999", b"1000000000", b"?", b".", b"'", b'"', b"_", b"#", b";", b"=", b"[", b"]", b"{", b"}",
    b"True", b"None", b"F", b"T", b"X", b"D", b"Va", b"Og", b"Qq", b"Fe3+", b"H2O", b"\xff", b"\x00", b"\xef\xbb\xbf",
    b"\xe2\x80\xae", "½".encode(), "１".encode(), b"-x,y+1/2,z", b"x,x,x", b"1/0", b"loop_", b"data_", b"(3)", b"%s",
    b"../../x", b"a" * 5000, b"1 " * 2000,
)  # fmt: skip


@st.composite
def mutated(draw: DrawFn, files: Sequence[bytes]) -> bytes:
    """One of the files after one to five changes: of a word, a line, or a few bytes."""
    content = draw(st.sampled_from(files))
    for change in draw(st.lists(st.sampled_from((_word, _line, _bytes)), min_size=1, max_size=5)):
        content = change(draw, content)
    return content


def _word(draw: DrawFn, content: bytes) -> bytes:
    """Another word in the place of one, or behind it."""
    words = content.split(b" ")
    place = draw(st.integers(0, len(words) - 1))
    other = draw(st.sampled_from(NASTY) | st.sampled_from(words) | st.binary(max_size=6))
    words[place] = words[place] + other if draw(st.booleans()) else other
    return b" ".join(words)


def _line(draw: DrawFn, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    changes: dict[str, Callable[[], None]] = {
        "remove": lambda: lines.pop(first) and None,  # type: ignore[func-returns-value]
        "double": lambda: lines.insert(first, lines[second]),
        "many": lambda: lines.insert(first, lines[second] * draw(st.integers(2, 300))),
        "empty": lambda: lines.insert(first, b"\n"),
        "replace": lambda: lines.__setitem__(first, lines[second]),
        "end": lambda: lines.__delitem__(slice(first, None)),
    }
    changes[draw(st.sampled_from(sorted(changes)))]()
    return b"".join(lines)


def _bytes(draw: DrawFn, content: bytes) -> bytes:
    place = draw(st.integers(0, len(content)))
    return content[:place] + draw(st.binary(max_size=4)) + content[place + draw(st.integers(0, 4)) :]
