/* Draws the table of demonstrations, and sends what a person does to it.

Every text comes from data and is set as text, never as markup. The page answers each edit with the whole table; until
its answer is there, the table shows the edit. */

const PATIENCE = 5000; // Milliseconds for which an answer to an earlier edit waits for the answer to the last one.
const tables = new WeakMap();

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".dl-demos");
  if (!tables.has(root)) tables.set(root, new DemoTable(root));
  tables.get(root).receive(data, setTriggerValue);
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

const cell = (name, ...children) => node("td", { role: "gridcell", class: `dl-${name}` }, ...children);

class DemoTable {
  constructor(root) {
    this.root = root;
    this.data = null;
    this.rows = [];
    this.sequence = 0;
    this.sent = -Infinity;
    this.drag = null;
    this.body = node("tbody", { role: "rowgroup" });
    this.head = node("thead", { role: "rowgroup" });
    this.table = node("table", { role: "grid" }, this.head, this.body);
    this.news = node("div", { class: "dl-unseen", role: "status", "aria-live": "polite" });
    root.replaceChildren(this.table, this.news);
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.body.addEventListener("keydown", (event) => this.keyed(event));
    this.body.addEventListener("change", (event) => this.ticked(event));
    this.body.addEventListener("pointerdown", (event) => this.grabbed(event));
  }

  /* ---- what the page sends */

  receive(data, send) {
    this.send = send;
    clearTimeout(this.waiting);
    const early = this.data !== null && data.of === this.data.of && data.answered < this.sequence;
    const left = PATIENCE - (performance.now() - this.sent);
    if (this.drag !== null || (early && left > 0)) {
      this.waiting = setTimeout(() => this.take(data), this.drag !== null ? 300 : left);
    } else {
      this.take(data);
    }
  }

  take(data) {
    if (this.drag !== null) {
      this.waiting = setTimeout(() => this.take(data), 300);
      return;
    }
    this.data = data;
    this.rows = data.rows.map((row) => ({ ...row }));
    this.selected = data.selected;
    this.sequence = Math.max(this.sequence, data.answered);
    for (const [name, colour] of Object.entries(data.colours)) this.root.style.setProperty(`--dl-${name}-mark`, colour);
    this.table.setAttribute("aria-label", data.label);
    this.drawHead();
    this.draw();
  }

  /* ---- what a person sees */

  drawHead() {
    const { columns, heads } = this.data;
    this.root.classList.toggle("dl-fixed", !this.data.editable);
    const cells = columns.map((name) =>
      node("th", { role: "columnheader", scope: "col", class: `dl-${name}`, title: heads[name].help || null },
        node("span", { class: heads[name].unseen ? "dl-unseen" : null }, heads[name].text)));
    this.head.replaceChildren(node("tr", { role: "row" }, ...cells));
  }

  draw() {
    const focus = this.focusPlace();
    const lines = this.rows.map((row, place) => this.line(row, place));
    this.body.replaceChildren(...lines);
    if (focus !== null) this.focusOn(focus);
  }

  line(row, place) {
    const chosen = row.key === this.selected;
    const first = this.selected === null || !this.rows.some((each) => each.key === this.selected);
    const marks = ["dl-row", chosen && "dl-chosen", !row.stays && "dl-out", row.added && "dl-added"];
    const line = node("tr", {
      role: "row", class: marks.filter(Boolean).join(" "), "data-key": row.key,
      tabindex: chosen || (first && place === 0) ? 0 : -1,
      "aria-selected": chosen, "aria-rowindex": place + 2,
    }, ...this.data.columns.map((name) => CELLS[name](row, place, this)));
    return line;
  }

  focusPlace() {
    const at = document.activeElement;
    const line = at && this.body.contains(at) ? at.closest("tr") : null;
    return line === null ? null : { key: line.dataset.key, control: at.dataset.control || null };
  }

  focusOn({ key, control }) {
    const line = this.lineOf(key);
    if (!line) return;
    const target = control && line.querySelector(`[data-control="${control}"]:not(:disabled)`);
    (target || line).focus({ preventScroll: true });
  }

  lineOf(key) {
    return [...this.body.children].find((line) => line.dataset.key === key);
  }

  /* ---- what a person does */

  rowAt(target) {
    const line = target.closest("tr[data-key]");
    return line ? this.rows.find((row) => row.key === line.dataset.key) : undefined;
  }

  clicked(event) {
    const row = this.rowAt(event.target);
    if (!row) return;
    const control = event.target.closest("[data-control]");
    const action = control && !control.disabled && ACTIONS[control.dataset.control];
    if (action) action(this, row);
    else if (!control) this.select(row);
  }

  ticked(event) {
    const row = this.rowAt(event.target);
    if (!row) return;
    row.stays = event.target.checked;
    this.edited(`${row.label} ${row.stays ? "kept" : "left out"}`);
  }

