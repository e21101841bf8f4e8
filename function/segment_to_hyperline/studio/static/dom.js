// Create elements, and speak with the server.

// Return an element; text is never parsed as HTML.
export function h(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.flat().filter((child) => child !== null && child !== ""));
  return element;
}

export const find = (id) => document.getElementById(id);

// In a row that is shorter than the heads, the last cell is wider.
export function table(caption, heads, rows) {
  if (!rows.length) return "";
  const head = h(
    "tr",
    {},
    heads.map((text) => h("th", { scope: "col" }, text)),
  );
  const body = rows.map((row) =>
    h(
      "tr",
      {},
      row.map((cell, n) => h("td", { colSpan: n === row.length - 1 ? heads.length - n : 1 }, cell)),
    ),
  );
  return h("table", {}, h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, body));
}

export const count = (number, noun) =>
  `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

// Return the JSON of a response; throw an error with the problem.
export async function request(path, body, options = {}) {
  const posted = body instanceof Blob || body === undefined ? body : JSON.stringify(body);
  const method = body === undefined ? "GET" : "POST";
  const response = await fetch(path, { method, body: posted, ...options });
  const content = await response.json();
  if (!response.ok) throw new Error(content.problem);
  return content;
}

// Show a dialog, and return the value of the button that closed it; empty for Escape.
export function ask(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }),
  );
}
