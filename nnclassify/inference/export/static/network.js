// Runs an exported network: the operations of torch.export's core ATen set, Pillow's resizing, and the columns of a
// table. No dependencies and no DOM, so that it runs in a page, in a worker and in Node.js alike.
//
// A value is {shape, data}: data is a Float32Array for float32, a Float64Array for float64 and integers, and a
// Uint8Array for booleans. Every operation is told the shape and the number type of its results. Sums are accumulated in
// float64 and rounded to the number type of the result.
"use strict";

const ARRAYS = { f4: Float32Array, f8: Float64Array, i8: Float64Array, b1: Uint8Array, u1: Uint8Array };
const count = (shape) => shape.reduce((product, size) => product * size, 1);
const stridesOf = (shape) => {
  const strides = new Array(shape.length);
  for (let place = shape.length - 1, step = 1; place >= 0; place--) {
    strides[place] = step;
    step *= shape[place];
  }
  return strides;
};
const allocated = ([dtype, shape]) => ({ shape, data: new ARRAYS[dtype](count(shape)) });
const isValue = (item) => item !== null && typeof item === "object" && "data" in item;
const axisOf = (axis, shape) => (axis < 0 ? axis + shape.length : axis);
const axesOf = (axes, shape) => (axes == null || axes.length === 0 ? shape.map((_, place) => place) : [axes].flat().map((axis) => axisOf(axis, shape)));

// ---- Elementwise operations ------------------------------------------------------------------------------------------

/** The steps of a value along the axes of a shape that it is broadcast to. */
function broadcastStrides(value, shape) {
  const own = stridesOf(value.shape), shift = shape.length - value.shape.length;
  return shape.map((_, place) => (place < shift || value.shape[place - shift] === 1 ? 0 : own[place - shift]));
}

/** Calls visit(place in the result, place in the value) for each element of a shape. */
function eachPlace(shape, strides, visit, start = 0) {
  const index = new Array(shape.length).fill(0), total = count(shape);
  for (let place = 0, source = start; place < total; place++) {
    visit(place, source);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += strides[axis];
      if (++index[axis] < shape[axis]) break;
      source -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

/** The elements of an operand, as many as the result has. */
function operand(item, shape) {
  if (!isValue(item)) return { data: [Number(item)], step: 0 };
  if (item.data.length === 1) return { data: item.data, step: 0 };
  if (item.data.length === count(shape) && item.shape.join() === shape.slice(shape.length - item.shape.length).join()) return { data: item.data, step: 1 };
  const data = new Float64Array(count(shape));
  eachPlace(shape, broadcastStrides(item, shape), (place, source) => { data[place] = item.data[source]; });
  return { data, step: 1 };
}

const map1 = (f) => ([x], kwargs, [out]) => {
  const result = allocated(out), a = operand(x, result.shape);
  for (let i = 0; i < result.data.length; i++) result.data[i] = f(a.data[i * a.step]);
  return result;
};
const map2 = (f) => ([x, y], kwargs, [out]) => {
  const result = allocated(out), a = operand(x, result.shape), b = operand(y, result.shape);
  for (let i = 0; i < result.data.length; i++) result.data[i] = f(a.data[i * a.step], b.data[i * b.step]);
  return result;
};
const map3 = (f) => ([x, y, z], kwargs, [out]) => {
  const result = allocated(out), a = operand(x, result.shape), b = operand(y, result.shape), c = operand(z, result.shape);
  for (let i = 0; i < result.data.length; i++) result.data[i] = f(a.data[i * a.step], b.data[i * b.step], c.data[i * c.step]);
  return result;
};

/** The error function: a series near 0, a continued fraction beyond. */
function erf(x) {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let term = x, sum = x;
    for (let n = 1; n < 60; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * (size + fraction)));
}
const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const roundHalfEven = (x) => {
  const floor = Math.floor(x), rest = x - floor;
  return rest < 0.5 ? floor : rest > 0.5 ? floor + 1 : floor % 2 === 0 ? floor : floor + 1;
};
const gelu = ([x], { approximate = "none" }, out) =>
  map1(approximate === "tanh"
    ? (v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v)))
    : (v) => 0.5 * v * (1 + erf(v / Math.SQRT2)))([x], {}, out);
const elu = ([x, alpha = 1, scale = 1, inputScale = 1], kwargs, out) =>
  map1((v) => scale * (v > 0 ? v : alpha * Math.expm1(v * inputScale)))([x], {}, out);
const divided = ([x, y], { rounding_mode: mode }, out) =>
  map2(mode === "floor" ? (a, b) => Math.floor(a / b) : mode === "trunc" ? (a, b) => Math.trunc(a / b) : (a, b) => a / b)([x, y], {}, out);
const clamp = ([x, low = null, high = null], { min = low, max = high }, out) =>
  map1((v) => (min !== null && v < min ? min : max !== null && v > max ? max : v))([x], {}, out);
