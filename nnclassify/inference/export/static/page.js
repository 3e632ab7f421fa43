// The page around an exported network: what goes in, and the probabilities as bars. See network.js for the arithmetic.
"use strict";

const page = JSON.parse(document.getElementById("page").textContent);
const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) key in made && key !== "list" ? (made[key] = value) : made.setAttribute(key, value);
  made.append(...children);
  return made;
};
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const HUES = [215, 25, 140, 350, 270, 50, 185, 315, 95, 235];
const colorOf = (index, alpha = 1) => `hsl(${HUES[index % HUES.length]} 65% ${index >= HUES.length ? 35 : 50}% / ${alpha})`;
const MAX_BARS = 12, THRESHOLD = 0.5;

// ---- Answers ---------------------------------------------------------------------------------------------------------

function show(network, numbers, note = "") {
  const answer = document.getElementById("answer"), bars = document.getElementById("bars");
  if (numbers === null) return refuse("The values are out of the range of the training images.");
  const [probabilities, classes] = network.run(numbers);
  if (probabilities.some(Number.isNaN)) return refuse("These values cannot be classified: one is too large.");
  const order = probabilities.map((_, index) => index).sort((a, b) => probabilities[b] - probabilities[a]);
  const chosen = page.is_multi_hot ? order.filter((index) => classes[index] === 1) : [classes[0]];
  const rule = page.decision_rule !== null && chosen[0] !== order[0] ? page.decision_rule : "";
  document.getElementById("note").textContent = [note, rule].filter((text) => text).join(" ");
  answer.textContent = chosen.length ? chosen.map((index) => page.classes[index]).join(", ") : "none of the classes";
  const shown = page.classes.length > MAX_BARS ? order.slice(0, MAX_BARS) : probabilities.map((_, index) => index);
  bars.replaceChildren(...shown.map((index) => {
    const share = probabilities[index], fill = element("span", { className: "fill" });
    fill.style.width = `${100 * share}%`;
    fill.style.background = colorOf(index);
    return element("li", { className: chosen.includes(index) ? "chosen" : "" },
      element("span", { className: "label", title: page.classes[index] }, page.classes[index]), element("span", { className: "bar" }, fill), element("span", { className: "share" }, percent(share)));
  }));
  return undefined;
}
function refuse(text) {
  document.getElementById("answer").textContent = text;
  document.getElementById("bars").replaceChildren();
  document.getElementById("note").textContent = "";
  const seen = document.getElementById("seen");
  if (seen) seen.getContext("2d").clearRect(0, 0, seen.width, seen.height);
}

/** An input that is not classified; the message says why. */
class Refusal extends Error {}

// ---- Images ----------------------------------------------------------------------------------------------------------

