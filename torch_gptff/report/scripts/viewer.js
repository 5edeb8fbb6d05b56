// Structures and trajectories that one can turn, play and measure, with 3Dmol.js.

const BOND = 1.15; // atoms closer than this times the sum of their covalent radii are bonded
const STICK = 0.11; // Å
const FRAMES_PER_SECOND = 12;
const MOST_WITH_BONDS = 3000;
const FILLED = 0.8; // part of a picture's width or height that is filled at first
const SURFACE = 6; // Å, the largest radius of a surface: 3Dmol.js shows nothing smaller than some 5 Å large

const sum = (a, b) => a.map((value, k) => value + b[k]);
const scaled = (a, factor) => a.map((value) => value * factor);
const minus = (a, b) => sum(a, scaled(b, -1));
const dot = (a, b) => a.reduce((total, value, k) => total + value * b[k], 0);
const length = (a) => Math.sqrt(dot(a, a));
const unit = (a) => scaled(a, 1 / length(a));
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const point = ([x, y, z]) => ({ x, y, z });

// The quaternion x, y, z, w of the rotation whose matrix has these rows.
function quaternion([[a, b, c], [d, e, f], [g, h, i]]) {
  const w = Math.sqrt(Math.max(0, 1 + a + e + i)) / 2;
  const x = (Math.sqrt(Math.max(0, 1 + a - e - i)) / 2) * (h - f < 0 ? -1 : 1);
  const y = (Math.sqrt(Math.max(0, 1 - a + e - i)) / 2) * (c - g < 0 ? -1 : 1);
  const z = (Math.sqrt(Math.max(0, 1 - a - e + i)) / 2) * (d - b < 0 ? -1 : 1);
  return [x, y, z, w];
}

class Scene {
  constructor(figure, data) {
    this.figure = figure;
    this.view = data.view;
    this.place = document.createElement("div");
    this.place.className = "canvas";
    this.box = document.createElement("div");
    this.box.className = "interactive";
    this.box.append(this.place);
    figure.prepend(this.box);
    figure.classList.add("live");
    this.gl = $3Dmol.createViewer(this.place, {
      backgroundColor: "white",
      backgroundAlpha: 0,
      orthographic: true,
      antialias: true,
    });
    this.letPageScroll();
    this.redraw = () => this.draw();
    lively.add(this.redraw);
  }

  // Gives the picture's place and the memory of its canvas back.
  dispose() {
    lively.delete(this.redraw);
    const canvas = this.place.querySelector("canvas");
    (canvas?.getContext("webgl2") ?? canvas?.getContext("webgl"))?.getExtension("WEBGL_lose_context")?.loseContext();
    this.box.remove();
    this.figure.classList.remove("live");
  }

  // The wheel and a finger scroll the page until the picture is clicked.
  letPageScroll() {
    let mine = false;
    const keep = (event) => {
      if (!mine && !event.ctrlKey) event.stopPropagation();
    };
    for (const kind of ["wheel", "touchstart", "touchmove"]) this.place.addEventListener(kind, keep, { capture: true });
    document.addEventListener("pointerup", (event) => {
      mine = this.place.contains(event.target);
      this.place.classList.toggle("mine", mine);
    });
    this.place.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") mine = false;
    });
  }

  // Turns to the directions to the right, up and towards the eye, and fills the picture with what is drawn.
  look(rows) {
    const spans = rows.map((axis) => {
      const along = this.outline().map((place) => dot(place, axis));
      return [Math.min(...along), Math.max(...along)];
    });
    const middle = rows.reduce((all, axis, k) => sum(all, scaled(axis, (spans[k][0] + spans[k][1]) / 2)), [0, 0, 0]);
    this.gl.zoomTo();
    this.gl.setView([...scaled(middle, -1), this.gl.getView()[3], ...quaternion(rows)]);
    const [one, other] = [middle, sum(middle, rows[0])].map((place) => this.gl.modelToScreen(point(place)));
    const pixels = Math.hypot(one.x - other.x, one.y - other.y); // of 1 Å
    const [width, height] = spans.map(([low, high]) => pixels * (high - low));
    this.gl.zoom(FILLED * Math.min(this.place.clientWidth / width, this.place.clientHeight / height));
    this.gl.render();
  }

  toolbar() {
    const bar = document.createElement("div");
    bar.className = "toolbar";
    this.box.append(bar);
    return bar;
  }
}