const least = (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? NaN : Math.min(a, b));
const most = (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? NaN : Math.max(a, b));

// ---- Shapes ----------------------------------------------------------------------------------------------------------

const reshaped = ([x], kwargs, [[, shape]]) => ({ shape, data: x.data });
const converted = ([x], kwargs, [out]) => {
  const result = allocated(out), whole = out[0] === "i8", truth = out[0] === "b1";
  for (let i = 0; i < x.data.length; i++) result.data[i] = truth ? Number(x.data[i] !== 0) : whole ? Math.trunc(x.data[i]) : x.data[i];
  return result;
};
/** A view by steps along the axes, copied. */
function strided(x, strides, [out], start = 0) {
  const result = allocated(out);
  eachPlace(result.shape, strides, (place, source) => { result.data[place] = x.data[source]; }, start);
  return result;
}
const permuted = ([x, axes], kwargs, out) => {
  const own = stridesOf(x.shape);
  return strided(x, axes.map((axis) => own[axisOf(axis, x.shape)]), out);
};
const sliced = ([x, axis = 0, start = 0, end = null, step = 1], kwargs, out) => {
  const own = stridesOf(x.shape), place = axisOf(axis, x.shape), size = x.shape[place];
  const first = Math.min(Math.max(start == null ? 0 : start < 0 ? start + size : start, 0), size);
  return strided(x, own.map((stride, at) => (at === place ? stride * step : stride)), out, first * own[place]);
};
const selected = ([x, axis, index], kwargs, out) => {
  const own = stridesOf(x.shape), place = axisOf(axis, x.shape);
  return strided(x, own.filter((_, at) => at !== place), out, (index < 0 ? index + x.shape[place] : index) * own[place]);
};
const expanded = ([x], kwargs, out) => strided(x, broadcastStrides(x, out[0][1]), out);
const flipped = ([x, axes], kwargs, out) => {
  const turned = new Set(axesOf(axes, x.shape)), own = stridesOf(x.shape);
  const start = own.reduce((sum, stride, at) => sum + (turned.has(at) ? stride * (x.shape[at] - 1) : 0), 0);
  return strided(x, own.map((stride, at) => (turned.has(at) ? -stride : stride)), out, start);
};
const split = ([x, sizes, axis = 0], kwargs, outs) => {
  let start = 0;
  return outs.map((out) => {
    const part = sliced([x, axis, start], {}, [out]);
    start += out[1][axisOf(axis, x.shape)];
    return part;
  });
};
const joined = ([parts, axis = 0], kwargs, [out]) => {
  const result = allocated(out), place = axisOf(axis, result.shape), inner = count(result.shape.slice(place + 1));
  const outer = count(result.shape.slice(0, place)), width = result.shape[place] * inner;
  let start = 0;
  for (const part of parts) {
    if (part.data.length === 0) continue;
    const own = part.shape[place] * inner;
    for (let row = 0; row < outer; row++) {
      for (let i = 0; i < own; i++) result.data[row * width + start + i] = part.data[row * own + i];
    }
    start += own;
  }
  return result;
};
/** Pads the last axes; `at` maps a place along an axis to one within it, or to -1 for the fill value. */
function padded(x, pads, [out], at, fill) {
  const result = allocated(out), own = stridesOf(x.shape), rank = x.shape.length;
  const before = x.shape.map((_, axis) => pads[2 * (rank - 1 - axis)] ?? 0);
  const index = new Array(rank).fill(0);
  for (let place = 0; place < result.data.length; place++) {
    let source = 0;
    for (let axis = 0; axis < rank && source >= 0; axis++) {
      const found = at(index[axis] - before[axis], x.shape[axis]);
      source = found < 0 ? -1 : source + found * own[axis];
    }
    result.data[place] = source < 0 ? fill : x.data[source];
    for (let axis = rank - 1; axis >= 0 && ++index[axis] === result.shape[axis]; axis--) index[axis] = 0;
  }
  return result;
}
const constantPad = ([x, pads, fill = 0], kwargs, out) => padded(x, pads, out, (place, size) => (place < 0 || place >= size ? -1 : place), fill);
const reflectionPad = ([x, pads], kwargs, out) =>
  padded(x, pads, out, (place, size) => (place < 0 ? -place : place >= size ? 2 * size - 2 - place : place), 0);
const filled = (value) => (args, kwargs, [out]) => {
  const result = allocated(out);
  result.data.fill(Number(value(args, kwargs)));
  return result;
};
const arange = (args, kwargs, [out]) => {
  const [start, , step = 1] = args.length > 1 ? args : [0];
  const result = allocated(out);
  for (let i = 0; i < result.data.length; i++) result.data[i] = start + i * step;
  return result;
};

// ---- Elements by their places ----------------------------------------------------------------------------------------

