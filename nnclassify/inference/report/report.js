"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const element = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  all(".needs-script, .hint").forEach((part) => { part.hidden = false; });

  // Light or dark: what the system says, until the reader chooses.
  const theme = document.getElementById("theme");
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colors`); };
  theme.hidden = false;
  label();
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);

  // Curves: a slider over the epochs, by pointer, touch and keyboard.
  all("[data-chart]").forEach((figure) => {
    const chart = data.charts[figure.dataset.chart];
    const plot = figure.querySelector(".plot"), svg = plot.querySelector("svg"), cursor = svg.querySelector(".cursor");
    const readout = figure.querySelector(".readout"), before = readout.textContent, last = chart.epochs.length - 1;
    let place = chart.mark === null ? last : chart.mark;
    const show = (next) => {
      place = Math.min(Math.max(next, 0), last);
      cursor.setAttribute("visibility", "visible");
      cursor.querySelector(".cross").setAttribute("transform", `translate(${chart.xs[place]} 0)`);
      all("circle", cursor).forEach((dot, number) => {
        const height = chart.lines[number].ys[place];
        dot.setAttribute("visibility", height === null ? "hidden" : "inherit");
        if (height !== null) { dot.setAttribute("cx", chart.xs[place]); dot.setAttribute("cy", height); }
      });
      const values = chart.lines.filter((line) => line.texts[place]).map((line) => `${line.name} ${line.texts[place]}`);
      readout.textContent = `epoch ${chart.epochs[place].toLocaleString("en-US")}: ${values.join(", ")}`;
      plot.setAttribute("aria-valuenow", chart.epochs[place]);
      plot.setAttribute("aria-valuetext", readout.textContent);
    };
    const hide = () => { cursor.setAttribute("visibility", "hidden"); readout.textContent = before; };
    const nearest = (event) => {
      const box = svg.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      let low = 0, high = last;
      while (low < high) { const middle = (low + high) >> 1; if (chart.xs[middle] < x) low = middle + 1; else high = middle; }
      return low > 0 && x - chart.xs[low - 1] < chart.xs[low] - x ? low - 1 : low;
    };
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
    Object.entries({ role: "slider", tabindex: "0", "aria-label": `${figure.querySelector("h3").textContent}: epoch`,
      "aria-valuemin": chart.epochs[0], "aria-valuemax": chart.epochs[last], "aria-valuenow": chart.epochs[place],
      "aria-valuetext": before }).forEach(([name, value]) => plot.setAttribute(name, value));
    plot.addEventListener("pointermove", (event) => show(nearest(event)));
    plot.addEventListener("pointerdown", (event) => show(nearest(event)));
    plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse" && document.activeElement !== plot) hide(); });
    plot.addEventListener("focus", () => { if (plot.matches(":focus-visible")) show(place); });
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      if (event.key in steps) { event.preventDefault(); show(place + steps[event.key]); }
    });
  });

  // Cells of the confusion matrix: the examples in them.
  const opened = document.getElementById("opened");
  const sharpen = (image) => image.classList.toggle("tiny", Math.max(image.naturalWidth, image.naturalHeight) < 20);
  const exampleOf = ([name, confidence, loss, source]) => {
    const figure = element("figure", "example"), caption = element("figcaption"), image = element("img");
    image.addEventListener("load", () => sharpen(image));
    Object.assign(image, { src: source, alt: "", width: 84, height: 84 });
    caption.append(element("bdi", "name", name), element("span", "", `${confidence} sure, loss ${loss}`));
    figure.append(image, caption);
    return figure;
  };
  const lineOf = ([name, confidence, loss, , values]) => {
    const line = element("li");
    line.append(element("bdi", "", name), element("span", "quiet", ` ${confidence} sure, loss ${loss}${values ? `; ${values}` : ""}`));
    return line;
  };
  const open = (button) => {
    const [truth, predicted] = button.dataset.cell.split("-").map((index) => data.classes[index]);
    const rows = data.cells[button.dataset.cell] || [], count = Number(button.textContent);
    all("[data-cell]").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    const title = document.getElementById("opened-title");
    title.replaceChildren(element("bdi", "", truth), truth === predicted ? " predicted correctly" : " taken for ", ...(truth === predicted ? [] : [element("bdi", "", predicted)]));
    const ranked = "highest loss first";
    document.getElementById("opened-note").textContent = rows.length < count ? `${rows.length} of ${count.toLocaleString("en-US")}, ${ranked}` : `${count.toLocaleString("en-US")}, ${ranked}`;
    const shown = rows.map((row) => data.examples[row]), drawn = shown.filter((example) => example[3]);
    document.getElementById("opened-examples").replaceChildren(...drawn.map(exampleOf));
    document.getElementById("opened-others").replaceChildren(...shown.filter((example) => !example[3]).map(lineOf));
    opened.hidden = false;
    opened.scrollTop = 0;
    document.body.classList.add("has-opened");
    title.focus({ preventScroll: true });
    const box = opened.getBoundingClientRect();
    if (box.top < 0 || box.top > innerHeight * 0.8) opened.scrollIntoView({ block: "nearest" });
  };
  all("[data-cell]").forEach((button) => {
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => open(button));
  });
  all(".example img").forEach((image) => {
    if (image.complete) sharpen(image); else image.addEventListener("load", () => sharpen(image));
  });

  // Tables that sort.
  all("table.sortable").forEach((table) => {
    const body = table.tBodies[0];
    all("th[data-sort]", table).forEach((head) => {
      const button = element("button", "", head.textContent), column = head.cellIndex, isNumber = head.dataset.sort === "number";
      button.type = "button";
      head.replaceChildren(button);
      const value = (row) => isNumber ? Number(row.cells[column].dataset.value) : row.cells[column].textContent;
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort"), isUp = now ? now === "descending" : !isNumber;
        const sign = isUp ? 1 : -1;
        all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
        const order = isNumber ? (one, other) => value(one) - value(other) : (one, other) => value(one).localeCompare(value(other), "en", { numeric: true });
        body.append(...[...body.rows].sort((one, other) => sign * order(one, other)));
      });
    });
  });
})();