class StructureViewer extends Scene {
  constructor(figure, data, frames) {
    super(figure, data);
    Object.assign(this, { data, frames, shown: 0, picked: [], timer: null });
    this.hasNonMetal = Object.values(data.elements).some((element) => !element.metal);
    this.draw();
    this.look(data.view);
    const bar = (this.bar = this.toolbar());
    if (frames.length > 1) this.addPlayer(bar);
    if (frames[0].cell) {
      ["a", "b", "c"].forEach((name, k) => bar.append(button(name, `Look along ${name}`, () => this.lookAlong(k))));
    }
    bar.append(button("⟲", "Back to the first view", () => this.look(this.view)));
    this.told = document.createElement("output");
    this.told.textContent = "Click two atoms for their distance.";
    bar.append(this.told);
  }

  lookAlong(k) {
    const cell = this.frames[this.shown].cell;
    const eye = unit(cell[k]);
    const raised = cell[k === 2 ? 1 : 2];
    const up = unit(minus(raised, scaled(eye, dot(raised, eye))));
    this.look([cross(up, eye), up, eye]);
  }

  // Corners of boxes about the atoms, and of the cell with the names of its vectors.
  outline() {
    const { cell } = this.frames[this.shown];
    const places = [];
    for (const { x, y, z, elem } of this.atoms()) {
      const radius = 0.18 + 0.26 * this.data.elements[elem].radius;
      for (const side of [-radius, radius]) places.push([x + side, y, z], [x, y + side, z], [x, y, z + side]);
    }
    if (cell) {
      for (let n = 0; n < 8; n++) {
        places.push([n & 1, n & 2 ? 1 : 0, n & 4 ? 1 : 0].reduce((all, part, k) => sum(all, scaled(cell[k], part)), [0, 0, 0]));
      }
      for (const vector of cell) places.push(scaled(vector, 1 + 0.8 / length(vector)));
    }
    return places;
  }

  addPlayer(bar) {
    this.play = button("▶", "Play", () => this.toggle());
    this.slider = document.createElement("input");
    Object.assign(this.slider, { type: "range", min: 0, max: this.frames.length - 1, value: 0 });
    this.slider.setAttribute("aria-label", this.data.label);
    this.slider.addEventListener("input", () => {
      this.stop();
      this.show(Number(this.slider.value));
    });
    this.where = document.createElement("span");
    this.where.className = "where";
    const line = document.createElement("div");
    line.className = "player";
    line.append(this.play, this.slider, this.where);
    bar.prepend(line);
    this.tell();
  }

  // Takes more frames of a run that is under way, and shows the last one if the last one was shown.
  extend(frames, along) {
    const follows = this.timer === null && this.shown === this.frames.length - 1;
    this.frames.push(...frames);
    this.data.along.push(...along);
    if (!this.slider && this.frames.length > 1) this.addPlayer(this.bar);
    if (this.slider) this.slider.max = this.frames.length - 1;
    if (follows) this.show(this.frames.length - 1);
  }

  dispose() {
    clearInterval(this.timer);
    super.dispose();
  }

  toggle() {
    if (this.timer !== null) return this.stop();
    if (this.shown === this.frames.length - 1) this.show(0);
    this.play.textContent = "❚❚";
    this.play.title = "Pause";
    this.timer = setInterval(() => {
      if (this.shown >= this.frames.length - 1) this.stop();
      else this.show(this.shown + 1);
    }, 1000 / FRAMES_PER_SECOND);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "▶";
    this.play.title = "Play";
  }

  show(number) {
    this.shown = number;
    this.draw();
    this.tell();
  }

  showNearest(along) {
    const distances = this.data.along.map((value) => Math.abs(value - along));
    this.stop();
    this.show(distances.indexOf(Math.min(...distances)));
  }

  // Says which frame is shown, to the slider and to the plots that follow.
  tell() {
    if (!this.slider) return;
    const along = this.data.along[this.shown];
    this.slider.value = this.shown;
    const words = /^(.*?)(?: \((.*)\))?$/.exec(this.data.label);
    this.where.textContent = `${words[1]} ${along}${words[2] ? ` ${words[2]}` : ""}`;
    this.figure.dispatchEvent(new CustomEvent("frame", { detail: { along } }));
  }

