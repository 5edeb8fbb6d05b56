// The page: a structure, a form of the server's kinds of jobs, the jobs, and what comes of the one that is chosen.

"use strict";

const at = (id) => document.getElementById(id);
const EXAMPLE = `NaCl
1.0
5.70 0.00 0.00
0.00 5.70 0.00
0.00 0.00 5.70
Na Cl
4 4
Direct
0.02 0.00 0.00
0.00 0.50 0.50
0.50 0.00 0.50
0.50 0.50 0.00
0.50 0.50 0.50
0.50 0.00 0.00
0.00 0.50 0.00
0.00 0.00 0.50
`;
const AGAIN_MS = 1500;

let kinds = [];
let bytes = Infinity;
let structure = null; // that the form is about
let chosen = null; // name of the job that is shown
const jobs = new Map();
const items = new Map(); // of the list, by the names of jobs
let viewer = null;
let curve = null;
let course = null; // what the curve is of
let stream = null;

function show(id, isShown) {
  at(id).hidden = !isShown;
}

// What is the same stays, so that nobody is told of it again.
function say(id, words) {
  if (at(id).textContent !== words) at(id).textContent = words;
}

function element(tag, words, className) {
  const made = document.createElement(tag);
  made.textContent = words;
  if (className) made.className = className;
  return made;
}

function tellProblem(words) {
  at("problem").textContent = words;
  show("problem", words);
}

// Runs what a person asked for, and says what went wrong.
async function attempt(action) {
  tellProblem("");
  try {
    await action();
  } catch (error) {
    tellProblem(error.message);
  }
}

// ---- structures

async function takeFile(file) {
  await attempt(async () => {
    if (file.size > bytes) throw new Error(`${file.name} is too large: the page takes ${size(bytes)} at most (--megabytes).`);
    at("reading").textContent = `Reading ${file.name} …`;
    try {
      const headers = { "X-File-Name": encodeURIComponent(file.name), "Content-Type": "application/octet-stream" };
      showStructure(await askJson("api/structures", { method: "POST", headers, body: file }));
    } finally {
      at("reading").textContent = "";
      at("file").value = "";
    }
  });
}

function showStructure(found) {
  structure = found;
  at("structure-name").textContent = `${found.title}, ${found.name}`;
  at("structure-facts").textContent = found.facts.join(" · ");
  show("structure-index", found.count > 1);
  at("index").max = found.count;
  at("index").value = found.index + 1;
  at("structure-count").textContent = `of ${found.count}`;
  at("structure-warnings").replaceChildren(...found.warnings.map((words) => element("li", words, "warning")));
  show("structure", true);
  show("form", true);
  choose(null);
}

at("index").addEventListener("change", () =>
  attempt(async () => showStructure(await askJson(`api/structures/${structure.id}?index=${at("index").value - 1}`)))
);
at("file").addEventListener("change", (event) => event.target.files[0] && takeFile(event.target.files[0]));
at("example").addEventListener("click", () => takeFile(new File([EXAMPLE], "rock-salt.vasp")));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop").classList.add("over");
});
document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) takeFile(file);
});

// ---- the form

function fillKinds() {
  at("kinds").replaceChildren(
    ...kinds.map((kind, number) => {
      const label = element("label", "");
      const radio = document.createElement("input");
      Object.assign(radio, { type: "radio", name: "kind", value: kind.name, checked: number === 0 });
      radio.addEventListener("change", () => fillSettings(kind));
      label.append(radio, kind.name);
      return label;
    })
  );
  fillSettings(kinds[0]);
}

function fillSettings(kind) {
  at("kind-about").textContent = kind.about;
  at("settings").replaceChildren(...kind.settings.map(settingLine));
}

function settingLine(setting) {
  const line = element("label", "", `setting ${setting.type === "flag" ? "flag" : "value"}`);
  const words = element("span", `${setting.label} `);
  words.append(element("code", setting.option));
  line.append(words, settingInput(setting));
  return line;
}

function settingInput(setting) {
  const input = document.createElement(setting.type === "choice" ? "select" : "input");
  if (setting.type === "choice") input.append(...setting.choices.map((name) => new Option(name, name)));
  if (setting.type === "flag") Object.assign(input, { type: "checkbox", checked: setting.default });
  else input.value = setting.default;
  if (["number", "integer"].includes(setting.type)) {
    Object.assign(input, { type: "number", step: setting.type === "integer" ? 1 : "any", required: true });
    if (setting.low !== null) input.min = setting.low;
    if (setting.high !== null) input.max = setting.high;
    input.value = setting.default;
  }
  input.name = setting.name;
  return input;
}

