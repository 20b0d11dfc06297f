/* Draws the parts of a prompt, and sends what a person does to them.

Every text comes from a log and is set as text, never as markup. The text can be walked through with a caret, by mouse
and keyboard, but not changed: a part is an editable element whose every input is refused. The page answers each
correction with the whole prompt. */

const PATIENCE = 5000; // Milliseconds for which an answer is waited for before the next correction is taken.
const FOLDED = 3000, HEAD = 2000, TAIL = 400; // Characters of a part: above the first, only its ends are drawn.
const MOST_DRAWN = 400; // Parts, before a person asks for all.
const SHOWN_NEXT = 14; // Characters behind the caret that the button names.
const UNSEEN = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\p{Cs}\p{Co}]|(?![\n\t])\p{Cc}/u;
const editors = new WeakMap();

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".dl-cuts");
  if (!editors.has(root)) editors.set(root, new CutEditor(root));
  editors.get(root).receive(data, setTriggerValue);
}

function node(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("aria-")) element.setAttribute(name, String(value));
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null)); // Strings become text nodes.
  return element;
}

class CutEditor {
  constructor(root) {
    this.root = root;
    this.data = null;
    this.raw = new WeakMap(); // Node -> the text it stands for, where that is not its own.
    this.tools = node("div", { class: "dl-cut-tools", role: "toolbar", "aria-label": "Correct the part" });
    this.list = node("div", { class: "dl-cut-list", role: "region", "aria-label": "Parts of the prompt" });
    this.news = node("div", { class: "dl-unseen", role: "status", "aria-live": "polite" });
    root.replaceChildren(this.tools, this.list, this.news);
    this.tools.addEventListener("pointerdown", (event) => event.preventDefault()); // The caret stays in the text.
    this.tools.addEventListener("click", (event) => this.pressed(event));
    this.list.addEventListener("beforeinput", (event) => event.preventDefault());
    this.list.addEventListener("input", () => this.draw()); // What a writing method put in all the same goes.
    for (const name of ["drop", "dragstart"]) this.list.addEventListener(name, (event) => event.preventDefault());
    this.list.addEventListener("focusin", (event) => this.entered(event));
    this.list.addEventListener("click", (event) => this.clicked(event));
    this.list.addEventListener("keydown", (event) => this.keyed(event));
    document.addEventListener("selectionchange", () => this.moved());
  }

  receive(data, send) {
    this.send = send;
    const other = this.data === null || data.of !== this.data.of;
    const answered = !other && data.revision !== this.data.revision;
    if (!other && !answered && JSON.stringify(data) === JSON.stringify(this.data)) return;
    this.data = data;
    this.busy = 0;
    if (other) this.opened = new Set();
    if (other) this.all = false;
    if (other || answered) this.active = data.active;
    this.units = 0;
    for (const [name, colour] of Object.entries(data.colours)) this.root.style.setProperty(`--dl-kind-${name}`, colour);
    this.news.textContent = answered ? data.news : "";
    const held = this.root.contains(document.activeElement);
    const top = other ? 0 : this.list.scrollTop;
    this.draw();
    this.list.scrollTop = top;
    if (held && answered) this.focusOn(this.active);
  }

  /* ---- what a person sees */

  draw() {
    const parts = this.all ? this.data.parts : this.data.parts.slice(0, MOST_DRAWN);
    const more = this.data.parts.length - parts.length;
    const rest = more ? [node("button", { type: "button", class: "dl-cut-more", "data-all": true },
      `Show ${more} more parts`)] : [];
    this.list.replaceChildren(...parts.map((part, place) => this.row(part, place)), ...rest);
    this.drawTools();
  }

  row(part, place) {
    const number = `Part ${place + 1} of ${this.data.parts.length}`;
    const tag = node("div", { class: "dl-cut-tag" }, node("strong", {}, part.label),
      part.under ? node("span", {}, part.under) : null);
    const text = node("div", {
      class: "dl-cut-text", contenteditable: "true", role: "textbox", "aria-readonly": true, "aria-multiline": true,
      "aria-label": `${number}, ${part.label}`, dir: "auto", spellcheck: "false", inputmode: "none", tabindex: 0,
    }, ...this.nodes(part.text, place));
    const marks = ["dl-cut", `dl-kind-${part.kind}`, place === this.active && "dl-active"];
    return node("div", { class: marks.filter(Boolean).join(" "), "data-place": place }, tag, text);
  }

  nodes(text, place) {
    if (text.length <= FOLDED || this.opened.has(place)) return this.literal(text);
    const head = edge(text, HEAD), tail = edge(text, text.length - TAIL);
    const hidden = text.slice(head, tail);
    const fold = node("button", { type: "button", class: "dl-cut-more", contenteditable: "false", "data-fold": place },
      `Show ${hidden.length.toLocaleString("en")} more characters`);
    this.raw.set(fold, hidden);
    return [...this.literal(text.slice(0, head)), fold, ...this.literal(text.slice(tail))];
  }

  literal(text) {
    if (!UNSEEN.test(text)) return [document.createTextNode(text)];
    const nodes = [];
    let plain = "";
    for (const character of text) {
      if (!UNSEEN.test(character)) {
        plain += character;
        continue;
      }
      if (plain) nodes.push(document.createTextNode(plain));
      plain = "";
      const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      const words = character === "\r" ? "\u23ce" : `\u27e6U+${code}\u27e7`;
      const atom = node("span", { class: "dl-atom", contenteditable: "false" }, words);
      this.raw.set(atom, character);
      nodes.push(atom);
    }
    return plain ? [...nodes, document.createTextNode(plain)] : nodes;
  }

