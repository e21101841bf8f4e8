// The page: what happens when something is typed, selected, pasted or saved.
import { ask, count, find, h, request } from "./dom.js";
import { createEditor, goToRule, insertRule, showMistake } from "./editor.js";
import { showDifference, showEvent, showTests, showTotals } from "./views.js";

const MAX_LISTED = 1000;
const MARKS = { b: "✓", f: "–", q: "!" };
const PAUSE = 150; // of typing, in milliseconds

const page = crypto.randomUUID();
const opened = await request("state");
const state = { version: opened.version, saved: opened.text, events: null, marks: "", selected: 0 };
const editor = createEditor(find("editor"), opened.reference, () => state.events?.paths ?? {});
let evaluations = 0;
let pause = 0;
let explaining = new AbortController();

const text = () => editor.getValue();

function load(content) {
  editor.session.setValue(content);
  state.saved = text();
}

// Another page can change the events, and then the index is that of another one.
const isOutdated = ({ events }) => events !== state.events.version;

// An answer that a later change has made useless is ignored.
async function explain() {
  explaining.abort();
  explaining = new AbortController();
  if (!state.events?.names.length)
    return find("event").replaceChildren(
      h("p", {}, "Add events, paste them here, or drop files, to see what is billed for them."),
    );
  const explained = await attempt(() =>
    request("explain", { text: text(), index: state.selected }, { signal: explaining.signal }),
  );
  if (!explained) return;
  if (isOutdated(explained)) return refresh(await request("events"));
  report(explained.mistake);
  if (explained.mistake) return;
  find("event").replaceChildren(
    ...showEvent(explained, { insert, saveTest, goTo: (number) => goToRule(editor, number) }),
  );
}

async function evaluate() {
  const number = ++evaluations;
  const began = performance.now();
  document.body.classList.add("busy");
  const result = await attempt(() => request("evaluate", { text: text(), page, number }));
  if (number !== evaluations) return;
  document.body.classList.remove("busy");
  if (!result) return;
  report(result.mistake);
  if (result.mistake) return;
  if (isOutdated(result)) return refresh(await request("events"));
  state.marks = result.marks;
  list();
  find("totals").replaceChildren(...showTotals(result.summary));
  find("difference").replaceChildren(...showDifference(result.difference));
  find("tests").replaceChildren(...showTests(result.tests));
  find("time").textContent = `in ${Math.ceil((performance.now() - began) / 10) / 100} s`;
}

function changed() {
  evaluations++; // a result that is still to come is of the earlier text
  clearTimeout(pause);
  pause = setTimeout(evaluate, PAUSE);
  describeState();
  explain();
}

function describeState() {
  const isSaved = text() === state.saved;
  find("saved").textContent = isSaved ? "saved" : "not saved";
  find("save").disabled = isSaved;
}

// What is shown of the last valid mapping stays, and is dimmed.
function report(mistake) {
  document.body.classList.toggle("invalid", Boolean(mistake));
  showMistake(editor, mistake);
  find("mistake").hidden = !mistake;
  if (!mistake) return;
  const goTo = () => {
    editor.gotoLine(mistake.line);
    editor.focus();
  };
  find("mistake").replaceChildren(
    h("button", { className: "link", onclick: goTo }, `line ${mistake.line}`),
    ` ${mistake.text}`,
  );
}

// Return what an action returns; show its problem.
async function attempt(action) {
  try {
    const result = await action();
    find("problem").textContent = "";
    return result;
  } catch (error) {
    if (error.name === "AbortError") return null;
    const isLost = error instanceof TypeError;
    find("problem").textContent = isLost
      ? "The command has ended; save your changes elsewhere."
      : error.message;
    return null;
  }
}

function refresh(events) {
  state.events = events;
  state.selected = Math.min(state.selected, Math.max(0, events.names.length - 1));
  describeEvents();
  state.marks = "";
  list();
  explain();
  evaluate();
}

function describeEvents() {
  const { names, total, step, problems, unreadable } = state.events;
  const sample =
    step > 1
      ? `; a sample of ${names.length.toLocaleString("en")} is evaluated, 1 of ${step}, so totals are parts`
      : "";
  const unread = unreadable ? `; ${count(unreadable, "part")} can't be read: ${problems[0]}` : "";
  find("count").textContent = `${count(total, "event")}${sample}${unread}`;
}

