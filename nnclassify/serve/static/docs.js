"use strict";

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const plain = (text) => text.replaceAll("`", "");
const code = (text) => el("pre", { tabindex: "0" }, el("code", {}, text));

/* A schema with what it refers to in place. */
function resolved(schema, document_) {
  if (Array.isArray(schema)) return schema.map((each) => resolved(each, document_));
  if (schema === null || typeof schema !== "object") return schema;
  if (schema.$ref) return resolved(schema.$ref.split("/").slice(1).reduce((at, key) => at[key], document_), document_);
  const left = Object.entries(schema).filter(([name, value]) => !(name === "title" && typeof value === "string"));
  return Object.fromEntries(left.map(([name, value]) => [name, resolved(value, document_)]));
}

function example(path, method) {
  const url = new URL(path.slice(1), document.baseURI.replace(/docs$/, ""));
  if (method === "get") return [`curl ${url}`];
  return [`curl -F file=@FILE ${url}`, `curl -H 'Content-Type: application/json' -d '{"inputs": [...]}' ${url}`];
}

function contents(content, document_) {
  return Object.entries(content ?? {}).filter(([, one]) => one.schema && Object.keys(one.schema).length).map(([type, one]) =>
    el("details", {}, el("summary", {}, type), code(JSON.stringify(resolved(one.schema, document_), null, 1))));
}

function operation(path, method, one, document_) {
  const rows = Object.entries(one.responses).map(([status, each]) => el("tr", {},
    el("th", { scope: "row" }, status), el("td", {}, plain(each.description), ...contents(each.content, document_))));
  const id = one.operationId;
  return el("section", { class: "operation", "aria-labelledby": id },
    el("h2", { id }, el("span", { class: "method" }, method.toUpperCase()), ` ${path}`),
    el("p", {}, one.summary ?? ""), one.description ? el("p", {}, plain(one.description)) : null,
    code(example(path, method).join("\n")),
    ...(one.requestBody ? [el("h3", {}, "Body"), ...contents(one.requestBody.content, document_)] : []),
    el("h3", {}, "Answers"),
    el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "status"), el("th", { scope: "col" }, "meaning"))), el("tbody", {}, ...rows)));
}

async function start() {
  const found = await (await fetch("openapi.json")).json();
  const all = Object.entries(found.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => operation(path, method, one, found)));
  document.getElementById("operations").append(...all);
}

start();