  keyed(event) {
    const row = this.rowAt(event.target);
    if (!row) return;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step && event.altKey) this.move(row, step);
    else if (step && event.target.matches("tr")) this.walk(row, step);
    else if (event.key === "Enter" && event.target.matches("tr")) this.select(row);
    else if (event.key === " " && event.target.matches("tr") && this.data.editable) this.toggle(row);
    else return;
    event.preventDefault();
  }

  walk(row, step) {
    const next = this.rows[this.rows.indexOf(row) + step];
    if (next) this.lineOf(next.key).focus();
  }

  toggle(row) {
    row.stays = !row.stays;
    this.edited(`${row.label} ${row.stays ? "kept" : "left out"}`);
  }

  select(row) {
    if (!row.selectable || row.key === this.selected) return;
    this.selected = row.key;
    this.draw();
    this.lineOf(row.key).focus({ preventScroll: true });
    this.send("select", row.key);
  }

  move(row, step) {
    const place = this.rows.indexOf(row), other = this.rows[place + step];
    if (!this.data.editable || !other) return;
    this.rows[place + step] = row;
    this.rows[place] = other;
    this.edited(`${row.label} moved to ${place + step + 1} of ${this.rows.length}`);
  }

  answer(row) {
    row.answer = row.answer === "Yes" ? "No" : "Yes";
    this.edited(`${row.label} answered ${row.answer}`);
  }

  edited(news) {
    this.news.textContent = news;
    this.draw();
    this.sequence += 1;
    this.sent = performance.now();
    const rows = this.rows.map(({ key, stays, answer }) => ({ key, stays, answer }));
    this.send("edit", { sequence: this.sequence, rows });
  }

  /* ---- drag: the other rows step around the one that is held, which stays under the pointer's hold */

  grabbed(event) {
    const handle = event.target.closest("[data-control=handle]");
    if (!handle || !this.data.editable || event.button !== 0) return;
    event.preventDefault();
    const line = handle.closest("tr");
    const before = [...this.body.children];
    const end = (last) => this.dropped(last);
    const go = (next) => this.dragged(next);
    this.drag = { line, before, go, end, pointer: event.pointerId };
    line.classList.add("dl-held");
    handle.setPointerCapture(event.pointerId);
    window.addEventListener("pointermove", go);
    for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, end);
    window.addEventListener("keydown", end, true);
  }

  dragged(event) {
    const { line, pointer } = this.drag;
    if (event.pointerId !== pointer) return;
    const middle = (other) => { const box = other.getBoundingClientRect(); return box.top + box.height / 2; };
    for (let other = line.previousElementSibling; other && event.clientY < middle(other);
      other = line.previousElementSibling) line.after(other);
    for (let other = line.nextElementSibling; other && event.clientY > middle(other);
      other = line.nextElementSibling) line.before(other);
  }

  dropped(event) {
    const { line, before, go, end, pointer } = this.drag;
    if (event.type === "keydown" ? event.key !== "Escape" : event.pointerId !== pointer) return;
    this.drag = null;
    line.classList.remove("dl-held");
    window.removeEventListener("pointermove", go);
    for (const name of ["pointerup", "pointercancel"]) window.removeEventListener(name, end);
    window.removeEventListener("keydown", end, true);
    if (event.type !== "pointerup") this.body.replaceChildren(...before);
    const order = [...this.body.children].map((each) => each.dataset.key);
    const places = new Map(order.map((key, place) => [key, place]));
    if (order.every((key, place) => key === this.rows[place].key)) return;
    this.rows.sort((row, other) => places.get(row.key) - places.get(other.key));
    const row = this.rowAt(line);
    this.edited(`${row.label} moved to ${places.get(row.key) + 1} of ${order.length}`);
  }
}

const ACTIONS = {
  up: (table, row) => table.move(row, -1),
  down: (table, row) => table.move(row, 1),
  answer: (table, row) => table.answer(row),
};

/* ---- cells, by the name of their column */

const button = (name, text, label, disabled) =>
  node("button", { type: "button", class: "dl-small", "data-control": name, "aria-label": label, title: label, disabled },
    text);

const CELLS = {
  keep(row, place, table) {
    const box = node("input", {
      type: "checkbox", "data-control": "keep", disabled: !table.data.editable, "aria-label": `Keep ${row.label}`,
    });
    box.checked = row.stays;
    return cell("keep", box);
  },
  demo(row, place, table) {
    const handle = node("span", {
      class: "dl-handle", "data-control": "handle", "aria-hidden": "true", title: "Drag to another place",
    }, "\u2807");
    return cell("demo", table.data.editable ? handle : null, node("span", { class: "dl-label" }, row.label));
  },
  title(row) {
    const under = node("span", { class: "dl-under", title: row.under }, row.under);
    return cell("title", node("span", { class: "dl-name", title: row.title, dir: "auto" }, row.title), under);
  },
  answer(row, place, table) {
    const label = `Answer of ${row.label}: ${row.answer}. Change it.`;
    const control = button("answer", row.answer || "", label, !table.data.editable);
    if (row.flipped) control.classList.add("dl-flipped");
    return cell("answer", row.answer === null ? null : control);
  },
  effect(row) {
    const number = node("span", { class: `dl-number dl-${row.direction}` }, row.effect);
    const spoken = row.effect_words ? node("span", { class: "dl-unseen" }, row.effect_words) : null;
    const box = cell("effect", row.bar ? bar(row.bar) : null, number, spoken);
    if (row.effect_words) box.title = row.effect_words;
    return box;
  },
  without(row) {
    return cell("without", node("span", { class: "dl-place" }, row.without),
      node("span", { class: "dl-under" }, row.without_note));
  },
  quality(row) {
    return cell("quality", node("span", { class: "dl-number" }, row.quality));
  },
  move(row, place, table) {
    const { editable } = table.data, last = table.rows.length - 1;
    return cell("move",
      button("up", "\u25B2", `Move ${row.label} up`, !editable || place === 0),
      button("down", "\u25BC", `Move ${row.label} down`, !editable || place === last));
  },
};

function bar({ parts, low, high }) {
  const box = node("span", { class: "dl-bar", "aria-hidden": "true" });
  const span = (element, start, stop) => {
    element.style.left = `${Math.min(start, stop)}%`;
    element.style.width = `${Math.abs(stop - start)}%`;
    box.append(element);
  };
  box.append(node("i", { class: "dl-zero" }));
  for (const part of parts) {
    span(node("i", { class: `dl-part dl-${part.direction} dl-${part.tone}` }), part.start, part.stop);
  }
  if (low !== null) span(node("i", { class: "dl-whisker" }), low, high);
  return box;
}