function list() {
  const wanted = find("filter").value.toLowerCase();
  const outcome = find("outcome").value;
  const options = [];
  let more = 0;
  state.events.names.forEach((name, index) => {
    const mark = state.marks[index] ?? "";
    if (!name.toLowerCase().includes(wanted) || (outcome && mark !== outcome)) return;
    if (options.length >= MAX_LISTED) more++;
    else
      options.push(
        h(
          "option",
          { value: index, selected: index === state.selected },
          `${MARKS[mark] ?? " "} ${index + 1} ${name}`,
        ),
      );
  });
  if (more) options.push(h("option", { disabled: true }, `and ${count(more, "more event")}`));
  find("list").replaceChildren(...options);
}

async function add(name, content) {
  find("count").textContent = `reading ${name}…`;
  const events = await attempt(() =>
    request(`events?name=${encodeURIComponent(name)}`, new Blob([content])),
  );
  if (events) refresh(events);
  else describeEvents();
}

async function addFiles(files) {
  for (const file of files) await add(file.name, file);
}

function insert(path) {
  editor.insert(path);
  editor.focus();
}

async function save(force = false) {
  const content = text();
  const done = await attempt(() =>
    request("save", { text: content, version: state.version, force }),
  );
  if (!done) return;
  if (!done.changed) {
    Object.assign(state, { version: done.version, saved: content });
    describeState();
    return evaluate();
  }
  const answer = await ask(find("conflict"));
  if (answer === "force") return save(true);
  if (answer === "load") {
    const present = await attempt(() => request("state"));
    if (present) {
      state.version = present.version;
      load(present.text);
      changed();
    }
  }
}

async function saveTest() {
  const body = () => ({ text: text(), index: state.selected, name: find("test-name").value });
  find("test-name").value = `${state.events.names[state.selected]} ${state.selected + 1}`;
  const propose = async () => {
    const proposed = await request("propose", body());
    if (isOutdated(proposed)) return refresh(await request("events"));
    const { toml, replaced, problem, mistake } = proposed;
    find("toml").value = toml ?? "";
    find("replaced").textContent = replaced?.length
      ? `Replaced, because they can be personal: ${replaced.join(", ")}. Check the rest.`
      : "No personal field was found. Check this.";
    find("test-problem").textContent = problem || mistake?.text || "";
    return true;
  };
  if (!(await attempt(propose))) return;
  find("test-name").onchange = () => attempt(propose);
  while ((await ask(find("testing"))) === "save") {
    const { problem } =
      (await attempt(() => request("save-test", { toml: find("toml").value }))) ?? {};
    if (!problem) return evaluate();
    find("test-problem").textContent = problem;
  }
}

find("add").onclick = async () => {
  find("pasted").value = find("files").value = "";
  if ((await ask(find("adding"))) !== "add") return;
  if (find("pasted").value.trim()) await add("pasted", find("pasted").value);
  await addFiles(find("files").files);
};
find("clear").onclick = async () => refresh(await request("clear", {}));
find("list").onchange = () => {
  state.selected = Number(find("list").value);
  explain();
};
find("filter").oninput = find("outcome").onchange = list;
find("save").onclick = () => save();
find("undo").onclick = () => {
  editor.undo();
  editor.focus();
};
find("redo").onclick = () => {
  editor.redo();
  editor.focus();
};
find("recipes").append(
  ...opened.reference.recipes.map(({ title }, n) => h("option", { value: n }, title)),
);
find("recipes").onchange = ({ target }) => {
  const { text: rule, table } = opened.reference.recipes[target.value];
  const isNew = table && !text().includes(table.split("\n")[0]);
  insertRule(editor, isNew ? `${table}\n${rule}` : rule);
  target.value = "";
};
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "s") {
    event.preventDefault();
    save();
  }
});
document.addEventListener("paste", (event) => {
  if (event.target.closest?.("input, textarea, dialog, #editor")) return;
  add("pasted", event.clipboardData.getData("text"));
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  addFiles([...event.dataTransfer.files]);
});
addEventListener("beforeunload", (event) => {
  if (text() !== state.saved) event.preventDefault();
});

find("file").textContent = opened.name;
load(opened.text);
editor.session.on("change", changed);
describeState();
refresh(await request("events"));
