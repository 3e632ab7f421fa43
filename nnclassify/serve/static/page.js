"use strict";

const COLORS = ["#1f77b4", "#d95f02", "#2a9d5c", "#c2185b", "#7b5ea7", "#8c6d1f", "#00838f", "#9e3d22", "#5a6b00", "#555e68"];
const MOST_SHOWN = 10;
const result = document.getElementById("result");
let model = null;

/* Build an element; texts stay texts, whatever names contain. */
function el(tag, attributes = {}, ...children) {
  const svg = ["svg", "rect"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const percent = (share) => `${(100 * share).toFixed(1)}%`;

/* Answers. */

function bar(share) {
  return el("svg", { class: "bar own", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    el("rect", { class: "track", width: 100, height: 10 }),
    el("rect", { class: "fill", width: (100 * share).toFixed(2), height: 10 }));
}

function heading(prediction) {
  if (prediction.labels) return prediction.labels.length ? prediction.labels.join(", ") : "none of the classes";
  return prediction.unsure ? "unsure" : prediction.label;
}

function flags(prediction) {
  const texts = [];
  if (prediction.unsure) {
    texts.push(`Unsure: the predicted class is ${prediction.label}, but its probability is below ${percent(model.min_confidence)}.`);
  }
  if (model.decision_rule && prediction.top.some((one) => one.probability > prediction.probability)) texts.push(model.decision_rule);
  if (prediction.unlike) texts.push("This input is unlike the training data. Do not rely on the prediction.");
  if (prediction.set) texts.push(`Prediction set: ${prediction.set.join(", ") || "empty"}.`);
  return texts.map((text) => el("p", { class: "flag" }, text));
}

function bars(prediction) {
  const rows = prediction.top.slice(0, MOST_SHOWN).map((one) => el("tr", {},
    el("th", { scope: "row" }, el("bdi", {}, one.label)), el("td", {}, bar(one.probability)),
    el("td", { class: "num" }, percent(one.probability))));
  return el("table", { class: "bars" }, el("caption", { class: "hidden" }, "Probabilities"),
    el("thead", { class: "hidden" }, el("tr", {}, el("th", { scope: "col" }, "class"), el("td"), el("th", { scope: "col" }, "probability"))),
    el("tbody", {}, ...rows));
}

function answer(prediction, seen) {
  return el("article", { class: "answer" },
    seen ? el("img", { class: "seen", src: seen, alt: "" }) : null,
    prediction.input.startsWith("inputs[") ? null : el("p", { class: "name" }, el("bdi", {}, prediction.input)),
    el("p", { class: "label" }, el("bdi", {}, heading(prediction))),
    ...flags(prediction), bars(prediction));
}

function table(predictions) {
  const rows = predictions.map((one) => el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, one.input)),
    el("td", {}, el("bdi", {}, heading(one))), el("td", { class: "num" }, one.labels ? "" : percent(one.probability)),
    el("td", {}, one.unlike ? "unlike the training data" : "")));
  const names = ["input", "prediction", "probability", ""];
  return el("div", { class: "scroll tall answer", tabindex: 0, role: "group", "aria-label": "Predictions" }, el("table", { class: "rows" },
    el("thead", {}, el("tr", {}, ...names.map((name) => name ? el("th", { scope: "col" }, name) : el("td")))), el("tbody", {}, ...rows)));
}

/* Send a request; return what to show. */
async function ask(body, seen) {
  const isForm = body instanceof FormData;
  const headers = isForm ? {} : { "Content-Type": "application/json" };
  let found;
  try {
    const response = await fetch("predict", { method: "POST", headers, body: isForm ? body : JSON.stringify(body) });
    found = await response.json();
  } catch (error) {
    found = { errors: [`The server does not answer (${error.message}).`] };
  }
  if (found.errors) return found.errors.map((text) => el("p", { class: "problem", role: "alert" }, text));
  const notes = found.notes.map((text) => el("p", { class: "flag" }, text));
  return [found.predictions.length > 1 ? table(found.predictions) : answer(found.predictions[0], seen), ...notes];
}

let latest = 0;

/* Show the answers to requests in order; those to earlier requests that come later are dropped. */
async function show(requests) {
  const number = ++latest;
  result.setAttribute("aria-busy", "true");
  const shown = [];
  for (const [body, seen] of requests) {
    shown.push(...await ask(body, seen));
    if (number !== latest) return;
    result.replaceChildren(...shown);
  }
  result.setAttribute("aria-busy", "false");
}

function formOf(content, name) {
  const form = new FormData();
  form.append("file", content, name);
  return form;
}

