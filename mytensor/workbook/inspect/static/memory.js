// The shared-memory inspector: one grid a view. A click (or + on the chosen element) adds one through that view,
// shift-click (or -) takes one off; Python makes the change and sends back what each view then reads.

const SIZE = 38, CAPTION = 24;

function render({ model, el }) {
  const { box, sentence } = frame(el);
  const row = element("div", { class: "row" });
  const hint = element("div", {}, "Click an element to add 1 through that view; Shift-click to take 1 off. ",
    "Keys: Tab to a view, arrows to an element, + and −.");
  box.append(hint, row, sentence);
  let chosen = 0, grids = [];

  function change(view, step) {
    const value = model.get("values")[view][chosen] + step;
    model.set("wanted", [view, chosen, value]);
    model.save_changes();
  }

  function draw() {
    const focused = grids.findIndex(({ svg }) => svg === document.activeElement);
    const [rows, columns] = model.get("shape"), names = model.get("names"), places = model.get("places");
    const all = model.get("values").flat();
    const low = Math.min(...all), high = Math.max(...all);
    row.replaceChildren();
    grids = names.map((name, view) => {
      const width = columns * SIZE + 4, height = rows * SIZE + CAPTION + 4;
      const svg = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "group", class: "view" });
      svg.append(shape("text", { class: "start", x: 2, y: CAPTION / 2 }, `${name}: memory ${places[view]}`));
      const values = model.get("values")[view];
      const made = grid(svg, { x: 2, y: CAPTION, rows, columns, size: SIZE, low, high, value: (r, c) => values[r * columns + c] });
      svg.addEventListener("pointerdown", (event) => {
        const { row, column } = event.target.dataset;
        if (row === undefined) return;
        chosen = Number(row) * columns + Number(column);
        change(view, event.shiftKey ? -1 : 1);
      });
      onArrows(svg, (down, right) => {
        const r = clamp(Math.floor(chosen / columns) + down, 0, rows - 1);
        chosen = r * columns + clamp(chosen % columns + right, 0, columns - 1);
        point();
      });
      svg.addEventListener("keydown", (event) => {
        const step = { "+": 1, "=": 1, "-": -1 }[event.key];
        if (step === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        change(view, step);
      });
      row.append(svg);
      return { svg, ...made };
    });
    if (focused >= 0) grids[focused].svg.focus();
    point();
  }

  function point() {
    const columns = model.get("shape")[1], names = model.get("names"), values = model.get("values");
    for (const made of grids) mark(made, "exact", (index) => index === chosen);
    const place = `[${Math.floor(chosen / columns)}, ${chosen % columns}]`;
    sentence.textContent = names.map((name, view) => `${name}${place} = ${brief(values[view][chosen])}`).join(",  ");
    grids.forEach(({ svg }, view) => svg.setAttribute("aria-label", `${names[view]}. ${sentence.textContent}`));
  }

  draw();
  return listen(model, { values: draw });
}

export default { render };