const indexSelect = ([x, axis, rows], kwargs, out) => indexed([x, [...new Array(axisOf(axis, x.shape)).fill(null), rows]], {}, out);
/** x[indices], where adjacent axes are indexed and the rest is taken whole. */
const indexed = ([x, indices], kwargs, [out]) => {
  const result = allocated(out), own = stridesOf(x.shape), first = indices.findIndex((index) => index !== null);
  const used = indices.filter((index) => index !== null), last = first + used.length;
  const shape = result.shape.slice(first, result.shape.length - (x.shape.length - last));
  const offsets = new Float64Array(count(shape));
  used.forEach((index, at) => {
    const from = operand(index, shape), size = x.shape[first + at];
    for (let i = 0; i < offsets.length; i++) {
      const place = from.data[i * from.step];
      offsets[i] += (place < 0 ? place + size : place) * own[first + at];
    }
  });
  const inner = count(x.shape.slice(last)), outer = count(x.shape.slice(0, first)), step = count(x.shape.slice(first));
  let place = 0;
  for (let row = 0; row < outer; row++) {
    for (const offset of offsets) for (let i = 0; i < inner; i++) result.data[place++] = x.data[row * step + offset + i];
  }
  return result;
};
const gathered = ([x, axis, index], kwargs, [out]) => {
  const result = allocated(out), own = stridesOf(x.shape), along = axisOf(axis, x.shape);
  const strides = own.map((stride, at) => (at === along ? 0 : stride));
  eachPlace(index.shape, strides, (place, source) => { result.data[place] = x.data[source + index.data[place] * own[along]]; });
  return result;
};
const embedding = ([weight, index], kwargs, out) => indexed([weight, [index]], {}, out);

// ---- Reductions ------------------------------------------------------------------------------------------------------

/** The groups of elements that are reduced to one: calls visit(place in the result, [places in x]). */
function eachGroup(x, axes, visit) {
  const own = stridesOf(x.shape), reduced = new Set(axes);
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !reduced.has(axis));
  const inside = [...reduced].sort((a, b) => a - b), places = [];
  eachPlace(inside.map((axis) => x.shape[axis]), inside.map((axis) => own[axis]), (_, source) => places.push(source));
  eachPlace(kept.map((axis) => x.shape[axis]), kept.map((axis) => own[axis]), (place, source) => visit(place, source, places));
}
const reduction = (start, add, finish = (sum) => sum) => ([x, axes = null], kwargs, [out]) => {
  const result = allocated(out);
  eachGroup(x, axesOf(axes, x.shape), (place, start0, places) => {
    let sum = start;
    for (const offset of places) sum = add(sum, x.data[start0 + offset]);
    result.data[place] = finish(sum, places.length);
  });
  return result;
};
const variance = ([x, axes = null], { correction = 1 }, [out]) => {
  const result = allocated(out);
  eachGroup(x, axesOf(axes, x.shape), (place, start, places) => {
    let mean = 0, squares = 0;
    for (const offset of places) mean += x.data[start + offset] / places.length;
    for (const offset of places) squares += (x.data[start + offset] - mean) ** 2;
    result.data[place] = squares / Math.max(0, places.length - (correction ?? 1));
  });
  return result;
};
const extreme = (isBetter) => ([x, axis = null], kwargs, outs) => {
  const results = outs.map(allocated), [values, indices] = results.length > 1 ? results : [null, results[0]];
  eachGroup(x, axesOf(axis, x.shape), (place, start, places) => {
    let best = 0;
    places.forEach((offset, at) => {
      const found = x.data[start + offset], known = x.data[start + places[best]];
      if (!Number.isNaN(known) && (Number.isNaN(found) || isBetter(found, known))) best = at;
    });
    if (values) values.data[place] = x.data[start + places[best]];
    indices.data[place] = best;
  });
  return values ? results : indices;
};
const argmax = (args, kwargs, outs) => extreme((a, b) => a > b)(args, kwargs, outs);
const maxOrAll = (args, kwargs, outs) => (outs.length > 1 ? extreme((a, b) => a > b)(args, kwargs, outs) : reduction(-Infinity, most)([args[0]], {}, outs));
const minOrAll = (args, kwargs, outs) => (outs.length > 1 ? extreme((a, b) => a < b)(args, kwargs, outs) : reduction(Infinity, least)([args[0]], {}, outs));
const cumulated = ([x, axis], kwargs, [out]) => {
  const result = allocated(out);
  eachGroup(x, [axisOf(axis, x.shape)], (_, start, places) => {
    let sum = 0;
    for (const offset of places) result.data[start + offset] = sum += x.data[start + offset];
  });
  return result;
};
const sorted = ([x, axis = -1, descending = false], kwargs, outs) => {
  const [values, indices] = outs.map(allocated), isDown = kwargs.descending ?? descending;
  eachGroup(x, [axisOf(kwargs.dim ?? axis, x.shape)], (_, start, places) => {
    const order = places.map((_, at) => at).sort((a, b) => (x.data[start + places[a]] - x.data[start + places[b]]) * (isDown ? -1 : 1) || a - b);
    order.forEach((from, at) => {
      values.data[start + places[at]] = x.data[start + places[from]];
      indices.data[start + places[at]] = from;
    });
  });
  return [values, indices];
};
const softmax = (isLog) => ([x, axis], kwargs, [out]) => {
  const result = allocated(out);
  eachGroup(x, [axisOf(axis, x.shape)], (_, start, places) => {
    let highest = -Infinity, sum = 0;
    for (const offset of places) highest = most(highest, x.data[start + offset]);
    for (const offset of places) sum += Math.exp(x.data[start + offset] - highest);
    const log = Math.log(sum);
    for (const offset of places) {
      const shifted = x.data[start + offset] - highest;
      result.data[start + offset] = isLog ? shifted - log : Math.exp(shifted) / sum;
    }
  });
  return result;
};