function values() {
  const kind = kinds.find((each) => each.name === at("form").elements.kind.value);
  const value = { flag: (input) => input.checked, number: (input) => input.valueAsNumber, integer: (input) => input.valueAsNumber };
  const of = (setting) => (value[setting.type] ?? ((input) => input.value))(at("form").elements[setting.name]);
  return { kind: kind.name, values: Object.fromEntries(kind.settings.map((setting) => [setting.name, of(setting)])) };
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const job = await send("api/jobs", { structure: structure.id, index: structure.index, ...values() });
    jobs.set(job.id, job);
    choose(job.id);
    at("result").scrollIntoView({ block: "nearest" });
  });
});

// ---- jobs

function listJobs() {
  show("no-jobs", !jobs.size);
  const sorted = [...jobs.values()].sort((one, other) => other.number - one.number);
  for (const [id, item] of items) if (!jobs.has(id)) (item.remove(), items.delete(id));
  for (const job of sorted) {
    if (!items.has(job.id)) {
      const item = document.createElement("li");
      const made = element("button", "");
      made.type = "button";
      made.append(element("span", "", "what"), element("span", "", "state"));
      made.addEventListener("click", () => choose(job.id, true));
      item.append(made);
      items.set(job.id, item);
      at("jobs").prepend(item);
    }
    const line = items.get(job.id).firstChild;
    line.setAttribute("aria-current", String(job.id === chosen));
    line.querySelector(".what").textContent = `${job.number}. ${job.title} ${job.kind}`;
    const share = job.state === "running" && job.share !== null ? ` ${Math.round(100 * job.share)} %` : "";
    setState(line.querySelector(".state"), job, share);
  }
}

function setState(place, job, more = "") {
  place.textContent = job.state + more;
  place.className = `state ${job.state}`;
}

function choose(id, scrolls = false) {
  chosen = id;
  clearPictures();
  if (id === null) preview();
  else if (jobs.has(id)) showJob(jobs.get(id));
  listJobs();
  follow();
  if (scrolls && matchMedia("(max-width: 55rem)").matches) at("result").scrollIntoView();
}

function preview() {
  for (const part of ["state", "stop", "remove", "error", "progress", "table", "downloads", "log"]) show(part, false);
  at("result-title").textContent = structure?.title ?? "Nothing to see yet";
  at("facts").textContent = structure?.facts.join(" · ") ?? "";
  if (structure) drawAtoms(structure.scene, structure.legend, "", structure.scene.frames);
}

function showJob(job) {
  say("result-title", `${job.number}. ${job.title} ${job.kind}`);
  at("facts").textContent = [job.name, ...job.facts, ...(job.seconds === null ? [] : [duration(job.seconds)])].join(" · ");
  setState(at("state"), job);
  const isOver = !["waiting", "running"].includes(job.state);
  for (const [part, isShown] of Object.entries({ state: true, stop: !isOver, remove: isOver, progress: !isOver, log: true }))
    show(part, isShown);
  say("error", job.error);
  show("error", job.error);
  showProgress(job);
  showTable(job.table);
  showFiles(job);
  say("command", job.command);
  sayLines(job);
  say("origin", job.origin);
  show("origin", job.origin);
  document.title = `${job.title} ${job.kind}: ${job.state}`;
}

function sayLines(job) {
  const key = `${job.id} ${job.said.length}`;
  if (at("said").dataset.key === key) return;
  at("said").dataset.key = key;
  at("said").replaceChildren(...job.said.map((each) => element("li", each.words, each.kind)));
}

function showProgress(job) {
  if (job.share === null) at("bar").removeAttribute("value");
  else at("bar").value = job.share;
  const before = [...jobs.values()].filter((each) => ["waiting", "running"].includes(each.state) && each.number < job.number);
  const waits = `waits for ${before.length} other${before.length === 1 ? "" : "s"}`;
  say("words", job.state === "waiting" ? waits : job.words || "starting");
}

function showTable(table) {
  show("table", table);
  if (!table) return;
  const head = document.createElement("tr");
  table.columns.slice(1).forEach((column, k) => {
    const cell = element("th", column.name, table.rows[0]?.[k + 1].is_number ? "number" : "");
    cell.scope = "col";
    if (column.unit) cell.append(element("span", column.unit, "unit"));
    head.append(cell);
  });
  // the first column names the file, which there is one of; where it tells more, it stays
  const isFile = table.columns[0].name === "file";
  if (!isFile) head.prepend(element("th", table.columns[0].name));
  const rows = table.rows.map((row) => {
    const line = document.createElement("tr");
    line.append(...row.slice(isFile ? 1 : 0).map((cell) => element("td", cell.text, cell.is_number ? "number" : "")));
    return line;
  });
  at("table").querySelector("thead").replaceChildren(head);
  at("table").querySelector("tbody").replaceChildren(...rows);
}

function showFiles(job) {
  const names = Object.keys(job.files).sort((one, other) => other.endsWith(".html") - one.endsWith(".html"));
  show("downloads", names.length);
  const key = JSON.stringify(job.links);
  if (at("files").dataset.key === key) return; // a link that has the focus keeps it
  at("files").dataset.key = key;
  at("files").replaceChildren(
    ...names.map((name) => {
      const line = document.createElement("li");
      const link = (words, more = "") => Object.assign(element("a", words), { href: job.links[name] + more });
      if (name.endsWith(".html")) {
        line.append(Object.assign(link("Open the report"), { target: "_blank", rel: "noopener noreferrer" }), " · ");
      }
      line.append(link(name, name.endsWith(".html") ? "&save=1" : ""), element("span", ` ${size(job.files[name])}`, "quiet"));
      return line;
    })
  );
}

