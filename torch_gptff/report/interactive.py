"""A matplotlib figure as a figure of plotly.js, which a page lets zoom, read off and save.

Lines, points, bands, bars, steps, maps of colours, marks and words are known, on axes side by side, linear or
logarithmic. A figure with anything else stays the still picture that it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

MOST_VALUES = 60_000
"""Largest number of values in an interactive figure."""

DIGITS = 7
"""Significant digits of values."""

FEW_INTEGERS = 6
"""Range of whole numbers, each of which has a tick."""

PIXELS = 96
"""Number of pixels in an inch, as in browsers."""

POINTS = 72 / PIXELS
"""Points of a pixel."""

WORDS = "hover_words"
"""Attribute of an artist: a text for each of its points, see :func:`name_points`."""

DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
MARKERS = {
    **{"o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "d": "diamond-tall", "D": "diamond"},
    **{"x": "x-thin", "+": "cross-thin", "_": "line-ew-open", "|": "line-ns-open", ".": "circle", "*": "star"},
}


class UnknownArtistError(Exception):
    """A figure shows something that has no counterpart."""


def name_points(artist: Artist, words: Iterable[str]) -> None:
    """Give the points of a line or of a scatter plot words, which a page shows over them.

    Args:
        artist: drawn by matplotlib
        words: one text for each point
    """
    setattr(artist, WORDS, list(words))


def plotly_figure(figure: Figure) -> dict[str, Any] | None:
    """Data, layout and size of the same figure in plotly.js; ``None`` where it shows something unknown."""
    figure.draw_without_rendering()
    drawn = [axes for axes in figure.axes if not hasattr(axes, "_colorbar")]
    try:
        traces, layout = _converted(figure, drawn)
    except UnknownArtistError:
        return None
    if not traces or _size(traces) > MOST_VALUES:
        return None
    width, height = figure.get_size_inches() * PIXELS
    return {"data": traces, "layout": layout, "width": round(float(width)), "height": round(float(height))}


def _converted(figure: Figure, drawn: list[Axes]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from matplotlib.colors import to_hex

    if any(axes.name != "rectilinear" for axes in drawn):
        raise UnknownArtistError
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"shapes": [], "annotations": [], "showlegend": False, "barmode": "overlay"}
    boxes = np.array([axes.get_position().extents for axes in drawn]).reshape(-1, 2, 2)
    low, high = boxes.min(axis=(0, 1)), boxes.max(axis=(0, 1))
    for number, (axes, box) in enumerate(zip(drawn, (boxes - low) / (high - low), strict=True), start=1):
        part = _AxesPart(axes, "" if number == 1 else str(number))
        traces += part.traces
        layout["shapes"] += part.shapes
        layout["annotations"] += part.annotations
        layout["showlegend"] |= axes.get_legend() is not None
        across, upright = part.axis(axes.xaxis, "x"), part.axis(axes.yaxis, "y")
        across |= {"domain": _numbers(box[:, 0]), "anchor": f"y{part.suffix}"}
        upright |= {"domain": _numbers(box[:, 1]), "anchor": f"x{part.suffix}"}
        if axes.get_aspect() == 1.0:
            upright |= {"scaleanchor": f"x{part.suffix}", "constrain": "domain"}
            across |= {"constrain": "domain"}
        for first in drawn[: number - 1]:
            if axes.get_shared_y_axes().joined(axes, first):
                upright["matches"] = f"y{_suffix(drawn.index(first))}"
                break
        if not all(label.get_visible() for label in axes.get_yticklabels()[:1]) or (
            not axes.yaxis.get_tick_params().get("labelleft", True)
        ):
            upright["showticklabels"] = False
        layout |= {f"xaxis{part.suffix}": across, f"yaxis{part.suffix}": upright}
    for words, x, y, angle in ((figure.get_supxlabel(), 0.5, 0.0, 0), (figure.get_supylabel(), 0.0, 0.5, -90)):
        if words:
            place = {"xshift": -42} if angle else {"yshift": -34}
            layout["annotations"].append(
                {"text": _text(words), "xref": "paper", "yref": "paper", "x": x, "y": y, "textangle": angle}
                | {"showarrow": False, "font": {"color": to_hex("black")}, **place}
            )
    return traces, layout


def _suffix(number: int) -> str:
    return "" if number == 0 else str(number + 1)


class _AxesPart:
    """Content of one pair of axes.

    Args:
        axes: of matplotlib
        suffix: behind the names of their axes in plotly.js
    """

    def __init__(self, axes: Axes, suffix: str) -> None:
        self.axes, self.suffix = axes, suffix
        self.traces: list[dict[str, Any]] = []
        self.shapes: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self._unnamed = count(1)
        barred = self._bars()
        for line in axes.lines:
            self._line(line)
        for collection in axes.collections:
            self._collection(collection)
        for patch in axes.patches:
            if patch not in barred:
                self._patch(patch)
        if axes.images:
            raise UnknownArtistError
        for text in axes.texts:
            self._words(text)
        if axes.get_title():
            self.annotations.append(
                {"text": _text(axes.get_title()), "x": 0.5, "y": 1, "yanchor": "bottom", "showarrow": False}
                | {"xref": f"x{suffix} domain", "yref": f"y{suffix} domain", "font": {"color": "#000000"}}
            )

    def axis(self, axis: Axis, name: str) -> dict[str, Any]:
        """Range, scale, ticks and name of one axis."""
        from matplotlib.ticker import FixedFormatter, FuncFormatter, NullFormatter

        low, high = axis.get_view_interval()
        if (name == "x" and self.axes.xaxis_inverted()) or (name == "y" and self.axes.yaxis_inverted()):
            low, high = max(low, high), min(low, high)
        found: dict[str, Any] = {
            "title": {"text": _text(axis.get_label().get_text())},
            "range": _numbers([low, high]),
            "showgrid": bool(self.axes.axison and axis.get_gridlines() and axis.get_gridlines()[0].get_visible()),
            "visible": bool(self.axes.axison),
        }
        if axis.get_scale() == "log":
            found |= {"type": "log", "range": _numbers(np.log10([low, high]))}
        elif axis.get_scale() != "linear":
            raise UnknownArtistError
        elif getattr(axis.get_major_locator(), "_integer", False) and abs(high - low) <= FEW_INTEGERS:
            found["dtick"] = 1
        formatter = axis.get_major_formatter()
        if isinstance(formatter, FixedFormatter | FuncFormatter):
            places = axis.get_majorticklocs()
            found |= {
                "tickvals": _numbers(places),
                "ticktext": [_text(t) for t in formatter.format_ticks(list(places))],
            }
        elif isinstance(formatter, NullFormatter):
            found["showticklabels"] = False
        return found

    def _add(self, trace: dict[str, Any], label: Any = "") -> None:
        named = isinstance(label, str) and label != "" and not label.startswith("_")
        name = _text(str(label)) if named else ""
        axes = {"xaxis": f"x{self.suffix}", "yaxis": f"y{self.suffix}"}
        legend = {"showlegend": named and self.axes.get_legend() is not None}
        self.traces.append({**trace, **axes, **legend, **({"name": name} if named else {})})

    def _line(self, line: Any) -> None:
        x, y = _data(line.get_xdata()), _data(line.get_ydata())
        color = _hex(line.get_color())
        dash = DASHES.get(line.get_linestyle(), "solid")
        upright = line.get_transform() == self.axes.get_xaxis_transform()
        level = line.get_transform() == self.axes.get_yaxis_transform()
        if upright or level:
            self._mark(x, y, upright, {"color": color, "width": _pixels(line.get_linewidth()), "dash": dash})
            self._mark_name(x, y, upright, str(line.get_label()))
            return
        if line.get_transform() != self.axes.transData:
            raise UnknownArtistError
        marker, has_line = line.get_marker(), line.get_linestyle() not in ("None", "", " ")
        has_points = marker not in ("None", "", " ", None)
        trace: dict[str, Any] = {"type": "scatter", "x": _numbers(x), "y": _numbers(y), "opacity": _opacity(line)}
        trace["mode"] = "+".join(["lines"] * has_line + ["markers"] * has_points) or "none"
        if has_line:
            trace["line"] = {"color": color, "width": _pixels(line.get_linewidth()), "dash": dash}
            if line.get_drawstyle() != "default":
                trace["line"]["shape"] = {"steps-pre": "vh", "steps-post": "hv", "steps-mid": "hvh"}.get(
                    line.get_drawstyle(), "linear"
                )
        if has_points:
            trace["marker"] = _marker(
                marker, line.get_markersize(), line.get_markerfacecolor(), line.get_markeredgecolor()
            )
        self._add(trace | _hover(line), line.get_label())

    def _mark(self, x: Any, y: Any, upright: bool, line: dict[str, Any]) -> None:
        """A line from one side of the axes to the other."""
        domain = {"yref": f"y{self.suffix} domain"} if upright else {"xref": f"x{self.suffix} domain"}
        places = {"x0": x[0], "x1": x[-1], "y0": y[0], "y1": y[-1]}
        refs = {"xref": f"x{self.suffix}", "yref": f"y{self.suffix}", **domain}
        numbers = {name: _number(value) for name, value in places.items()}
        self.shapes.append({"type": "line", **numbers, **refs, "line": line})

    def _mark_name(self, x: Any, y: Any, upright: bool, label: str) -> None:
        """The label of a mark, which has no place in the legend, beside its end at the right or at the top."""
        if label.startswith("_") or not label:
            return
        x_name, y_name = f"x{self.suffix}", f"y{self.suffix}"
        if upright:
            share = self.axes.transAxes.inverted().transform(self.axes.transData.transform((x[0], 1.0)))[0]
            place = {"x": _on_axis(self.axes.xaxis, x[0]), "xref": x_name, "y": 1, "yref": f"{y_name} domain"}
            place |= {"xanchor": "left" if share < 0.5 else "right", "yanchor": "top"}
        else:
            place = {"x": 1, "xref": f"{x_name} domain", "y": _on_axis(self.axes.yaxis, y[0]), "yref": y_name}
            place |= {"xanchor": "right", "yanchor": "bottom"}
        self.annotations.append({"text": _text(label), "showarrow": False, "font": {"color": "#000000"}} | place)

    def _collection(self, collection: Any) -> None:
        from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh

        if isinstance(collection, QuadMesh):
            self._mesh(collection)
        elif isinstance(collection, PathCollection):
            self._scatter(collection)
        elif isinstance(collection, LineCollection):
            self._segments(collection)
        elif isinstance(collection, PolyCollection) and collection.get_array() is None:
            self._areas(collection)
        else:
            raise UnknownArtistError

    def _mesh(self, mesh: Any) -> None:
        corners = np.asarray(mesh.get_coordinates())
        x, y = corners[0, :, 0], corners[:, 0, 1]
        low, high = mesh.get_clim()
        self._add(
            {
                "type": "heatmap",
                "x": _numbers((x[1:] + x[:-1]) / 2),
                "y": _numbers((y[1:] + y[:-1]) / 2),
                "z": [_numbers(row) for row in np.ma.filled(np.atleast_2d(mesh.get_array()).astype(float), np.nan)],
                "zmin": _number(low),
                "zmax": _number(high),
                **_color_scale(mesh),
            }
        )

    def _scatter(self, points: Any) -> None:
        offsets: Any = np.ma.filled(np.ma.asarray(points.get_offsets(), dtype=float), np.nan)
        sizes = np.sqrt(np.asarray(points.get_sizes(), dtype=float))
        marker: dict[str, Any] = {"size": _pixels(float(sizes[0]) if len(sizes) else 6.0), "symbol": _symbol(points)}
        values = points.get_array()
        if values is not None:
            low, high = points.get_clim()
            marker |= {"color": _numbers(values), "cmin": _number(low), "cmax": _number(high), **_color_scale(points)}
        else:
            faces, edges = points.get_facecolors(), points.get_edgecolors()
            if len(faces) > 1 and len(faces) == len(offsets):
                marker["color"] = [_hex(face) for face in faces]
            elif len(faces):
                marker["color"] = _hex(faces[0])
                marker["opacity"] = round(float(faces[0][3]), 3)
            elif len(edges):
                marker |= {"color": _hex(edges[0]), "symbol": f"{marker['symbol']}-open"}
        trace: dict[str, Any] = {"type": "scatter", "mode": "markers", "marker": marker}
        trace |= {"x": _numbers(offsets[:, 0]), "y": _numbers(offsets[:, 1])}
        self._add(trace | _hover(points), points.get_label())

    def _segments(self, collection: Any) -> None:
        x: list[float | None] = []
        y: list[float | None] = []
        if collection.get_transform() != self.axes.transData:
            raise UnknownArtistError
        for segment in (np.reshape(each, (-1, 2)) for each in collection.get_segments()):
            x += [*_numbers(segment[:, 0]), None]
            y += [*_numbers(segment[:, 1]), None]
        colors = collection.get_colors()
        line = {
            "color": _hex(colors[0]) if len(colors) else "#000000",
            "width": _pixels(collection.get_linewidths()[0]),
        }
        self._add(
            {"type": "scatter", "mode": "lines", "x": x[:-1], "y": y[:-1], "line": line, "hoverinfo": "skip"},
            collection.get_label(),
        )

    def _areas(self, collection: Any) -> None:
        faces = collection.get_facecolors()
        if not len(faces):
            raise UnknownArtistError
        alpha = float(faces[0][3])
        for path in collection.get_paths():
            self._add(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": _numbers(path.vertices[:-1, 0]),
                    "y": _numbers(path.vertices[:-1, 1]),
                    "fill": "toself",
                    "fillcolor": _rgba(faces[0], alpha),
                    "line": {"width": 0},
                    "hoverinfo": "skip",
                },
                collection.get_label(),
            )

    def _bars(self) -> set[Any]:
        from matplotlib.container import BarContainer

        found: set[Any] = set()
        for container in self.axes.containers:
            if not isinstance(container, BarContainer):
                continue
            bars = list(container.patches)
            found |= set(bars)
            upright = container.orientation != "horizontal"
            places = [
                bar.get_x() + bar.get_width() / 2 if upright else bar.get_y() + bar.get_height() / 2 for bar in bars
            ]
            lengths = [bar.get_height() if upright else bar.get_width() for bar in bars]
            widths = [bar.get_width() if upright else bar.get_height() for bar in bars]
            base = [bar.get_y() if upright else bar.get_x() for bar in bars]
            trace: dict[str, Any] = {"type": "bar", "orientation": "v" if upright else "h", "base": _numbers(base)}
            trace |= {"width": _numbers(widths), "marker": {"color": _hex(bars[0].get_facecolor())} if bars else {}}
            across, along = ("x", "y") if upright else ("y", "x")
            trace |= {across: _numbers(places), along: _numbers(lengths)}
            self._add(trace, container.get_label())
        return found

    def _patch(self, patch: Any) -> None:
        from matplotlib.patches import Rectangle

        spans = (self.axes.get_xaxis_transform(), self.axes.get_yaxis_transform())
        if not isinstance(patch, Rectangle) or patch.get_data_transform() not in spans:
            raise UnknownArtistError
        upright = patch.get_data_transform() == spans[0]
        refs = {"xref": f"x{self.suffix}", "yref": f"y{self.suffix}"}
        refs |= {"yref": f"y{self.suffix} domain"} if upright else {"xref": f"x{self.suffix} domain"}
        x, y = patch.get_x(), patch.get_y()
        box = {"x0": x, "x1": x + patch.get_width(), "y0": y, "y1": y + patch.get_height()}
        face: Any = patch.get_facecolor()
        fill = _rgba(face, float(face[3]))
        numbers = {name: _number(value) for name, value in box.items()}
        self.shapes.append(
            {"type": "rect", **numbers, **refs, "fillcolor": fill, "line": {"width": 0}, "layer": "below"}
        )

    def _words(self, text: Any) -> None:
        from matplotlib.text import Annotation

        if not text.get_text() or not text.get_visible():
            return
        x, y = text.get_position()
        inside = text.get_transform() == self.axes.transAxes
        found: dict[str, Any] = {"text": _text(text.get_text()), "showarrow": False}
        found["font"] = {"color": _hex(text.get_color()), "size": _pixels(text.get_fontsize())}
        found["textangle"] = -round(float(text.get_rotation()))
        if isinstance(text, Annotation):
            if text.xycoords != "data" or text.anncoords != "offset points" or text.arrow_patch is not None:
                raise UnknownArtistError
            found |= {"xshift": _pixels(x), "yshift": _pixels(y)}
            x, y = text.xy
        elif not inside and text.get_transform() != self.axes.transData:
            raise UnknownArtistError
        if not inside:
            x, y = _on_axis(self.axes.xaxis, x), _on_axis(self.axes.yaxis, y)
        domain = " domain" if inside else ""
        found |= {"xref": f"x{self.suffix}{domain}", "yref": f"y{self.suffix}{domain}"}
        found |= {"x": _number(x), "y": _number(y), "xanchor": text.get_horizontalalignment(), "align": "left"}
        found["yanchor"] = {"center": "middle", "top": "top"}.get(text.get_verticalalignment(), "bottom")
        self.annotations.append(found)


def _on_axis(axis: Axis, value: Any) -> Any:
    """Where plotly.js writes words at a value."""
    return math.log10(value) if axis.get_scale() == "log" else _number(value)


def _hover(artist: Any) -> dict[str, Any]:
    words = getattr(artist, WORDS, None)
    if words is None:
        return {}
    return {"text": [_text(each) for each in words], "hovertemplate": "%{text}<extra></extra>"}


def _color_scale(mapped: Any) -> dict[str, Any]:
    """Colours of an artist whose values have a map of colours, and their bar."""
    bar, colors = mapped.colorbar, mapped.get_cmap()
    title = "" if bar is None else bar.ax.get_ylabel() or bar.ax.get_xlabel()
    return {
        "colorscale": [[_number(step), _hex(colors(step))] for step in np.linspace(0, 1, 16)],
        "showscale": bar is not None,
        "colorbar": {"title": {"text": _text(title), "side": "right"}, "thickness": 12, "outlinewidth": 0},
    }


def _marker(kind: Any, size: float, face: Any, edge: Any) -> dict[str, Any]:
    if kind not in MARKERS:
        raise UnknownArtistError
    hollow = isinstance(face, str) and face.lower() == "none"
    color = _hex(edge if hollow else face)
    symbol = f"{MARKERS[kind]}-open" if hollow else MARKERS[kind]
    return {"symbol": symbol, "size": round(_pixels(size), 1), "color": color, "line": {"color": color, "width": 1.2}}


def _symbol(points: Any) -> str:
    """Squares have five vertices, circles have curves."""
    path = points.get_paths()[0]
    return "square" if len(path.vertices) == 5 else "circle"


def _opacity(artist: Any) -> float:
    alpha = artist.get_alpha()
    return 1.0 if alpha is None else float(alpha)


def _hex(color: Any) -> str:
    from matplotlib.colors import to_hex

    return to_hex(color)


def _rgba(color: Any, alpha: float) -> str:
    from matplotlib.colors import to_rgb

    red, green, blue = (round(255 * part) for part in to_rgb(color))
    return f"rgba({red},{green},{blue},{alpha:.3g})"


def _pixels(points: float) -> float:
    return round(float(points) / POINTS, 2)


def _data(values: Any) -> Any:
    return np.atleast_1d(np.ma.filled(np.ma.asarray(values, dtype=float), np.nan))


def _numbers(values: Any) -> list[float | None]:
    return [_number(value) for value in np.asarray(values, dtype=float).ravel()]


def _number(value: Any) -> float | None:
    value = float(value)
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def _text(words: str) -> str:
    """Words that plotly.js shows as they are: it takes a few HTML tags for markup."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")


def _size(content: Any) -> int:
    return sum(1 for _ in _leaves(content))


def _leaves(content: Any) -> Iterator[Any]:
    if isinstance(content, dict):
        for each in content.values():
            yield from _leaves(each)
    elif isinstance(content, list):
        for each in content:
            yield from _leaves(each)
    else:
        yield content