// ---- Layers ----------------------------------------------------------------------------------------------------------

/** Products of B matrices (n, k) and (k, m), plus an optional addend that is broadcast. */
function product(x, y, [out], addend = null) {
  const result = allocated(out), rank = x.shape.length, [n, k] = x.shape.slice(-2), m = y.shape[rank - 1];
  const row = new Float64Array(m), more = addend === null ? null : operand(addend, result.shape);
  for (let batch = 0; batch < count(x.shape.slice(0, -2)); batch++) {
    for (let i = 0; i < n; i++) {
      const at = (batch * n + i) * m;
      for (let j = 0; j < m; j++) row[j] = more === null ? 0 : more.data[(at + j) * more.step];
      for (let inner = 0; inner < k; inner++) {
        const factor = x.data[(batch * n + i) * k + inner], from = (batch * k + inner) * m;
        if (factor !== 0) for (let j = 0; j < m; j++) row[j] += factor * y.data[from + j];
      }
      for (let j = 0; j < m; j++) result.data[at + j] = row[j];
    }
  }
  return result;
}
const linear = ([x, weight, bias = null], kwargs, out) => {
  const turned = permuted([weight, [1, 0]], {}, [["f8", [weight.shape[1], weight.shape[0]]]]);
  const rows = { shape: [x.data.length / weight.shape[1], weight.shape[1]], data: x.data };
  return reshaped([product(rows, turned, [[out[0][0], [rows.shape[0], weight.shape[0]]]], bias)], {}, out);
};
const convolution = ([x, weight, bias, stride, padding, dilation, isTransposed, , groups], kwargs, [out]) => {
  const result = allocated(out), [, channels, height, width] = x.shape, [outChannels, perGroup, kh, kw] = weight.shape;
  if (isTransposed || x.shape.length !== 4) throw new Error("a transposed convolution, or one that is not of images");
  const [outHeight, outWidth] = result.shape.slice(2), sums = new Float64Array(outHeight * outWidth);
  const step = (list, at) => list[Math.min(at, list.length - 1)];
  const [sy, sx, py, px, dy, dx] = [stride, padding, dilation].flatMap((list) => [step(list, 0), step(list, 1)]);
  for (let example = 0; example < x.shape[0]; example++) {
    for (let o = 0; o < outChannels; o++) {
      sums.fill(bias === null ? 0 : bias.data[o]);
      const group = Math.floor(o / (outChannels / groups));
      for (let c = 0; c < perGroup; c++) {
        const image = (example * channels + group * perGroup + c) * height * width;
        for (let ky = 0; ky < kh; ky++) {
          for (let kx = 0; kx < kw; kx++) {
            const factor = weight.data[((o * perGroup + c) * kh + ky) * kw + kx], shift = kx * dx - px;
            const first = Math.max(0, Math.ceil(-shift / sx)), last = Math.min(outWidth - 1, Math.floor((width - 1 - shift) / sx));
            for (let row = 0; row < outHeight; row++) {
              const y = row * sy + ky * dy - py;
              if (y < 0 || y >= height) continue;
              const to = row * outWidth, from = image + y * width + shift;
              for (let column = first; column <= last; column++) sums[to + column] += factor * x.data[from + column * sx];
            }
          }
        }
      }
      result.data.set(sums, (example * outChannels + o) * outHeight * outWidth);
    }
  }
  return result;
};
/** Calls visit(place in the result, [places in x]) for each window of images. */
function eachWindow(x, out, [kernel, stride, padding, dilation], visit) {
  const [height, width] = x.shape.slice(-2), [outHeight, outWidth] = out[1].slice(-2), planes = count(x.shape.slice(0, -2));
  const step = (list, at) => list[Math.min(at, list.length - 1)];
  let place = 0;
  for (let plane = 0; plane < planes; plane++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++) {
        const places = [];
        for (let ky = 0; ky < step(kernel, 0); ky++) {
          const y = row * step(stride, 0) + ky * step(dilation, 0) - step(padding, 0);
          for (let kx = 0; kx < step(kernel, 1); kx++) {
            const at = column * step(stride, 1) + kx * step(dilation, 1) - step(padding, 1);
            if (y >= 0 && y < height && at >= 0 && at < width) places.push((plane * height + y) * width + at);
          }
        }
        visit(place++, places);
      }
    }
  }
}
const given = (list, otherwise) => (list == null || list.length === 0 ? otherwise : [list].flat());
const maxPool = ([x, kernel, stride, padding = [0], dilation = [1]], kwargs, outs) => {
  const [values, indices] = outs.map(allocated), plane = count(x.shape.slice(-2));
  eachWindow(x, outs[0], [given(kernel), given(stride, given(kernel)), given(padding, [0]), given(dilation, [1])], (place, places) => {
    let best = places[0];
    for (const at of places) if (x.data[at] > x.data[best] || Number.isNaN(x.data[at])) best = at;
    values.data[place] = x.data[best];
    indices.data[place] = best % plane;
  });
  return [values, indices];
};
const avgPool = ([x, kernel, stride, padding = [0], , countsPadding = true, divisor = null], kwargs, [out]) => {
  const result = allocated(out), size = [given(kernel)].flat(), area = size.length > 1 ? size[0] * size[1] : size[0] ** 2;
  const [ph, pw] = [given(padding, [0])[0], given(padding, [0]).at(-1)];
  if ((ph || pw) && countsPadding) {
    const [h, w] = x.shape.slice(-2), wide = [...x.shape.slice(0, -2), h + 2 * ph, w + 2 * pw];
    x = constantPad([x, [pw, pw, ph, ph], 0], {}, [["f8", wide]]);
    padding = [0];
  }
  eachWindow(x, out, [size, given(stride, size), given(padding, [0]), [1]], (place, places) => {
    let sum = 0;
    for (const at of places) sum += x.data[at];
    result.data[place] = sum / (divisor ?? (countsPadding && places.length === area ? area : places.length));
  });
  return result;
};
const adaptiveAvgPool = ([x], kwargs, [out]) => {
  const result = allocated(out), [height, width] = x.shape.slice(-2), [outHeight, outWidth] = result.shape.slice(-2);
  let place = 0;
  for (let plane = 0; plane < count(x.shape.slice(0, -2)); plane++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++) {
        const ends = [[row, height, outHeight], [column, width, outWidth]].map(([at, size, parts]) => [Math.floor((at * size) / parts), Math.ceil(((at + 1) * size) / parts)]);
        let sum = 0;
        for (let y = ends[0][0]; y < ends[0][1]; y++) for (let at = ends[1][0]; at < ends[1][1]; at++) sum += x.data[(plane * height + y) * width + at];
        result.data[place++] = sum / ((ends[0][1] - ends[0][0]) * (ends[1][1] - ends[1][0]));
      }
    }
  }
  return result;
};
const batchNorm = ([x, weight, bias, mean, squares, , eps], kwargs, outs) => {
  const result = allocated(outs[0]), channels = x.shape[1], inner = count(x.shape.slice(2));
  for (let i = 0; i < x.data.length; i++) {
    const c = Math.floor(i / inner) % channels;
    result.data[i] = ((x.data[i] - mean.data[c]) / Math.sqrt(squares.data[c] + eps)) * (weight?.data[c] ?? 1) + (bias?.data[c] ?? 0);
  }
  return [result];
};
/** Normalizes runs of elements to mean 0 and variance 1; at(i) is the place of an element in weight and bias. */
function normalized(x, out, run, eps, weight, bias, at) {
  const result = allocated(out);
  for (let start = 0; start < x.data.length; start += run) {
    let mean = 0, squares = 0;
    for (let i = start; i < start + run; i++) mean += x.data[i] / run;
    for (let i = start; i < start + run; i++) squares += (x.data[i] - mean) ** 2 / run;
    const scale = 1 / Math.sqrt(squares + eps);
    for (let i = start; i < start + run; i++) result.data[i] = (x.data[i] - mean) * scale * (weight?.data[at(i)] ?? 1) + (bias?.data[at(i)] ?? 0);
  }
  return [result];
}
const layerNorm = ([x, shape, weight, bias, eps], kwargs, outs) => normalized(x, outs[0], count(shape), eps, weight, bias, (i) => i % count(shape));
const groupNorm = ([x, weight, bias, n, channels, inner, groups, eps], kwargs, outs) =>
  normalized(x, outs[0], (channels / groups) * inner, eps, weight, bias, (i) => Math.floor(i / inner) % channels);

