// What all inspectors share. Put before each inspector's own script (mytensor/workbook/inspect/widget.py), so nothing is exported.

// An HTML element: element("div", {class: "row"}, child, "text").
function element(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

// An SVG element: shape("rect", {x: 0, width: 10}).
function shape(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function furnish(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A number as short as it can be read: 3, 0.25, -1.4e+06.
function brief(value) {
  if (!Number.isFinite(value)) return String(value).replace("Infinity", "inf");
  if (Number.isInteger(value) && Math.abs(value) < 1e5) return String(value);
  const size = Math.abs(value);
  return size >= 1e4 || size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

// The frame of an inspector: a box for its parts, and a sentence that says in words what is chosen (screen readers
// read it out when it changes). JupyterLab's own shortcuts stay out of it.
function frame(el) {
  const box = element("div", { class: "mt-inspector", "data-lm-suppress-shortcuts": "true" });
  const sentence = element("div", { class: "say", role: "status", "aria-live": "polite" });
  el.append(box);
  return { box, sentence };
}

// A grid of numbers. value(row, column) is the number there or null for padding; the larger, the deeper the tint.
// Returns {cells, numbers}: one SVG square and one text an element, both row-major.
function grid(parent, { x, y, rows, columns, size, value, low, high }) {
  const cells = [], numbers = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const number = value(row, column);
      const depth = number === null || !(high > low) ? 0 : (number - low) / (high - low);
      const kind = number === null ? "padding" : "";
      cells.push(shape("rect", {
        class: `cell ${kind}`, x: x + column * size + 1, y: y + row * size + 1, width: size - 2, height: size - 2,
        "fill-opacity": (0.06 + 0.6 * depth).toFixed(3), "pointer-events": "all", "data-row": row, "data-column": column,
      }));
      numbers.push(shape("text", { class: kind, x: x + (column + 0.5) * size, y: y + (row + 0.5) * size },
        number === null ? "0" : brief(number)));
    }
  }
  parent.append(...cells, ...numbers);
  return { cells, numbers };
}

// Marks the elements for which test(index) holds. "chosen" are drawn over the others, "exact" over those.
function mark({ cells, numbers }, kind, test) {
  cells.forEach((cell, index) => {
    const hit = test(index);
    cell.classList.toggle(kind, hit);
    numbers[index].classList.toggle(kind, hit);
  });
}

// Calls choose(row, column, event) for the element of a grid under the pointer, when it moves there or presses.
function onPoint(svg, choose) {
  const point = (event) => {
    const { row, column } = event.target.dataset ?? {};
    if (row !== undefined) choose(Number(row), Number(column), event);
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
}

// Calls move(rows, columns) for the arrow keys; Home and End go all the way along a row.
function onArrows(target, move) {
  const steps = {
    ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity],
  };
  target.addEventListener("keydown", (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    move(...steps[event.key]);
  });
}

function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}

// A labelled number field for an integer trait; the kernel answers with new data.
function numberField(model, name, low, high) {
  const input = element("input", { type: "number", min: low, max: high, step: 1, name });
  const show = () => { input.value = model.get(name); };
  input.addEventListener("change", () => {
    const wanted = Math.round(Number(input.value));
    model.set(name, clamp(Number.isFinite(wanted) ? wanted : low, low, high));
    model.save_changes();
    show();
  });
  input.addEventListener("keydown", (event) => event.stopPropagation());
  model.on(`change:${name}`, show);
  show();
  return element("label", {}, name, input);
}

// Calls each of the functions in `listeners` (trait name -> function) on a change; returns what takes them off again.
function listen(model, listeners) {
  for (const [name, call] of Object.entries(listeners)) model.on(`change:${name}`, call);
  return () => { for (const [name, call] of Object.entries(listeners)) model.off(`change:${name}`, call); };
}
