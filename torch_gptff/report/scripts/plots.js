// Figures that one can zoom, read off and save, with plotly.js.

const PAGE_COLORS = { "#000000": "ink", "#ffffff": "paper", "#b0b0b0": "rule" };

function inPageColors(content) {
  if (typeof content === "string") return content in PAGE_COLORS ? color(PAGE_COLORS[content]) : content;
  if (Array.isArray(content)) return content.map(inPageColors);
  if (content === null || typeof content !== "object") return content;
  return Object.fromEntries(Object.entries(content).map(([name, value]) => [name, inPageColors(value)]));
}

// 1, 2 and 5 of each power of ten from one power to another, and some beyond, of numbers that are long otherwise.
function ticksInPowers(low, high) {
  const ticks = [];
  for (let power = Math.floor(low) - 1; power <= Math.ceil(high) + 1; power++) {
    for (const digit of [1, 2, 5]) ticks.push([digit, power]);
  }
  return {
    tickvals: ticks.map(([digit, power]) => digit * 10 ** power),
    ticktext: ticks.map(([digit, power]) => `${digit} × 10<sup>${power}</sup>`),
  };
}

function styled(plot) {
  const layout = inPageColors(plot.layout);
  const axis = { gridcolor: color("rule"), linecolor: color("ink"), zeroline: false, automargin: true, hoverformat: ".6~g" };
  const line = { ticks: "outside", tickcolor: color("ink"), showline: true, exponentformat: "power", minexponent: 6 };
  for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
    layout[name] = { ...axis, ...line, ...layout[name] };
    const [low, high] = layout[name].range;
    // 1, 2 and 5 of each power of ten, written out as numbers, or whole powers alone
    if (layout[name].type === "log") {
      if (high - low > 2.5) layout[name].dtick = 1;
      else if (high - low > 0.5 && (low < -3 || high > 5.5)) Object.assign(layout[name], ticksInPowers(low, high));
      else Object.assign(layout[name], { tickformat: "~g" }, high - low > 0.5 && { dtick: "D2" });
    }
    if (layout[name].ticktext) layout[name].tickangle = 0;
    layout[name].title = { ...layout[name].title, standoff: 6 };
  }
  for (const trace of plot.data) {
    const bar = trace.colorbar ?? trace.marker?.colorbar;
    if (bar) Object.assign(bar, { tickcolor: color("ink") });
  }
  return {
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: color("ink"), family: getComputedStyle(document.body).fontFamily, size: 13 },
    margin: { l: 16, r: "xaxis2" in layout ? 32 : 14, t: layout.showlegend ? 56 : 32, b: 16 }, // room for the buttons, and below them the legend
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
    hoverlabel: { bgcolor: color("panel"), bordercolor: color("rule"), font: { color: color("ink") }, namelength: -1 },
    // a finger scrolls the page, and zooms with the buttons above the plot
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    autosize: true,
  };
}

function csvOf(plot) {
  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const words = (html) => new DOMParser().parseFromString((html ?? "").replaceAll("<br>", " "), "text/html").body.textContent;
  const title = (trace, axis) => words(plot.layout[`${axis}axis${(trace[`${axis}axis`] ?? axis).slice(1)}`]?.title?.text);
  const rows = [];
  const shown = plot.data.filter((trace) => trace.hoverinfo !== "skip");
  const [first] = shown;
  if (first?.type === "heatmap") {
    rows.push([title(first, "x") || "x", title(first, "y") || "y", words(first.colorbar.title.text) || "value"]);
    first.z.forEach((row, j) => row.forEach((value, i) => rows.push([first.x[i], first.y[j], value])));
  } else {
    const named = shown.some((trace) => trace.text);
    rows.push(["series", title(first, "x") || "x", title(first, "y") || "y", ...(named ? ["name"] : [])]);
    shown.forEach((trace, number) =>
      trace.x.forEach((x, k) =>
        rows.push([words(trace.name) || number + 1, x, trace.y[k], ...(named ? [words(trace.text?.[k])] : [])])
      )
    );
  }
  return rows.map((row) => row.map(quoted).join(",")).join("\n") + "\n";
}

async function startPlot(figure) {
  await library("plotly");
  const plot = dataOf(figure);
  const place = document.createElement("div");
  place.className = "interactive";
  const height = Math.max(plot.height, 260) + 60;
  place.style.height = `${height}px`;
  figure.style.flexBasis = `${plot.width + 40}px`;
  if (Object.values(plot.layout).some((part) => part?.scaleanchor)) {
    // as broad as it is drawn, and on a telephone as high
    figure.style.maxWidth = `${plot.width + 40}px`;
    place.style.height = `${Math.min(height, (figure.clientWidth * plot.height) / plot.width + 90)}px`;
  }
  figure.prepend(place);
  figure.classList.add("live");
  const config = { displaylogo: false, modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d"] };
  await Plotly.newPlot(place, inPageColors(plot.data), styled(plot), config);
  // the room for a plot changes with the window, and when plots beside it come alive
  new ResizeObserver(() => place.offsetWidth && Plotly.Plots.resize(place)).observe(place);
  lively.add(() => Plotly.react(place, inPageColors(plot.data), styled(plot), config));
  const name = fileName(figure);
  const saving = document.createElement("span");
  saving.className = "saving";
  saving.append(
    button("SVG", "Save the plot as SVG", () => Plotly.downloadImage(place, { format: "svg", filename: name })),
    button("CSV", "Save the values as CSV", () => saveAs(`${name}.csv`, csvOf(plot), "text/csv"))
  );
  figure.querySelector("figcaption").append(saving);
  if (figure.dataset.follows) followFrames(place, figure.dataset.follows);
}

// A line in the plot marks the frame that the viewer shows, and a click on a point shows its frame.
function followFrames(place, name) {
  const viewer = document.getElementById(name);
  const mark = (event) => {
    const shapes = (place.layout.shapes ?? []).filter((shape) => shape.name !== "frame");
    const line = { color: color("accent"), width: 2 };
    const x = event.detail.along;
    shapes.push({ name: "frame", type: "line", x0: x, x1: x, yref: "y domain", y0: 0, y1: 1, line });
    Plotly.relayout(place, { shapes });
  };
  viewer.addEventListener("frame", mark);
  if (viewer.viewer) viewer.viewer.tell();
  place.on("plotly_click", (event) => viewer.viewer?.showNearest(event.points[0].x));
}

whenSeen("figure.plot", startPlot);