// Python reads the names of this table to say what a page can carry out.
const OPERATIONS = {
  "aten.abs": map1(Math.abs), "aten.neg": map1((x) => -x), "aten.exp": map1(Math.exp), "aten.expm1": map1(Math.expm1),
  "aten.log": map1(Math.log), "aten.log1p": map1(Math.log1p), "aten.log2": map1(Math.log2), "aten.sqrt": map1(Math.sqrt),
  "aten.rsqrt": map1((x) => 1 / Math.sqrt(x)), "aten.reciprocal": map1((x) => 1 / x), "aten.sin": map1(Math.sin),
  "aten.cos": map1(Math.cos), "aten.tanh": map1(Math.tanh), "aten.sigmoid": map1(sigmoid), "aten.erf": map1(erf),
  "aten.floor": map1(Math.floor), "aten.ceil": map1(Math.ceil), "aten.trunc": map1(Math.trunc), "aten.round": map1(roundHalfEven),
  "aten.sign": map1(Math.sign), "aten.relu": map1((x) => (x < 0 ? 0 : x)), "aten.isnan": map1((x) => Number(Number.isNaN(x))),
  "aten.isinf": map1((x) => Number(Math.abs(x) === Infinity)), "aten.logical_not": map1((x) => Number(x === 0)),
  "aten.bitwise_not": map1((x) => Number(x === 0)), "aten.square": map1((x) => x * x),
  "aten.leaky_relu": ([x, slope = 0.01], kwargs, out) => map1((v) => (v > 0 ? v : v * slope))([x], {}, out),
  "aten.softplus": ([x, beta = 1, threshold = 20], kwargs, out) => map1((v) => (v * beta > threshold ? v : Math.log1p(Math.exp(v * beta)) / beta))([x], {}, out),
  "aten.hardtanh": ([x, low = -1, high = 1], kwargs, out) => clamp([x, low, high], {}, out),
  "aten.clamp": clamp, "aten.elu": elu, "aten.gelu": gelu,
  "aten.add": ([x, y], { alpha = 1 }, out) => map2((a, b) => a + alpha * b)([x, y], {}, out),
  "aten.sub": ([x, y], { alpha = 1 }, out) => map2((a, b) => a - alpha * b)([x, y], {}, out),
  "aten.rsub": ([x, y], { alpha = 1 }, out) => map2((a, b) => b - alpha * a)([x, y], {}, out),
  "aten.mul": map2((a, b) => a * b), "aten.div": divided, "aten.pow": map2(Math.pow), "aten.atan2": map2(Math.atan2),
  "aten.minimum": map2(least), "aten.maximum": map2(most), "aten.clamp_min": map2(most), "aten.clamp_max": map2(least),
  "aten.fmod": map2((a, b) => a % b), "aten.remainder": map2((a, b) => a - b * Math.floor(a / b)),
  "aten.eq": map2((a, b) => Number(a === b)), "aten.ne": map2((a, b) => Number(a !== b)), "aten.lt": map2((a, b) => Number(a < b)),
  "aten.le": map2((a, b) => Number(a <= b)), "aten.gt": map2((a, b) => Number(a > b)), "aten.ge": map2((a, b) => Number(a >= b)),
  "aten.logical_and": map2((a, b) => Number(a !== 0 && b !== 0)), "aten.bitwise_and": map2((a, b) => Number(a !== 0 && b !== 0)),
  "aten.logical_or": map2((a, b) => Number(a !== 0 || b !== 0)), "aten.bitwise_or": map2((a, b) => Number(a !== 0 || b !== 0)),
  "aten.where": map3((condition, a, b) => (condition ? a : b)),
  "aten.view": reshaped, "aten._unsafe_view": reshaped, "aten.reshape": reshaped, "aten.unsqueeze": reshaped, "aten.squeeze": reshaped,
  "aten.alias": reshaped, "aten.clone": reshaped, "aten.lift_fresh_copy": reshaped, "aten.detach": reshaped, "aten._to_copy": converted,
  "aten.permute": permuted, "aten.slice": sliced, "aten.select": selected, "aten.expand": expanded, "aten.flip": flipped,
  "aten.as_strided": ([x, , strides, start = 0], kwargs, out) => strided(x, strides, out, start ?? 0),
  "aten.split_with_sizes": split, "aten.split": split, "aten.cat": joined,
  "aten.constant_pad_nd": constantPad, "aten.reflection_pad2d": reflectionPad,
  "aten.full": filled(([, value]) => value), "aten.full_like": filled(([, value]) => value), "aten.scalar_tensor": filled(([value]) => value),
  "aten.zeros": filled(() => 0), "aten.zeros_like": filled(() => 0), "aten.ones": filled(() => 1), "aten.ones_like": filled(() => 1), "aten.arange": arange,
  "aten.index_select": indexSelect, "aten.index": indexed, "aten._unsafe_index": indexed, "aten.gather": gathered, "aten.embedding": embedding,
  "aten.sum": reduction(0, (sum, x) => sum + x), "aten.mean": reduction(0, (sum, x) => sum + x, (sum, n) => sum / n),
  "aten.prod": reduction(1, (product, x) => product * x), "aten.amax": reduction(-Infinity, most), "aten.amin": reduction(Infinity, least),
  "aten.any": reduction(0, (found, x) => Number(found || x !== 0)), "aten.all": reduction(1, (found, x) => Number(found && x !== 0)),
  "aten.var": variance, "aten.max": maxOrAll, "aten.min": minOrAll, "aten.argmax": argmax, "aten.cumsum": cumulated, "aten.sort": sorted,
  "aten._softmax": softmax(false), "aten._log_softmax": softmax(true),
  "aten.mm": ([x, y], kwargs, out) => product(x, y, out), "aten.bmm": ([x, y], kwargs, out) => product(x, y, out),
  "aten.addmm": ([addend, x, y], kwargs, out) => product(x, y, out, addend), "aten.linear": linear,
  "aten.convolution": convolution, "aten.max_pool2d_with_indices": maxPool, "aten.avg_pool2d": avgPool, "aten._adaptive_avg_pool2d": adaptiveAvgPool,
  "aten._native_batch_norm_legit_no_training": batchNorm, "aten.native_layer_norm": layerNorm, "aten.native_group_norm": groupNorm,
  "getitem": ([values, place]) => values[place],
};