  // Atoms of the frame, those on a face of the cell on the opposite one too.
  atoms() {
    const { cell, positions } = this.frames[this.shown];
    const atoms = positions.map((place, index) => ({ place, index }));
    for (const [index, ...shift] of this.data.images) {
      const moved = shift.reduce((place, times, k) => (times ? sum(place, scaled(cell[k], times)) : place), positions[index]);
      atoms.push({ place: moved, index });
    }
    return atoms.map(({ place, index }, number) => ({
      elem: this.data.symbols[index],
      ...point(place),
      index: number,
      serial: number,
      bonds: [],
      bondOrder: [],
      properties: { atom: index },
    }));
  }

  // Pairs no farther apart than bonds are; metals are bonded to each other where there is nothing else.
  bond(atoms) {
    if (atoms.length > MOST_WITH_BONDS) return;
    const { elements } = this.data;
    const longest = 2 * BOND * Math.max(...Object.values(elements).map((element) => element.radius));
    const key = (x, y, z) => `${x},${y},${z}`;
    const boxes = new Map();
    const place = (atom) => [atom.x, atom.y, atom.z].map((value) => Math.floor(value / longest));
    for (const atom of atoms) {
      const name = key(...place(atom));
      if (!boxes.has(name)) boxes.set(name, []);
      boxes.get(name).push(atom);
    }
    for (const one of atoms) {
      const [x, y, z] = place(one);
      for (let n = 0; n < 27; n++) {
        const near = boxes.get(key(x - 1 + (n % 3), y - 1 + (Math.floor(n / 3) % 3), z - 1 + Math.floor(n / 9))) ?? [];
        for (const other of near) {
          if (other.index === one.index) continue;
          const [first, second] = [elements[one.elem], elements[other.elem]];
          if (this.hasNonMetal && first.metal && second.metal) continue;
          const reach = BOND * (first.radius + second.radius);
          const apart = (one.x - other.x) ** 2 + (one.y - other.y) ** 2 + (one.z - other.z) ** 2;
          if (apart < reach * reach && apart > 0.01) {
            one.bonds.push(other.index);
            one.bondOrder.push(1);
          }
        }
      }
    }
  }

  draw() {
    const atoms = this.atoms();
    this.bond(atoms);
    this.gl.removeAllModels();
    this.gl.removeAllShapes();
    this.gl.removeAllLabels();
    const model = this.gl.addModel();
    model.addAtoms(atoms);
    for (const [symbol, { color: shade, radius }] of Object.entries(this.data.elements)) {
      const style = { sphere: { radius: 0.18 + 0.26 * radius, color: shade }, stick: { radius: STICK, color: shade } };
      model.setStyle({ elem: symbol }, style);
    }
    this.gl.setClickable({}, true, (atom) => this.pick(atom));
    this.drawCell(this.frames[this.shown].cell);
    this.drawPicked(atoms);
    this.gl.render();
  }

  drawCell(cell) {
    if (!cell) return;
    const corner = (a, b, c) => sum(sum(scaled(cell[0], a), scaled(cell[1], b)), scaled(cell[2], c));
    for (const [k, name] of ["a", "b", "c"].entries()) {
      for (const first of [0, 1]) {
        for (const second of [0, 1]) {
          const from = [first, second];
          from.splice(k, 0, 0);
          const to = [first, second];
          to.splice(k, 0, 1);
          this.gl.addLine({ start: point(corner(...from)), end: point(corner(...to)), color: color("ink") });
        }
      }
      const tip = scaled(cell[k], 1 + 0.8 / length(cell[k]));
      this.gl.addLabel(name, { position: point(tip), fontColor: color("quiet"), fontSize: 14, showBackground: false });
    }
  }

  pick(atom) {
    this.picked = this.picked.length === 2 ? [atom.index] : [...this.picked.filter((each) => each !== atom.index), atom.index];
    this.draw();
  }

