// The tile's walk: b above, a at the left, their product between them. Chosen are one block of the kernel, one of its
// threads and a step along the sum. Outlined: what the block copies to shared memory in this step, and the outputs that
// it computes; strongest: what the chosen thread copies and computes. All of it was recorded while the kernel ran.

const SIZE = 7, GAP = 34;

function render({ model, el }) {
  const { box, sentence } = frame(el);
  const [m, k, n] = model.get("shape"), steps = model.get("steps"), threads = model.get("threads");
  const next = element("button", { class: "next", type: "button" }, "next step");
  const back = element("button", { class: "back", type: "button" }, "back");
  next.addEventListener("click", () => walk(1));
  back.addEventListener("click", () => walk(-1));
  box.append(
    element("div", { class: "controls" }, back, next, numberField(model, "step", 0, steps - 1),
      numberField(model, "block", 0, model.get("blocks") - 1)),
    element("div", {}, "Point at an output to choose its block and thread. Keys: Tab to the picture, arrows to an output, + and − for the step."));

  const width = k * SIZE + GAP + n * SIZE + 8, height = k * SIZE + GAP + m * SIZE + 24;
  const svg = shape("svg", { class: "walk", width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "group" });
  const left = 4, above = 22, right = left + k * SIZE + GAP, below = above + k * SIZE + GAP;
  const a = matrix("a", left, below, m, k, model.get("a"));
  const b = matrix("b", right, above, k, n, model.get("b"));
  const output = matrix("output", right, below, m, n, model.get("output"));
  const outlines = { a: outline(), b: outline(), output: outline() };
  const points = { a: outline("exact"), b: outline("exact"), output: outline("exact") };
  box.append(svg, sentence);

  function matrix(name, x, y, rows, columns, values) {
    const group = shape("g", { class: `matrix ${name}` });
    const low = Math.min(...values), high = Math.max(...values);
    const cells = [];
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        cells.push(shape("rect", {
          class: "number", x: x + column * SIZE, y: y + row * SIZE, width: SIZE - 0.6, height: SIZE - 0.6,
          "data-row": row, "data-column": column, "data-of": name,
        }));
      }
    }
    group.append(shape("text", { class: "caption start", x, y: y - 9 }, `${name} (${rows}, ${columns})`), ...cells);
    svg.append(group);
    const tint = (index, value) => cells[index].setAttribute("fill-opacity", (0.1 + 0.8 * (value - low) / (high - low || 1)).toFixed(2));
    values.forEach((value, index) => tint(index, value));
    return { x, y, rows, columns, cells, tint, values };
  }

  function outline(kind = "chosen") {
    const made = shape("rect", { class: `tile ${kind}`, "pointer-events": "none" });
    svg.append(made);
    return made;
  }

  // Puts an outline around the smallest rectangle that holds these elements; hides it where there are none.
  function put(rectangle, { x, y, columns }, indices) {
    rectangle.setAttribute("visibility", indices.length ? "visible" : "hidden");
    if (!indices.length) return;
    const across = indices.map((index) => index % columns), down = indices.map((index) => Math.floor(index / columns));
    const [first, last] = [Math.min(...across), Math.max(...across)], [top, bottom] = [Math.min(...down), Math.max(...down)];
    rectangle.setAttribute("x", x + first * SIZE - 1.2);
    rectangle.setAttribute("y", y + top * SIZE - 1.2);
    rectangle.setAttribute("width", (last - first + 1) * SIZE + 1.8);
    rectangle.setAttribute("height", (bottom - top + 1) * SIZE + 1.8);
  }

  function choose(changes) {
    model.set(changes);
    model.save_changes();
  }

  function walk(by) {
    choose({ step: clamp(model.get("step") + by, 0, steps - 1) });
  }

  function chooseOutput(index) {
    const thread = model.get("writes").indexOf(index);
    if (thread >= 0) choose({ block: Math.floor(thread / threads), thread: thread % threads });
  }

  onPoint(svg, (row, column, event) => {
    if (event.target.dataset.of === "output") chooseOutput(row * n + column);
  });
  onArrows(svg, (down, across) => {
    const index = Math.max(chosenOutput(), 0);
    const row = clamp(Math.floor(index / n) + down, 0, m - 1), column = clamp(index % n + across, 0, n - 1);
    chooseOutput(row * n + column);
  });
  svg.addEventListener("keydown", (event) => {
    const by = { "+": 1, "=": 1, "-": -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    walk(by);
  });

  function chosenOutput() {
    return model.get("writes")[model.get("block") * threads + model.get("thread")];
  }

  function point() {
    const block = model.get("block"), step = model.get("step"), first = block * threads, thread = first + model.get("thread");
    const ofBlock = (list) => list.slice(first, first + threads);
    const there = (index) => index >= 0;
    const copied = {
      a: ofBlock(model.get("copies_a")).map((all) => all[step]).filter(there),
      b: ofBlock(model.get("copies_b")).map((all) => all[step]).filter(there),
    };
    const writes = ofBlock(model.get("writes")), sums = model.get("sums");
    const own = { a: model.get("copies_a")[thread][step], b: model.get("copies_b")[thread][step], output: model.get("writes")[thread] };
    put(outlines.a, a, copied.a);
    put(outlines.b, b, copied.b);
    put(outlines.output, output, writes.filter(there));
    for (const [name, picture] of Object.entries({ a, b, output })) put(points[name], picture, [own[name]].filter(there));
    output.values.forEach((value, index) => output.tint(index, value));
    writes.forEach((index, i) => { if (index >= 0) output.tint(index, sums[first + i][step]); });
    next.disabled = step === steps - 1;
    back.disabled = step === 0;
    sentence.textContent = words(block, step, copied, own, sums[thread][step]);
    svg.setAttribute("aria-label", sentence.textContent);
  }

  function words(block, step, copied, own, sum) {
    const place = (name, index, columns) => `${name}[${Math.floor(index / columns)}, ${index % columns}]`;
    const copy = (name, index, columns) => index < 0 ? `a zero, for there is no more of ${name}` : place(name, index, columns);
    const reads = model.get("shared_reads");
    const who = own.output < 0 ? `Thread ${model.get("thread")} has no output, but helps to copy:`
      : `The thread of ${place("output", own.output, n)} copies`;
    const soFar = own.output < 0 ? "." : `, and then reads ${reads} numbers there. Its sum so far: ${brief(sum)}` +
      (step === steps - 1 ? ", and that is the output." : ".");
    return `Block ${block}, step ${step} of 0 to ${steps - 1}: its ${threads} threads copy ${copied.a.length} numbers of a and ` +
      `${copied.b.length} of b to shared memory. ${who} ${copy("a", own.a, k)} and ${copy("b", own.b, n)}${soFar}`;
  }

  point();
  return listen(model, { block: point, thread: point, step: point });
}

export default { render };