// ---- The network -----------------------------------------------------------------------------------------------------

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%,()*+-;.=/?@^_`{|}~";
const PLACES = new Map([...DIGITS].map((digit, place) => [digit.charCodeAt(0), place]));
/** The bytes of a text in base 85: four of them are five digits, the highest first. */
function bytesOf(text) {
  const bytes = new DataView(new ArrayBuffer((text.length / 5) * 4));
  for (let at = 0; at < text.length; at += 5) {
    let number = 0;
    for (let digit = at; digit < at + 5; digit++) number = number * 85 + PLACES.get(text.charCodeAt(digit));
    bytes.setUint32((at / 5) * 4, number);
  }
  return bytes.buffer;
}
function decoded({ dtype, shape, data }) {
  const bytes = bytesOf(data), size = count(shape);
  const values = dtype === "i8" ? Float64Array.from(new BigInt64Array(bytes, 0, size), Number) : new ARRAYS[dtype](bytes, 0, size);
  return { shape, data: values };
}

class Network {
  constructor({ tensors, operations, outputs, input }) {
    this.tensors = tensors.map(decoded);
    this.operations = operations;
    this.outputs = outputs;
    this.input = input;
  }

  /** Returns [probabilities, classes] for the numbers of one example. */
  run(numbers) {
    const values = [...this.tensors, { shape: this.input[1], data: ARRAYS[this.input[0]].from(numbers) }];
    const resolved = (item) => {
      if (Array.isArray(item)) return item.map(resolved);
      if (item === null || typeof item !== "object") return item;
      return "v" in item ? values[item.v] : Number(item.float);
    };
    for (const [name, args, kwargs, out] of this.operations) {
      values.push(OPERATIONS[name](args.map(resolved), kwargs, out));
    }
    return this.outputs.map((place) => Array.from(values[place].data));
  }
}

// ---- Pillow's resizing: see export/resize.py -------------------------------------------------------------------------

const BITS = 22;
const FILTERS = {
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, (distance) => {
    const x = Math.abs(distance), a = -0.5;
    return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
  }],
};

/** The coefficients along one axis: for each of `size` pixels, the first pixel that counts and the integer weights. */
function coefficients(length, start, end, size, interpolation) {
  const [support, filter] = FILTERS[interpolation], scale = Math.fround(end - start) / size, stretch = Math.max(1, scale);
  const radius = support * stretch, step = 1 / stretch;
  return Array.from({ length: size }, (_, place) => {
    const center = start + (place + 0.5) * scale;
    const low = Math.max(0, Math.floor(center - radius + 0.5)), high = Math.min(length, Math.floor(center + radius + 0.5));
    const weights = Array.from({ length: Math.max(0, high - low) }, (_, at) => filter((at + low - center + 0.5) * step));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return [low, weights.map((weight) => {
      const scaled = (weight / total) * 2 ** BITS;
      return scaled < 0 ? -Math.floor(0.5 - scaled) : Math.floor(0.5 + scaled);
    })];
  });
}

const toByte = (sum) => Math.min(255, Math.max(0, Math.floor((sum + 2 ** (BITS - 1)) / 2 ** BITS)));

/** Resizes the columns of bytes (H, W, C). */
function resampleColumns({ height, width, channels, data }, across) {
  const newWidth = across.length, found = new Uint8Array(height * newWidth * channels);
  for (let y = 0; y < height; y++) {
    across.forEach(([low, weights], x) => {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += data[(y * width + low + k) * channels + c] * weights[k];
        found[(y * newWidth + x) * channels + c] = toByte(sum);
      }
    });
  }
  return { height, width: newWidth, channels, data: found };
}

/** Resizes the rows of bytes (H, W, C). */
function resampleRows({ width, channels, data }, down) {
  const row = width * channels, found = new Uint8Array(down.length * row);
  down.forEach(([low, weights], y) => {
    for (let at = 0; at < row; at++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += data[(low + k) * row + at] * weights[k];
      found[y * row + at] = toByte(sum);
    }
  });
  return { height: down.length, width, channels, data: found };
}

/** Resizes bytes (H, W, C) with both boxes given as [start, end]; `rowsFirst` has the factors of resize.py's ROWS_FIRST. */
function resample(image, [newHeight, newWidth], [top, bottom], [left, right], interpolation, rowsFirst) {
  const across = coefficients(image.width, left, right, newWidth, interpolation);
  const down = coefficients(image.height, top, bottom, newHeight, interpolation);
  const sides = [image.height, image.width, newHeight, newWidth];
  const balance = rowsFirst === null ? 0 : sides.reduce((sum, side, at) => sum + side * rowsFirst[at], 0);
  if (newHeight < image.height && balance > 0) return resampleColumns(resampleRows(image, down), across);
  return resampleRows(resampleColumns(image, across), down);
}

const RESIZE = {
  squash: (image, { height, width, interpolation, rows_first: rowsFirst }) =>
    resample(image, [height, width], [0, image.height], [0, image.width], interpolation, rowsFirst),
  crop: (image, { height, width, interpolation, crop_fraction: fraction, rows_first: rowsFirst }) => {
    const border = (1 - fraction) / 2;
    let left = border * image.width, top = border * image.height;
    const liveWidth = image.width - left * 2, liveHeight = image.height - top * 2, ratio = liveWidth / liveHeight, wanted = width / height;
    const cropWidth = ratio > wanted ? wanted * liveHeight : liveWidth, cropHeight = ratio < wanted ? liveWidth / wanted : liveHeight;
    left += (liveWidth - cropWidth) * 0.5;
    top += (liveHeight - cropHeight) * 0.5;
    const box = (start, size) => [Math.fround(start), Math.fround(start + size)];
    return resample(image, [height, width], box(top, cropHeight), box(left, cropWidth), interpolation, rowsFirst);
  },
  pad: (image, { height, width, interpolation, rows_first: rowsFirst }) => {
    const wide = Math.max(image.width, Math.ceil(image.height / height)), high = Math.max(image.height, Math.ceil(image.width / width));
    if (wide !== image.width || high !== image.height) image = resample(image, [high, wide], [0, image.height], [0, image.width], "bicubic", rowsFirst);
    const ratio = image.width / image.height, wanted = width / height;
    const newHeight = ratio > wanted ? roundHalfEven((image.height / image.width) * width) : height;
    const newWidth = ratio < wanted ? roundHalfEven((image.width / image.height) * height) : width;
    const part = resample(image, [newHeight, newWidth], [0, image.height], [0, image.width], interpolation, rowsFirst);
    const found = { height, width, channels: image.channels, data: new Uint8Array(height * width * image.channels) };
    const top = roundHalfEven((height - newHeight) * 0.5), left = roundHalfEven((width - newWidth) * 0.5);
    for (let y = 0; y < newHeight; y++) {
      const row = part.data.subarray(y * newWidth * image.channels, (y + 1) * newWidth * image.channels);
      found.data.set(row, ((top + y) * width + left) * image.channels);
    }
    return found;
  },
};

/** Scales values of more than 8 bits to bytes: see `scaled_to_bytes` in export/network.py. NaN: out of range. */
function toBytes(values, { black, white }, isWhole) {
  if (white === null) return values;
  const over = isWhole ? 0 : 0.1 * (white - black);
  return Float64Array.from(values, (value) => {
    if (value < black - over || value > white + over) return NaN;
    if (isWhole) return Math.floor((value * 256) / (white + 1));
    return Math.min(255, Math.max(0, roundHalfEven((value - black) * (255 / (white - black || 1)))));
  });
}

/** The raw numbers (C, H, W) of an image (H, W, C) of any size; null if a value is out of range. */
function rawImage(image, format, isWhole) {
  const data = toBytes(image.data, format, isWhole);
  if (data.some(Number.isNaN)) return null;
  const { height, width, channels, data: pixels } = RESIZE[format.resize]({ ...image, data }, format);
  const wanted = format.mode === "gray" ? 1 : 3, white = format.max_value === 1 ? 255 : 1;
  const raw = new Float64Array(wanted * height * width);
  for (let c = 0, place = 0; c < wanted; c++) {
    for (let at = 0; at < height * width; at++) raw[place++] = Math.fround(pixels[at * channels + Math.min(c, channels - 1)] / white);
  }
  return raw;
}

/** Runs the examples that an export is compared on; returns probabilities and classes of each. */
function compared(page) {
  const network = new Network(page.program);
  return page.check.map((example) => {
    if (!example.image) return network.run(decoded(example).data);
    const [height, width, channels] = example.shape;
    const raw = rawImage({ height, width, channels, data: decoded(example).data }, page.input.image_format, page.input.is_whole);
    return network.run(raw);
  });
}
