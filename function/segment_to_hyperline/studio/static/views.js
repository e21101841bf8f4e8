// What is shown of an event, and of all events. These functions only create elements.
import { count, h, table } from "./dom.js";

const SIGNS = { "-": "removed", "+": "added", "!": "changed" };

export function showEvent(explained, { insert, goTo, saveTest }) {
  const { outcome, reason, value, rules, fields, billable, each, text } = explained;
  const columns = Math.max(0, ...fields.map(({ values }) => values.length));
  const heads = columns > 1 ? [...Array(columns).keys()].map((n) => `item ${n}`) : ["Value"];
  return [
    h(
      "p",
      { className: "outcome" },
      h(
        "span",
        {},
        h("strong", { className: outcome }, outcome),
        " ",
        [reason, value].filter(Boolean).join(": "),
      ),
      h("button", { id: "save-test", onclick: saveTest }, "Save as a test…"),
    ),
    h(
      "ol",
      { className: "rules" },
      rules.map((rule) =>
        h(
          "li",
          { value: rule.number },
          h("button", { className: "link", onclick: () => goTo(rule.number) }, rule.name),
          ` ${rule.why}`,
        ),
      ),
    ),
    table(
      "Fields",
      ["Field", "Expression", ...heads],
      fields.map(({ name, expression, values }) => [
        name,
        h("code", {}, expression),
        ...values.map(showValue),
      ]),
    ),
    ...(billable.length
      ? [
          h("h3", {}, count(billable.length, "billable event")),
          h(
            "pre",
            { tabIndex: 0, ariaLabel: "Billable events" },
            billable.join("\n"),
          ),
        ]
      : []),
    h("h3", {}, "Event ", h("small", {}, "a click on a name inserts its path")),
    h(
      "pre",
      { id: "json", tabIndex: 0, ariaLabel: "Event" },
      showText(text, (path) => insert(shorten(path, each))),
    ),
  ];
}

function showValue({ value, problem }) {
  return problem
    ? h("span", { className: "problem" }, problem)
    : h("code", {}, value);
}

// Keep a number as it is written; JavaScript would round a long one.
const keepNumber = (_, value, context) =>
  typeof value === "number" && context?.source ? JSON.rawJSON(context.source) : value;

function showText(text, insert) {
  try {
    return showJson(JSON.parse(text, keepNumber), [], "", insert);
  } catch {
    return [text]; // it is nested too deeply
  }
}

// Return JSON in which each name is a button.
function showJson(value, path, indent, insert) {
  if (value === null || typeof value !== "object" || JSON.isRawJSON?.(value))
    return [JSON.stringify(value)];
  const isList = Array.isArray(value);
  const entries = Object.entries(value);
  if (!entries.length) return [isList ? "[]" : "{}"];
  const inner = `${indent}  `;
  const lines = entries.flatMap(([name, child], number) => {
    const here = [...path, isList ? Number(name) : name];
    const key = isList
      ? []
      : [
          h(
            "button",
            { className: "link", title: writePath(here), onclick: () => insert(writePath(here)) },
            name,
          ),
          ": ",
        ];
    const comma = number < entries.length - 1 ? "," : "";
    return [`\n${inner}`, ...key, ...showJson(child, here, inner, insert), comma];
  });
  return [isList ? "[" : "{", ...lines, `\n${indent}${isList ? "]" : "}"}`];
}

const writeName = (name) => (/^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name));

// Return the JMESPath of a property.
export function writePath(path) {
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${writeName(part)}`))
    .join("")
    .slice(1);
}

// In a rule with `each`, a property of an element is one of `item`.
export function shorten(path, each) {
  if (!each || !path.startsWith(`${each}[`)) return path;
  return `item${path.slice(path.indexOf("]", each.length) + 1)}`;
}

export function showTotals({ outcomes, usage, more, filtered, quarantined, warnings }) {
  const names = ["billed", "filtered", "quarantined"];
  return [
    h(
      "p",
      {},
      names.flatMap((name) => [
        h("strong", { className: name }, `${(outcomes[name] ?? 0).toLocaleString("en")} ${name}`),
        " ",
      ]),
    ),
    table("Billed", ["Event type", "Customer", "Events", "Totals"], usage),
    more ? h("p", {}, `and ${count(more, "more group")}`) : "",
    table("Check whether this is what you meant", ["Events", "Warning"], warnings),
    table("Quarantined", ["Events", "Reason", "Values"], quarantined),
    table("Filtered", ["Events", "Reason"], filtered),
  ];
}

export function showDifference({ problem, changes, rows, more, risks }) {
  if (problem) return [h("p", { className: "problem" }, problem)];
  if (!rows.length && !risks.length) return [h("p", {}, "Nothing is billed differently.")];
  const counts = Object.entries(changes).map(
    ([name, number]) => `${number.toLocaleString("en")} ${name}`,
  );
  return [
    ...risks.map(({ title, advice, changes }) =>
      h(
        "div",
        { className: "risk" },
        h("h3", {}, title),
        table(
          "Changes",
          ["Events", "Change", "Some of them"],
          changes.map((c) => [
            c.number.toLocaleString("en"),
            c.what,
            c.events.slice(0, 5).join(", "),
          ]),
        ),
        h("p", {}, advice),
      ),
    ),
    h("p", {}, `billed events: ${counts.join(", ") || "none"}`),
    table(
      "Usage",
      ["Change", "Event type", "Customer", "Usage"],
      rows.map(([sign, ...cells]) => [
        h("span", { className: SIGNS[sign] }, `${sign} ${SIGNS[sign]}`),
        ...cells,
      ]),
    ),
    more ? h("p", {}, `and ${count(more, "more line")}`) : "",
  ];
}

export function showTests({ problem, title, tests, not_tested: unused }) {
  if (problem) return [h("p", { className: "problem" }, problem)];
  if (!tests.length)
    return [h("p", {}, "The mapping has no tests. Select an event, and save it as a test.")];
  return [
    h(
      "p",
      {},
      h("strong", { className: tests.every((t) => t.passed) ? "billed" : "quarantined" }, title),
    ),
    ...tests
      .filter((t) => !t.passed)
      .flatMap((t) => [
        h("h3", {}, t.name),
        h("pre", { tabIndex: 0, ariaLabel: t.name }, t.diff.join("\n")),
      ]),
    unused.length ? h("p", {}, `Not tested: ${unused.join(", ")}`) : "",
  ];
}