/* Files. */

function sendFiles(list) {
  const isImage = model.input.kind === "image";
  show([...list].map((file) => [formOf(file, file.name), isImage ? URL.createObjectURL(file) : null]));
}

function files(what, accept, many) {
  const input = el("input", { type: "file", id: "file", class: "hidden", accept, multiple: many, onchange: () => { sendFiles(input.files); input.value = ""; } });
  for (const name of ["dragover", "dragenter"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  }
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    if (event.dataTransfer.files.length) sendFiles(event.dataTransfer.files);
  });
  return el("div", { class: "part drop" }, el("label", { class: "button", for: "file" }, `Choose ${what}`), input,
    el("p", {}, "Or drop it anywhere on this page."));
}

/* A pad to draw on. What is drawn is centered, as in most datasets of handwriting. */

function pad() {
  const side = 280, margin = side / 8;
  const canvas = el("canvas", { class: "pad", width: side, height: side, role: "img", "aria-label": "Drawing area" });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const dark = el("input", { type: "checkbox", id: "dark", onchange: () => clear() });
  let at = null;
  const ink = () => dark.checked ? "#000000" : "#ffffff";
  const ground = () => dark.checked ? "#ffffff" : "#000000";
  function clear() {
    context.fillStyle = ground();
    context.fillRect(0, 0, side, side);
  }
  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * side / box.width, (event.clientY - box.top) * side / box.height];
  }
  function stroke(to) {
    Object.assign(context, { strokeStyle: ink(), lineWidth: side / 11, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(...at);
    context.lineTo(...to);
    context.stroke();
    at = to;
  }
  function centered() {
    const { data } = context.getImageData(0, 0, side, side);
    const reach = [side, side, 0, 0];
    for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) {
      if ((data[4 * (y * side + x)] > 127) === dark.checked) continue;
      reach[0] = Math.min(reach[0], x); reach[1] = Math.min(reach[1], y);
      reach[2] = Math.max(reach[2], x + 1); reach[3] = Math.max(reach[3], y + 1);
    }
    const width = reach[2] - reach[0], height = reach[3] - reach[1];
    if (width <= 0) return null;
    const scale = (side - 2 * margin) / Math.max(width, height);
    const copy = el("canvas", { width: side, height: side }), drawn = copy.getContext("2d");
    drawn.fillStyle = ground();
    drawn.fillRect(0, 0, side, side);
    drawn.drawImage(canvas, reach[0], reach[1], width, height,
      (side - width * scale) / 2, (side - height * scale) / 2, width * scale, height * scale);
    return copy;
  }
  function send() {
    const copy = centered();
    if (copy) copy.toBlob((blob) => show([[formOf(blob, "drawing.png"), copy.toDataURL()]]));
  }
  canvas.addEventListener("pointerdown", (event) => { at = place(event); canvas.setPointerCapture(event.pointerId); stroke(at); });
  canvas.addEventListener("pointermove", (event) => { if (at) stroke(place(event)); });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { if (at) { at = null; send(); } });
  clear();
  return el("div", { class: "part" }, el("h3", {}, "Or draw"), canvas, el("div", { class: "row" },
    el("button", { type: "button", class: "button second", onclick: clear }, "Clear"),
    el("label", { for: "dark" }, dark, "dark on light")));
}

/* A field per column. */

function choices(column, texts) {
  const missing = column.may_be_missing ? [el("option", { value: "" }, "(missing)")] : [];
  return [...texts.map(([value, text]) => el("option", { value }, text)), ...missing];
}

function field(column, index) {
  const id = `column-${index}`;
  const pairs = column.categories.map((text) => [text, text]);
  let input;
  if (column.kind === "one_hot") input = el("select", { id }, ...choices(column, [...pairs, ["(another)", "(another)"]]));
  else if (column.kind === "ordinal") input = el("select", { id }, ...choices(column, pairs));
  else if (column.kind === "yes_no") input = el("select", { id }, ...choices(column, [["yes", "yes"], ["no", "no"]]));
  else if (column.kind === "date") input = el("input", { id, type: "date" });
  else input = el("input", { id, type: "text", inputmode: "decimal", autocomplete: "off", value: column.typical ?? "" });
  const name = model.input.named ? column.name : `value ${column.name}`;
  return el("div", { class: "field" }, el("label", { for: id }, el("bdi", {}, name)), input);
}

function values() {
  return model.input.columns.map((column, index) => {
    const text = document.getElementById(`column-${index}`).value.trim();
    return text === "" ? null : text;
  });
}