  drawPicked(atoms) {
    const chosen = this.picked.map((number) => atoms[number]);
    const named = chosen.map((atom) => `${atom.elem} ${atom.properties.atom + 1}`);
    for (const [number, atom] of chosen.entries()) {
      const radius = 0.3 + 0.26 * this.data.elements[atom.elem].radius;
      this.gl.addSphere({ center: point([atom.x, atom.y, atom.z]), radius, color: color("accent"), opacity: 0.55 });
      if (number === 0 && this.told) this.told.textContent = `${named[0]}: click another atom.`;
    }
    if (chosen.length < 2) return;
    const [start, end] = chosen.map((atom) => [atom.x, atom.y, atom.z]);
    const words = `${length(minus(end, start)).toFixed(2)} Å`;
    this.gl.addLine({ start: point(start), end: point(end), color: color("accent"), dashed: true });
    const style = { fontColor: color("ink"), backgroundColor: color("paper"), backgroundOpacity: 0.85, fontSize: 14 };
    this.gl.addLabel(words, { position: point(scaled(sum(start, end), 0.5)), ...style, inFront: true });
    this.told.textContent = `${named.join(" – ")}: ${words}`;
  }
}

// A surface whose distance from the origin is a property along each direction.
class SurfaceViewer extends Scene {
  constructor(figure, data) {
    super(figure, data);
    this.data = data;
    this.vertices = [];
    this.draw();
    this.look(data.view);
    this.toolbar().append(button("⟲", "Back to the first view", () => this.look(this.view)));
  }

  outline() {
    return [...this.vertices, ...[0, 1, 2].map((k) => this.tip(k))];
  }

  // End of an axis, with its name.
  tip(k) {
    const end = [0, 0, 0];
    end[k] = 1.35 * SURFACE;
    return end;
  }

  draw() {
    const { values, colors, low, high } = this.data; // rows by polar angle, columns by azimuth
    const [rows, columns] = [values.length, values[0].length];
    const shade = (value) => {
      const place = high > low ? (value - low) / (high - low) : 0.5;
      return $3Dmol.CC.color(colors[Math.min(colors.length - 1, Math.floor(place * colors.length))]);
    };
    const vertexArr = (this.vertices = []);
    const faceArr = [];
    const shades = [];
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++) {
        const polar = (Math.PI * j) / (rows - 1);
        const azimuth = (2 * Math.PI * i) / columns;
        const direction = [Math.sin(polar) * Math.cos(azimuth), Math.sin(polar) * Math.sin(azimuth), Math.cos(polar)];
        vertexArr.push(scaled(direction, (SURFACE * values[j][i]) / high));
        shades.push(shade(values[j][i]));
        const [right, below] = [j * columns + ((i + 1) % columns), (j + 1) * columns + i];
        if (j < rows - 1) {
          const across = (j + 1) * columns + ((i + 1) % columns);
          faceArr.push(j * columns + i, below, right, right, below, across);
        }
      }
    }
    const normals = vertexArr.map(() => [0, 0, 0]);
    for (let k = 0; k < faceArr.length; k += 3) {
      const [a, b, c] = faceArr.slice(k, k + 3);
      const face = cross(minus(vertexArr[b], vertexArr[a]), minus(vertexArr[c], vertexArr[a]));
      for (const corner of [a, b, c]) normals[corner] = sum(normals[corner], face);
    }
    const normalArr = normals.map((each) => point(length(each) > 0 ? unit(each) : [0, 0, 1]));
    this.gl.removeAllShapes();
    this.gl.removeAllLabels();
    this.gl.addCustom({ vertexArr: vertexArr.map(point), normalArr, faceArr, color: shades });
    ["x", "y", "z"].forEach((name, k) => {
      const end = point(this.tip(k));
      this.gl.addLine({ start: point([0, 0, 0]), end, color: color("quiet") });
      this.gl.addLabel(name, { position: end, fontColor: color("quiet"), fontSize: 14, showBackground: false });
    });
    this.gl.render();
  }
}

async function startViewer(figure) {
  await library("3dmol");
  const data = dataOf(figure);
  if (data.values) {
    figure.viewer = new SurfaceViewer(figure, data);
    return;
  }
  const frames = data.frames ?? JSON.parse(await unpacked(data.packed));
  figure.viewer = new StructureViewer(figure, data, frames);
}

whenSeen("figure.viewer", startViewer);
