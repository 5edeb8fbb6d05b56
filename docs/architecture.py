"""Draw the architecture of the recommended model: ``python docs/architecture.py`` writes ``pages/architecture.svg``."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path

FILE = Path(__file__).parent / "pages" / "architecture.svg"
WIDTH, HEIGHT = 1060, 730
FILL = {"atoms": "#d8e8f8", "turns": "#fde3c8", "bonds": "#e4e4e4", "both": "#e3efdc", "plain": "#ffffff"}
EDGE = {"atoms": "#3a6ea5", "turns": "#c46a12", "bonds": "#777777", "both": "#4d7c33", "plain": "#555555"}


@dataclass(frozen=True)
class Box:
    """A rectangle with lines of text, the first of them a title."""

    x: float
    y: float
    width: float
    lines: tuple[str, ...]
    kind: str = "plain"

    @property
    def height(self) -> float:
        return 18.0 + 19.0 * len(self.lines)

    @property
    def top(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width, self.y + self.height / 2


@dataclass
class Drawing:
    """SVG elements, one after the other."""

    elements: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, *lines: str, kind: str = "plain") -> Box:
        box = Box(x, y, width, lines, kind)
        self.elements.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{box.height:g}" rx="7" fill="{FILL[kind]}" '
            f'stroke="{EDGE[kind]}" stroke-width="1.4"/>'
        )
        for number, line in enumerate(lines):
            weight = ' font-weight="bold"' if number == 0 else ""
            size = 14 if number == 0 else 13
            self.text(x + width / 2, y + 23 + 19 * number, line, f'text-anchor="middle" font-size="{size}"{weight}')
        return box

    def text(self, x: float, y: float, words: str, style: str) -> None:
        self.elements.append(f'<text x="{x:g}" y="{y:g}" {style}>{escape(words)}</text>')

    def arrow(
        self, *points: tuple[float, float], kind: str = "plain", label: str = "", at: tuple[float, float] = (0, 0)
    ) -> None:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.elements.append(
            f'<polyline points="{path}" fill="none" stroke="{EDGE[kind]}" stroke-width="1.8" '
            f'marker-end="url(#{kind})" stroke-linejoin="round"/>'
        )
        if label:
            self.text(*at, label, f'font-size="13" fill="{EDGE[kind]}"')

    def svg(self) -> str:
        heads = "".join(
            f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0,0 L8,4 L0,8 z" fill="{color}"/></marker>'
            for kind, color in EDGE.items()
        )
        body = "\n".join(self.elements)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'font-family="DejaVu Sans, Segoe UI, Helvetica, Arial, sans-serif" fill="#222">\n'
            f"<title>The recommended model: from a crystal to its energy, and one of its layers</title>\n"
            f"<defs>{heads}</defs>\n"
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="#fcfcfc"/>\n{body}\n</svg>\n'
        )


def model(draw: Drawing) -> None:
    """From a crystal to its energy, on the left."""
    draw.text(24, 36, "The model", 'font-size="18" font-weight="bold"')
    crystal = draw.box(24, 56, 300, "crystal", "elements Zᵢ, bonds r⃗ᵢⱼ up to 6 Å")
    embedding = draw.box(24, 152, 140, "embedding", "xᵢ = E[Zᵢ]", kind="atoms")
    bonds = draw.box(184, 152, 140, "each bond, once", "length r", "harmonics Yₗₘ(r̂)", kind="bonds")
    draw.arrow((94, crystal.bottom[1]), embedding.top)
    draw.arrow((254, crystal.bottom[1]), bonds.top)
    layers = []
    for number, (y, name) in enumerate(((268, "layer 1"), (336, "layer 2"), (404, "layer 3"))):
        layers.append(draw.box(24, y, 140, name, kind="both"))
        draw.arrow((254, bonds.bottom[1]), (254, layers[-1].right[1]), layers[-1].right, kind="bonds")
        if number:
            draw.arrow((74, layers[-2].bottom[1]), (74, y), kind="atoms", label="x", at=(56, y - 12))
            draw.arrow((114, layers[-2].bottom[1]), (114, y), kind="turns", label="Vˡ", at=(122, y - 12))
    draw.arrow(embedding.bottom, layers[0].top, kind="atoms", label="x", at=(76, 250))
    readout = draw.box(24, 482, 140, "readouts", "of LN(xᵢ)", kind="atoms")
    draw.arrow(layers[-1].bottom, readout.top, kind="atoms", label="x", at=(76, 470))
    added = draw.box(184, 482, 140, "added", "E of the elements", "repulsion of nuclei")
    energy = draw.box(24, 592, 300, "energy = sum over atoms")
    draw.arrow(readout.bottom, (94, energy.y))
    draw.arrow(added.bottom, (254, energy.y))
    draw.arrow(energy.bottom, (energy.bottom[0], 660))
    draw.text(174, 682, "forces, stress: gradient by r⃗ᵢⱼ", 'text-anchor="middle" font-size="14"')


def layer(draw: Drawing) -> None:
    """What happens in a layer, on the right."""
    x0 = 372
    draw.elements.append(
        f'<rect x="{x0}" y="52" width="{WIDTH - x0 - 24}" height="608" rx="10" fill="none" stroke="{EDGE["both"]}" '
        'stroke-dasharray="6 4" stroke-width="1.5"/>'
    )
    draw.text(x0, 36, "A layer", 'font-size="18" font-weight="bold"')
    left, wide = x0 + 24, 330
    maps = draw.box(
        left, 76, wide, "each atom: y = LN(x)", "shows query, key and value a of y, and its Vˡ", kind="atoms"
    )
    table = draw.box(
        left + 376, 76, 240,
        "radial functions R(r)",
        "a network at 51 knots,",
        "joined by a cubic spline,",
        "u(r) → 0 with two derivatives",
        kind="bonds",
    )  # fmt: skip
    attention = draw.box(
        left, 196, 616,
        "each bond: attention that carries geometry, elementwise in the channels",
        "α = 2σ( query · (Rˢ ⊙ key) + b(r) )   for each head",
        "out⁰ = Σⱼ α ⊙ ( R⁰ ⊙ a + Rᵖ ⊙ Σₗₘ Yₗₘ Vˡₘ ),   outˡₘ = Σⱼ α ⊙ ( Rˡ ⊙ a Yₗₘ + Rᵛ ⊙ Vˡₘ )",
        "total = Σⱼ u(r) α",
        kind="bonds",
    )  # fmt: skip
    draw.arrow(maps.bottom, (maps.bottom[0], attention.y), kind="atoms")
    draw.arrow((table.bottom[0], table.bottom[1]), (table.bottom[0], attention.y), kind="bonds")
    added = draw.box(left + 316, 334, 300, "each atom: Vˡ ← Vˡ + Wˡ outˡ", kind="turns")
    products = draw.box(
        left + 316, 416, 300,
        "products of its features",
        "Zˡ = Σ w · (V ⊗ V)ˡ: pairs of neighbours",
        "n = |Vˡ|², Vˡ · Zˡ: pairs and triples",
        kind="turns",
    )  # fmt: skip
    draw.arrow((added.top[0], attention.bottom[1]), added.top, kind="turns", label="outˡ", at=(added.top[0] + 8, 324))
    draw.arrow(added.bottom, products.top, kind="turns", label="Vˡ", at=(added.bottom[0] + 8, 400))
    network = draw.box(
        left, 416, 272,
        "each atom: network",
        "[Δx ‖ g¹ ‖ … ‖ gᴸ] =",
        "W₂ swish( W₁ [y ‖ out⁰ ‖ n ‖ total] )",
        kind="atoms",
    )  # fmt: skip
    draw.arrow(
        (network.top[0], attention.bottom[1]),
        network.top,
        kind="atoms",
        label="out⁰, total",
        at=(network.top[0] + 8, 368),
    )
    draw.arrow(products.left, network.right, kind="turns", label="n", at=(left + 290, 446))
    out_x = draw.box(left, 566, 272, "x ← x + Δx", kind="atoms")
    out_v = draw.box(left + 316, 566, 300, "Vˡ ← 2σ(gˡ) ⊙ Vˡ + W′ Zˡ", kind="turns")
    draw.arrow(network.bottom, out_x.top, kind="atoms")
    draw.arrow(products.bottom, out_v.top, kind="turns", label="Vˡ, Zˡ", at=(out_v.top[0] + 8, 534))
    gate = [(left + 230, network.bottom[1]), (left + 230, 530), (left + 380, 530), (left + 380, out_v.y)]
    draw.arrow(*gate, kind="atoms", label="gˡ", at=(left + 300, 522))
    draw.arrow(out_x.bottom, (out_x.bottom[0], 640), kind="atoms")
    draw.arrow(out_v.bottom, (out_v.bottom[0], 640), kind="turns")
    for x, kind, words in (
        (x0 + 12, "atoms", "numbers that do not turn"),
        (x0 + 238, "turns", "features that turn with the crystal"),
        (x0 + 506, "bonds", "of a bond: no matrix"),
    ):
        draw.elements.append(
            f'<rect x="{x}" y="682" width="16" height="16" rx="3" fill="{FILL[kind]}" stroke="{EDGE[kind]}"/>'
        )
        draw.text(x + 24, 695, words, 'font-size="13"')


def drawing() -> str:
    """The SVG."""
    draw = Drawing()
    model(draw)
    layer(draw)
    return draw.svg()


if __name__ == "__main__":
    FILE.write_text(drawing(), encoding="utf-8")