function size(number) {
  return number < 1e6 ? `${Math.ceil(number / 1000)} kB` : `${Number((number / 1e6).toPrecision(3))} MB`;
}

function duration(seconds) {
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

at("stop").addEventListener("click", () => attempt(() => send(`api/jobs/${chosen}/stop`, {})));
at("remove").addEventListener("click", () => attempt(() => ask(`api/jobs/${chosen}`, { method: "DELETE" })));

// ---- pictures

function clearPictures() {
  viewer?.dispose();
  curve?.dispose();
  viewer = curve = null;
  show("viewer", false);
  show("curve", false);
}

function drawAtoms(scene, legend, label, frames) {
  const view = viewer && viewer.data.symbols.join() === scene.symbols.join() ? viewer.gl.getView() : null;
  viewer?.dispose();
  show("viewer", true);
  const along = frames.map((frame) => frame.along ?? 0);
  viewer = at("viewer").viewer = new StructureViewer(at("viewer"), { ...scene, along, label }, [...frames]);
  if (view) viewer.gl.setView(view);
  if (frames.length > 1) viewer.show(frames.length - 1);
  at("legend").replaceChildren(
    ...legend.map(([symbol, shade]) => {
      const line = element("li", symbol);
      const dot = element("span", "");
      dot.style.background = shade;
      line.prepend(dot);
      return line;
    })
  );
}

function drawCurve(points) {
  if (!points.length) return;
  if (!curve) {
    show("curve", true);
    const [along, ...names] = [course.label, ...course.columns].map((name) => name.replace(/ \(.*/, ""));
    at("curve-caption").textContent = `${names.join(" and ").replace(/^./, (letter) => letter.toUpperCase())} by ${along}.`;
    curve = new Curve(at("curve"), course.label, course.columns);
  }
  curve.extend(points);
}

function takeCourse(news) {
  if (news.job !== chosen || !jobs.has(chosen)) return;
  if (news.scene) {
    course = { label: news.label, columns: news.columns };
    curve?.dispose();
    curve = null;
    show("curve", false);
    drawCurve(news.points);
    drawAtoms(news.scene, jobs.get(chosen).legend, news.label, news.frames.length ? news.frames : news.scene.frames);
    return;
  }
  drawCurve(news.points);
  if (news.frames.length) viewer?.extend(news.frames, news.frames.map((frame) => frame.along));
}

at("viewer").addEventListener("frame", (event) => curve?.mark(event.detail.along));

// ---- what the server tells

function takeJobs({ jobs: changed, gone, all }) {
  if (all) for (const id of [...jobs.keys()]) if (!changed.some((job) => job.id === id)) jobs.delete(id);
  gone.forEach((id) => jobs.delete(id));
  for (const job of changed) {
    const before = jobs.get(job.id)?.state;
    jobs.set(job.id, job);
    if (before && before !== job.state) at("announce").textContent = `${job.title} ${job.kind} ${job.state}`;
  }
  if (chosen !== null && !jobs.has(chosen)) choose(null);
  else if (chosen === null && !structure && jobs.size) choose([...jobs.keys()].at(-1));
  else if (chosen !== null) showJob(jobs.get(chosen));
  listJobs();
}

// Listens for as long as the page is seen: a browser has few connections to a server for all its tabs.
async function follow() {
  stream?.abort();
  const mine = (stream = new AbortController());
  while (!mine.signal.aborted && !document.hidden) {
    try {
      at("link").textContent = "";
      const take = (name, content) => (name === "jobs" ? takeJobs : takeCourse)(content);
      await listen(`api/events${chosen === null ? "" : `?job=${chosen}`}`, take, mine.signal);
    } catch (error) {
      if (mine.signal.aborted) return;
      at("link").textContent = error.message;
      if (error instanceof Refused) return;
    }
    await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
}

document.addEventListener("visibilitychange", () => (document.hidden ? stream?.abort() : follow()));

async function begin() {
  try {
    const start = await askJson("api/start");
    kinds = start.kinds;
    bytes = start.limits.bytes;
    at("about").textContent = `Files of up to ${size(bytes)} and ${start.limits.atoms.toLocaleString("en")} atoms, jobs of up to ${start.limits.minutes} min.`;
    at("version").textContent = `torch_gptff ${start.version}, ${start.model.slice(1, 2)}`;
    fillKinds();
    follow();
  } catch (error) {
    at("link").textContent = error.message;
    if (error instanceof Refused) tellProblem(error.message);
    else setTimeout(begin, AGAIN_MS);
  }
}

begin();