  drawTools() {
    const part = this.data.parts[this.active];
    const kinds = this.data.kinds.map((row) => this.tool("kind", [
      node("i", { class: `dl-swatch dl-kind-${row.kind}`, "aria-hidden": "true" }), row.words,
    ], { "data-kind": row.kind, "aria-pressed": part.kind === row.kind, title: `${row.help} Key: ${row.letter}` }));
    const before = this.data.parts[this.active - 1], next = this.data.parts[this.active + 1];
    const belongs = before && before.number !== null && (before.kind !== part.kind || before.number !== part.number);
    const ahead = [...part.text.slice(this.units, this.units + 2 * SHOWN_NEXT)].slice(0, SHOWN_NEXT).join("").trim();
    const inside = this.units > 0 && this.units < part.text.length;
    const split = inside ? `Split before \u201c${ahead.replace(/\s+/g, " ")}\u2026\u201d` : "Split at the caret";
    this.tools.replaceChildren(
      node("span", { class: "dl-cut-group", role: "group", "aria-label": "Kind of the part" }, ...kinds),
      node("span", { class: "dl-cut-group", role: "group", "aria-label": "Where it ends" },
        this.tool("split", [split], { disabled: !inside, title: "Key: Enter" }),
        this.tool("join", ["Join with next"], { disabled: !next, title: "Key: J" }),
        belongs ? this.tool("belongs", [`Part of ${before.label.toLowerCase()}`], { title: "Key: B" }) : null,
        this.tool("undo", ["Undo"], { disabled: !this.data.undo, title: "Key: Z" })));
  }

  tool(action, children, attributes) {
    return node("button", { type: "button", class: "dl-cut-tool", "data-action": action, ...attributes }, ...children);
  }

  focusOn(place) {
    const text = this.list.querySelector(`[data-place="${place}"] .dl-cut-text`);
    if (!text) return;
    text.focus({ preventScroll: true });
    text.closest(".dl-cut").scrollIntoView({ block: "nearest" });
    getSelection().collapse(text, 0);
  }

  /* ---- where a person is */

  entered(event) {
    const row = event.target.closest(".dl-cut");
    if (row) this.activate(Number(row.dataset.place));
  }

  activate(place) {
    if (place === this.active) return;
    this.active = place;
    this.units = 0;
    for (const row of this.list.querySelectorAll(".dl-cut")) {
      row.classList.toggle("dl-active", Number(row.dataset.place) === place);
    }
    this.drawTools();
  }

  moved() {
    const selection = getSelection();
    const text = selection.anchorNode && this.list.contains(selection.anchorNode)
      ? (selection.anchorNode.closest?.(".dl-cut-text") || selection.anchorNode.parentElement.closest(".dl-cut-text"))
      : null;
    if (!text) return;
    const units = this.unitsBefore(text, selection.focusNode, selection.focusOffset);
    this.activate(Number(text.parentElement.dataset.place));
    if (units === this.units) return;
    this.units = units;
    this.drawTools();
  }

  /* UTF-16 units of the part's own text before a place in what is drawn of it. */
  unitsBefore(text, at, offset) {
    let units = 0;
    for (const [index, child] of [...text.childNodes].entries()) {
      if (at === text && index >= offset) return units;
      if (child === at && child.nodeType === Node.TEXT_NODE) return units + offset;
      if (child !== at && child.contains(at)) return units;
      units += (this.raw.get(child) ?? child.textContent).length;
    }
    return units;
  }

  /* ---- what a person does */

  clicked(event) {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.all !== undefined) this.all = true;
    else this.opened.add(Number(button.dataset.fold));
    this.draw();
  }

  keyed(event) {
    if (event.target.closest("button")) return;
    const undo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
    if (!undo && (event.ctrlKey || event.metaKey)) return;
    event.stopPropagation(); // Keys of the whole page.
    const step = event.altKey && { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const kind = this.data.kinds.find((row) => row.letter === event.key.toUpperCase());
    if (step) this.focusOn(Math.min(Math.max(this.active + step, 0), this.data.parts.length - 1));
    else if (undo) this.act("undo");
    else if (event.altKey) return;
    else if (event.key === "Enter") this.act("split");
    else if (kind) this.act("kind", kind.kind);
    else if (KEYS[event.key.toLowerCase()]) this.act(KEYS[event.key.toLowerCase()]);
    else return;
    event.preventDefault();
  }

  pressed(event) {
    const button = event.target.closest("button");
    if (button && !button.disabled) this.act(button.dataset.action, button.dataset.kind ?? null);
  }

  act(action, kind = null) {
    const part = this.data.parts[this.active], before = this.data.parts[this.active - 1];
    if (performance.now() < this.busy) return;
    if (action === "split" && (this.units <= 0 || this.units >= part.text.length)) return;
    if (action === "join" && this.active + 1 >= this.data.parts.length) return;
    if (action === "undo" && !this.data.undo) return;
    if (action === "belongs" && !(before && before.number !== null)) return;
    const correction = { revision: this.data.revision, action, place: this.active, kind, at: null };
    if (action === "split") correction.at = [...part.text.slice(0, this.units)].length; // Characters, as Python counts.
    this.busy = performance.now() + PATIENCE;
    this.send("correct", correction);
  }
}

const KEYS = { j: "join", b: "belongs", z: "undo" };

/* A place near one that parts no pair of UTF-16 units. */
function edge(text, place) {
  const code = text.charCodeAt(place);
  return code >= 0xdc00 && code <= 0xdfff ? place + 1 : place;
}