function fields() {
  const submit = (event) => { event.preventDefault(); show([[{ inputs: [values()] }, null]]); };
  return el("form", { class: "part", onsubmit: submit, novalidate: true },
    el("div", { class: "fields" }, ...model.input.columns.map(field)),
    el("div", { class: "row" }, el("button", { class: "button" }, "Predict")));
}

/* The plane of two features. */

async function plane() {
  const map = await (await fetch("map")).json();
  const side = 6 * map.size, canvas = el("canvas", { class: "plane", width: side, height: side, role: "img", "aria-label": "Decision map" });
  const context = canvas.getContext("2d");
  const across = (x) => (x - map.x[0]) / (map.x[1] - map.x[0]) * side;
  const up = (y) => side - (y - map.y[0]) / (map.y[1] - map.y[0]) * side;
  function draw(mark) {
    context.globalAlpha = 1;
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, side, side);
    map.labels.forEach((row, j) => row.forEach((label, i) => {
      context.globalAlpha = 0.15 + 0.5 * map.probabilities[j][i] ** 2;
      context.fillStyle = COLORS[label % COLORS.length];
      context.fillRect(6 * i, side - 6 * (j + 1), 6, 6);
    }));
    context.globalAlpha = 1;
    if (!mark) return;
    context.lineWidth = 3;
    for (const [color, radius] of [["#ffffff", 9], ["#16202b", 6]]) {
      context.strokeStyle = color;
      context.beginPath();
      context.arc(across(mark[0]), up(mark[1]), radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const x = map.x[0] + (event.clientX - box.left) / box.width * (map.x[1] - map.x[0]);
    const y = map.y[1] - (event.clientY - box.top) / box.height * (map.y[1] - map.y[0]);
    [x, y].forEach((value, index) => { document.getElementById(`column-${index}`).value = value.toPrecision(5); });
    draw([x, y]);
    show([[{ inputs: [values()] }, null]]);
  });
  draw();
  const [first, second] = model.input.columns.map((column) => model.input.named ? column.name : `value ${column.name}`);
  const short = (value) => Number(value.toPrecision(3));
  const keys = model.classes.slice(0, COLORS.length).map((name, index) => el("li", {},
    el("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, el("rect", { width: 10, height: 10, fill: COLORS[index] })), el("bdi", {}, name)));
  return el("div", { class: "part" }, el("h3", {}, "Select a point"), canvas,
    el("p", { class: "note" }, `Across: ${first}, ${short(map.x[0])} to ${short(map.x[1])}. Up: ${second}, ${short(map.y[0])} to ${short(map.y[1])}.`),
    el("ul", { class: "keys" }, ...keys));
}

/* Tensors. */

function tensor() {
  const text = el("textarea", { id: "tensor", spellcheck: "false" });
  const submit = (event) => {
    event.preventDefault();
    try {
      show([[{ inputs: [JSON.parse(text.value)] }, null]]);
    } catch (error) {
      result.replaceChildren(el("p", { class: "problem", role: "alert" }, `The example is not JSON: ${error.message}.`));
    }
  };
  return el("form", { class: "part", onsubmit: submit }, el("div", { class: "field" },
    el("label", { for: "tensor" }, `One example as nested lists of numbers, of shape (${model.input.shape.join(", ")})`), text),
    el("div", { class: "row" }, el("button", { class: "button" }, "Predict")));
}

async function start() {
  model = await (await fetch("model")).json();
  const input = document.getElementById("input"), kind = model.input.kind;
  document.title = `${model.run} - nnclassify serve`;
  document.getElementById("run").replaceChildren(el("bdi", {}, model.run));
  const names = model.classes.slice(0, MOST_SHOWN).join(", ") + (model.classes.length > MOST_SHOWN ? ` and ${model.classes.length - MOST_SHOWN} more` : "");
  const what = { image: "images", table: "rows of a table", tensor: `tensors of shape (${model.input.shape.join(", ")})` }[kind];
  document.getElementById("task").textContent = `Classifies ${what} as ${model.multi_hot ? "any number of " : ""}${names}.`;
  if (kind === "image") {
    input.append(files("an image", "image/*,.heic,.heif,.tif,.tiff,.bmp", true));
    if (model.input.image.drawable) input.append(pad());
  } else if (kind === "table") {
    if (model.input.has_map) input.append(await plane());
    input.append(fields(), files("a CSV file", ".csv,.tsv,.txt,text/csv", false));
  } else {
    input.append(tensor(), files("an .npy file", ".npy", false));
  }
}

start();
