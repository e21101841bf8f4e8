// The editor of the mapping: mistakes at their line, and completion.
/* global ace */

const LINE_BEGINS = /^\s*[\w]*$/;

export function createEditor(element, reference, getPaths) {
  // Styles are files, because the page allows no others.
  ace.config.set("useStrictCSP", true);
  ace.config.set("basePath", "vendor/ace");
  const editor = ace.edit(element, {
    mode: "ace/mode/toml",
    theme: { cssClass: "ace-studio", isDark: false },
    enableBasicAutocompletion: [createCompleter(reference, getPaths)],
    enableLiveAutocompletion: true,
    enableKeyboardAccessibility: true,
    textInputAriaLabel: "The mapping",
    fontSize: 14,
    showPrintMargin: false,
    tabSize: 2,
    wrap: true,
  });
  return editor;
}

export function showMistake(editor, mistake) {
  const row = mistake ? mistake.line - 1 : 0;
  const annotations = mistake ? [{ row, column: 0, text: mistake.text, type: "error" }] : [];
  editor.session.setAnnotations(annotations);
  for (const marker of Object.values(editor.session.getMarkers()))
    if (marker.clazz === "mistake") editor.session.removeMarker(marker.id);
  const { Range } = ace.require("ace/range");
  if (mistake) editor.session.addMarker(new Range(row, 0, row, Infinity), "mistake", "fullLine");
}

export function goToRule(editor, number) {
  const row = findRule(editor, number);
  if (row >= 0) editor.gotoLine(row + 1);
  editor.focus();
}

// The first rule that matches is used, so a new one is the first.
export function insertRule(editor, rule) {
  const lines = editor.session.doc.getAllLines();
  let row = Math.max(0, findRule(editor, 1));
  while (row > 1 && lines[row - 1].startsWith("#")) row--;
  editor.session.insert({ row, column: 0 }, `${rule}\n`);
  editor.gotoLine(row + 1);
  editor.focus();
}

function findRule(editor, number) {
  const begins = /^\s*\[\[\s*rules\s*\]\]/;
  const lines = editor.session.doc.getAllLines();
  let found = 0;
  return lines.findIndex((line) => begins.test(line) && ++found === number);
}

// At the beginning of a line are keys, and elsewhere expressions.
function createCompleter({ keys, functions }, getPaths) {
  const item =
    (meta) =>
    ([value, docText]) => ({ value, docText, meta });
  const all = {
    keys: Object.entries(keys).map(item("key")),
    functions: Object.entries(functions).map(([name, text]) =>
      item("function")([`${name}(`, text]),
    ),
  };
  return {
    identifierRegexps: [/[\w.[\]$]/],
    getCompletions(editor, session, position, prefix, done) {
      const before = session.getLine(position.row).slice(0, position.column);
      if (LINE_BEGINS.test(before)) return done(null, all.keys);
      const paths = Object.entries(getPaths()).map(([path, number]) =>
        item("field")([path, `in ${number}`]),
      );
      done(null, [...paths, ...all.functions]);
    },
  };
}
