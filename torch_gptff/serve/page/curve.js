// The curve of a job: its values beside each other along its course, with plotly.js in the style of reports.

"use strict";

const COLORS = ["#2f7ebc", "#d9622b"];
const AXES = ["y", "y2"];
const LEAST = 1e-6; // differences below this are rounding

class Curve {
  constructor(figure, label, columns) {
    Object.assign(this, { figure, label, columns, points: [], changing: null, isStale: false, isGone: false });
    this.place = document.createElement("div");
    this.place.className = "interactive";
    this.place.style.height = "20rem";
    figure.prepend(this.place);
    figure.classList.add("live");
    this.redraw = () => this.draw();
    lively.add(this.redraw);
  }

  extend(points) {
    this.points.push(...points);
    this.draw();
  }

  // One change of the plot at a time: what is asked for meanwhile is drawn once, when the change has ended.
  change(start) {
    if (this.changing) {
      this.isStale = true;
      return;
    }
    this.changing = start().finally(() => {
      this.changing = null;
      if (this.isGone) Plotly.purge(this.place);
      else if (this.isStale) this.draw();
    });
  }

  draw() {
    this.isStale = false;
    const x = this.points.map((point) => point[0]);
    const data = this.columns.map((name, k) => ({
      x,
      y: this.points.map((point) => point[k + 1]),
      yaxis: AXES[k],
      name,
      type: "scatter",
      mode: x.length > 60 ? "lines" : "lines+markers",
      line: { color: COLORS[k], width: 2 },
    }));
    // raised powers of ten would need styles in the text, which the page forbids
    const axis = (text, more) => ({ title: { text }, range: undefined, exponentformat: "e", ...more });
    const layout = { showlegend: false, xaxis: axis(this.label, { range: this.range(0) }), shapes: this.shapes() };
    this.columns.forEach((name, k) => {
      const half = k === 0 ? [0.56, 1] : [0, 0.44];
      layout[`yaxis${k || ""}`.replace("1", "2")] = axis(name.replace(" (", "<br>("), {
        domain: this.columns.length > 1 ? half : [0, 1],
        range: this.range(k + 1),
      });
    });
    layout.xaxis.anchor = AXES[this.columns.length - 1];
    const config = { responsive: true, displaylogo: false, displayModeBar: false };
    this.change(() => Plotly.react(this.place, data, styled({ data, layout }), config));
  }

  range(k) {
    const values = this.points.map((point) => point[k]).filter(Number.isFinite);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const margin = Math.max((high - low) * 0.06, Math.abs(high) * LEAST, LEAST);
    return [low - margin, high + margin];
  }

  shapes() {
    if (this.at === undefined) return [];
    const line = { color: color("accent"), width: 1.5 };
    return [{ type: "line", x0: this.at, x1: this.at, yref: "paper", y0: 0, y1: 1, line }];
  }

  // Marks the frame that the viewer shows.
  mark(along) {
    this.at = along;
    if (this.points.length) this.change(() => Plotly.relayout(this.place, { shapes: this.shapes() }));
  }

  dispose() {
    lively.delete(this.redraw);
    this.isGone = true;
    if (!this.changing) Plotly.purge(this.place);
    this.place.remove();
    this.figure.classList.remove("live");
  }
}