/** Reads a gray PNG or PGM file of 16 bits, which a browser would reduce to 8; null if it is another file. */
async function deepImage(bytes) {
  const view = new DataView(bytes.buffer);
  const text = (start, end) => String.fromCharCode(...bytes.subarray(start, end));
  if (text(0, 2) === "P5") {
    const header = /^P5\s+(?:#[^\n]*\s+)*(\d+)\s+(\d+)\s+(\d+)\s/.exec(text(0, 200));
    if (!header || Number(header[3]) < 256) return null;
    const [width, height] = header.slice(1, 3).map(Number), start = header[0].length;
    return { height, width, channels: 1, data: Float64Array.from({ length: width * height }, (_, at) => view.getUint16(start + 2 * at)) };
  }
  if (text(1, 4) !== "PNG" || bytes[24] !== 16 || bytes[25] !== 0) return null;
  if (bytes[28] !== 0) throw new Refusal("an interlaced PNG file of 16 bits; save it without interlacing.");
  const [width, height, parts] = [view.getUint32(16), view.getUint32(20), []];
  for (let at = 8; at < bytes.length; at += view.getUint32(at) + 12) {
    if (text(at + 4, at + 8) === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const rows = new Uint8Array(await new Response(new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
  const line = 2 * width, plain = new Uint8Array(line * height);
  const paeth = (a, b, c) => [[Math.abs(b - c), a], [Math.abs(a - c), b], [Math.abs(a + b - 2 * c), c]].reduce((best, one) => (one[0] < best[0] ? one : best))[1];
  for (let y = 0; y < height; y++) {
    const filter = rows[y * (line + 1)];
    for (let x = 0; x < line; x++) {
      const left = x > 1 ? plain[y * line + x - 2] : 0, up = y ? plain[(y - 1) * line + x] : 0, corner = x > 1 && y ? plain[(y - 1) * line + x - 2] : 0;
      plain[y * line + x] = rows[y * (line + 1) + 1 + x] + [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
    }
  }
  const values = new DataView(plain.buffer);
  return { height, width, channels: 1, data: Float64Array.from({ length: width * height }, (_, at) => values.getUint16(2 * at)) };
}

/** The bytes (H, W, C) of what a canvas shows. */
function canvasImage(canvas, channels) {
  const { width, height } = canvas, { data } = canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, width, height);
  const found = new Uint8Array(width * height * channels);
  for (let at = 0; at < width * height; at++) {
    const [red, green, blue] = [data[4 * at], data[4 * at + 1], data[4 * at + 2]];
    if (channels === 1) found[at] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    else found.set([red, green, blue], 3 * at);
  }
  return { height, width, channels, data: found };
}

/** Shows what the network sees of an image. */
function showSeen(raw, { height, width, max_value: white }) {
  const canvas = document.getElementById("seen"), context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  const channels = raw.length / (height * width);
  for (let at = 0; at < height * width; at++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * at + c] = (raw[(channels === 1 ? 0 : c) * height * width + at] * 255) / white;
    pixels.data[4 * at + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

function imageInput(network, host) {
  const { image_format: format, is_whole: isWhole, pen } = page.input, channels = format.mode === "gray" ? 1 : 3;
  const classify = (image, isDeep, note) => {
    const whites = [8, 10, 12, 14, 16].map((bits) => 2 ** bits - 1);
    const white = isDeep ? format.white ?? whites.find((one) => !image.data.some((value) => value > one)) : null;
    const raw = rawImage(image, { ...format, white }, isWhole || format.white === null);
    show(network, raw, note);
    if (raw !== null) showSeen(raw, format);
  };
  let latest = 0;
  const open = async ([file, ...others]) => {
    const number = ++latest;
    if (!file) return;
    if (others.length) return void refuse(`${others.length + 1} files; give one at a time.`);
    try {
      const bytes = new Uint8Array(await file.arrayBuffer()), deep = await deepImage(bytes);
      if (number !== latest) return;  // another one has been given meanwhile
      if (deep) return void classify(deep, true);
      const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
      if (number !== latest) return;
      const canvas = element("canvas", { width: bitmap.width, height: bitmap.height }), context = canvas.getContext("2d", { willReadFrequently: true });
      context.fillStyle = format.background;
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(bitmap, 0, 0);
      const side = Math.ceil(Math.max(format.width, format.height) / format.crop_fraction), isJpeg = bytes[0] === 0xff && bytes[1] === 0xd8;
      const isReduced = isJpeg && Math.min(bitmap.width, bitmap.height) >= 2 * side;
      classify(canvasImage(canvas, channels), false, isReduced ? "nnclassify predict decodes large JPEG files at a reduced size, so its probabilities may differ a little." : "");
    } catch (error) {
      if (number === latest) refuse(`${file.name}: ${error instanceof Refusal ? error.message : "not an image that this browser can read."}`);
    }
  };
  const chooser = element("input", { type: "file", accept: "image/*,.pgm", id: "file" });
  chooser.addEventListener("change", () => open(chooser.files));
  const zone = element("div", { className: "zone" }, element("label", { htmlFor: "file" }, "Drop or paste an image, or choose a file"), chooser);
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", name === "dragover");
      if (name === "drop") open(event.dataTransfer.files);
    });
  }
  document.addEventListener("paste", (event) => open(event.clipboardData.files));
  host.append(zone);
  if (pen) drawing(host, pen, (canvas) => classify(canvasImage(canvas, channels), false));
  const seen = element("canvas", { id: "seen", width: format.width, height: format.height, role: "img", ariaLabel: "What the network sees" });
  host.append(element("figure", {}, seen, element("figcaption", {}, `What the network sees: ${format.width} x ${format.height} pixels`)));
  refuse(pen ? "Draw something, or drop an image." : "Drop an image.");
}

/** A canvas to draw on. */
function drawing(host, { ink, paper }, drawn) {
  const canvas = element("canvas", { id: "drawing", width: 280, height: 280, tabIndex: 0, role: "img", ariaLabel: "Draw here" });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const clear = () => {
    context.fillStyle = paper;
    context.fillRect(0, 0, 280, 280);
    refuse("Draw something, or drop an image.");
  };
  const at = (event) => [((event.clientX - canvas.getBoundingClientRect().left) * 280) / canvas.clientWidth, ((event.clientY - canvas.getBoundingClientRect().top) * 280) / canvas.clientHeight];
  Object.assign(context, { strokeStyle: ink, lineWidth: 24, lineCap: "round", lineJoin: "round" });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    context.beginPath();
    context.moveTo(...at(event));
    context.lineTo(...at(event));
    context.stroke();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    context.lineTo(...at(event));
    context.stroke();
  });
  canvas.addEventListener("pointerup", () => drawn(canvas));
  const button = element("button", { type: "button" }, "Clear");
  button.addEventListener("click", clear);
  host.append(element("figure", {}, canvas, element("figcaption", {}, "Draw here ", button)));
  clear();
}

// ---- Values ----------------------------------------------------------------------------------------------------------

/** The number that a text is; NaN for no text. */
function numberOf(name, text) {
  if (text.trim() === "") return NaN;
  const isNumber = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(text) && Number.isFinite(Number(text));
  if (!isNumber) throw new Refusal(`${name}: found "${text}", expected a number, such as 0.5.`);
  return Number(text);
}
/** Shows the answer to numbers, or why one of them is none. */
function showNumbers(network, numbers) {
  try {
    const found = numbers();
    show(network, found);
    return found;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return refuse(error.message);
  }
}

/** A field for a column; its `number()` is what stands for its value. */
function fieldOf(column, index, changed) {
  const id = `field${index}`, label = element("label", { htmlFor: id }, column.name);
  let field, number;
  if (column.categories) {
    const options = column.categories.map((name, place) => element("option", { value: String(place) }, name));
    if (column.kind === "one_hot") options.push(element("option", { value: String(column.categories.length) }, "(another)"));
    if (column.may_be_missing) options.push(element("option", { value: "NaN" }, "(missing)"));
    field = element("select", { id }, ...options);
    number = () => Number(field.value);
  } else if (column.kind === "date") {
    field = element("input", { id, type: "datetime-local", step: 60 });
    number = () => {
      const days = Date.parse(`${field.value}Z`) / 86400000;
      if (field.validity.badInput || (field.value && Number.isNaN(days))) throw new Refusal(`${column.name}: expected a date of the years 1 to 9999, and a time.`);
      return days;
    };
  } else {
    field = element("input", { id, type: "text", inputMode: "decimal", autocomplete: "off" });
    number = () => numberOf(column.name, field.value);
  }
  const known = () => {
    const found = number();
    if (Number.isNaN(found) && !column.may_be_missing) throw new Refusal(`${column.name}: the value is missing.`);
    return found;
  };
  const set = (value) => {
    field.value = column.kind === "date" && Number.isFinite(value) ? new Date(Math.round(value * 86400000)).toISOString().slice(0, 16) : column.categories ? String(value) : Number.isFinite(value) ? String(value) : "";
  };
  set(column.start);
  for (const name of ["input", "change"]) field.addEventListener(name, changed);  // a program may cause only one of them
  return { row: element("p", {}, label, field), number: known, set };
}

function valueInput(network, host) {
  const changed = () => {
    const numbers = showNumbers(network, () => fields.map((field) => field.number()));
    if (map && numbers) map.mark(numbers);
  };
  const fields = page.input.fields.map((column, index) => fieldOf(column, index, changed));
  const map = page.input.regions ? regionMap(network, host, (point) => {
    point.forEach((value, index) => fields[index].set(Number(value.toPrecision(4))));
    changed();
  }) : null;
  host.append(element("div", { className: "fields" }, ...fields.map((field) => field.row)));
  changed();
}

function listInput(network, host) {
  const size = count(page.input.shape), field = element("textarea", { id: "values", rows: 8, spellcheck: false }, page.input.start.join(", "));
  const changed = () => {
    const texts = field.value.split(/[\s,;]+/).filter(Boolean);
    if (texts.length !== size) refuse(`${texts.length} numbers; expected ${size}.`);
    else showNumbers(network, () => texts.map((text, place) => numberOf(`value ${place + 1}`, text)));
  };
  field.addEventListener("input", changed);
  host.append(element("label", { htmlFor: "values" }, `The ${size} numbers of an example of shape ${page.input.shape.join(" x ")}`), field);
  changed();
}

/** The map of what the network answers for two values, which follows the pointer. */
function regionMap(network, host, moved) {
  const { low, high, points, names } = page.input.regions, cells = 80, side = 320;
  const canvas = element("canvas", { id: "regions", width: side, height: side, role: "img", ariaLabel: `The predicted class for every ${names[0]} and ${names[1]}` });
  const context = canvas.getContext("2d"), base = element("canvas", { width: side, height: side }), paint = base.getContext("2d");
  const place = (point) => [((point[0] - low[0]) / (high[0] - low[0])) * side, side - ((point[1] - low[1]) / (high[1] - low[1])) * side];
  let marked = null, row = 0;
  const refresh = () => {
    context.drawImage(base, 0, 0);
    for (const [x, y, index] of points) {
      context.beginPath();
      context.arc(...place([x, y]), 4, 0, 2 * Math.PI);
      Object.assign(context, { fillStyle: colorOf(index), strokeStyle: "white", lineWidth: 1.5 });
      context.fill();
      context.stroke();
    }
    if (!marked) return;
    const [x, y] = place(marked);
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, side);
    context.moveTo(0, y);
    context.lineTo(side, y);
    Object.assign(context, { strokeStyle: "rgb(0 0 0 / 60%)", lineWidth: 1 });
    context.stroke();
  };
  const paintRows = () => {  // a few rows at a time, so that the page answers meanwhile
    for (const end = Date.now() + 12; row < cells && Date.now() < end; row++) {
      for (let column = 0; column < cells; column++) {
        const [probabilities, classes] = network.run([low[0] + ((column + 0.5) / cells) * (high[0] - low[0]), high[1] - ((row + 0.5) / cells) * (high[1] - low[1])]);
        const index = page.is_multi_hot ? probabilities.indexOf(Math.max(...probabilities)) : classes[0];
        paint.fillStyle = "white";
        paint.fillRect((column * side) / cells, (row * side) / cells, side / cells, side / cells);
        paint.fillStyle = colorOf(index, 0.12 + 0.5 * probabilities[index] ** 2);
        paint.fillRect((column * side) / cells, (row * side) / cells, side / cells, side / cells);
      }
    }
    refresh();
    if (row < cells) requestAnimationFrame(paintRows);
  };
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect(), x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    moved([low[0] + x * (high[0] - low[0]), high[1] - y * (high[1] - low[1])]);
  });
  host.append(element("figure", {}, canvas, element("figcaption", {}, `${names[0]} from left to right, ${names[1]} from bottom to top; the dots are training examples. Move the pointer over it.`)));
  requestAnimationFrame(paintRows);
  return { mark: (numbers) => { marked = numbers; refresh(); } };
}

// ---- Start -----------------------------------------------------------------------------------------------------------

if (page.check) {
  const results = compared(page).map((parts) => parts.map((part) => part.map((value) => (Number.isNaN(value) ? null : value))));
  document.body.replaceChildren(element("pre", { id: "compared" }, JSON.stringify(results)));
} else {
  const start = { image: imageInput, values: valueInput, list: listInput }[page.input.way];
  start(new Network(page.program), document.getElementById("input"));
}
