// The graph inspector: boxes are ops and leaves, arrows run the way values flowed. Stepping walks backward: the node whose rule runs is outlined, the
// arrows it sends gradients along (against their direction) are drawn thick, and every gradient known so far stands under its box.

const COLUMN = 128, LINE = 92, BOX = { width: 92, height: 36 }, MARGIN = 12;

function render({ model, el }) {
  const { box, sentence } = frame(el);
  const nodes = model.get("nodes"), edges = model.get("edges"), steps = model.get("steps");
  const back = element("button", { type: "button" }, "◀ back"), on = element("button", { type: "button", class: "next" }, "step ▶");
  const counter = element("span", {});
  const skips = edges.map(([source, target]) => nodes[target].x - nodes[source].x > 1);
  const top = skips.includes(true) ? 44 : 0;  // room for the arrows that pass over other layers
  const width = 2 * MARGIN + (1 + Math.max(...nodes.map((node) => node.x))) * COLUMN;
  const height = 2 * MARGIN + top + (1 + Math.max(...nodes.map((node) => node.y))) * LINE;
  const svg = shape("svg", { class: "graph", width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "group" });
  box.append(element("div", { class: "controls" }, back, on, counter), svg, sentence);

  const middle = (node) => ({ x: MARGIN + (node.x + 0.5) * COLUMN, y: MARGIN + top + (node.y + 0.4) * LINE });
  const parallel = new Map();  // how many arrows between the same two boxes were drawn already
  const arrows = edges.map(([source, target], index) => {
    const a = middle(nodes[source]), b = middle(nodes[target]), key = `${source} ${target}`;
    const bend = 16 * (parallel.get(key) ?? 0);
    parallel.set(key, (parallel.get(key) ?? 0) + 1);
    let line, tip;
    if (skips[index]) {  // from the upper side of one box over everything to the upper side of the other
      const y = b.y - BOX.height / 2 - 5, x = b.x + bend;
      line = `M ${a.x} ${a.y - BOX.height / 2} C ${a.x} ${MARGIN - 20}, ${x} ${MARGIN - 20}, ${x} ${y}`;
      tip = `M ${x - 4} ${y} l 4 6 l 4 -6 z`;
    } else {
      const x1 = a.x + BOX.width / 2, x2 = b.x - BOX.width / 2 - 5, y = b.y + bend;
      line = `M ${x1} ${a.y + bend} C ${x1 + 30} ${a.y + bend}, ${x2 - 30} ${y}, ${x2} ${y}`;
      tip = `M ${x2} ${y - 4} l 6 4 l -6 4 z`;
    }
    const path = shape("path", { class: "arrow", d: line }), head = shape("path", { class: "head", d: tip });
    svg.append(path, head);
    return [path, head];
  });
  const boxes = nodes.map((node) => {
    const { x, y } = middle(node);
    const rect = shape("rect", {
      class: `node ${node.kind}`, x: x - BOX.width / 2, y: y - BOX.height / 2, width: BOX.width, height: BOX.height, rx: node.kind === "leaf" ? 0 : 9,
    });
    const gradient = shape("text", { class: "caption", x, y: y + BOX.height / 2 + 11 });
    svg.append(rect, shape("text", { x, y: y - 7 }, node.name),
      shape("text", { class: "caption", x, y: y + 8 }, node.shape.length ? node.shape.join("×") : "one number"), gradient);
    return { rect, gradient };
  });

  function go(step) {
    model.set("step", clamp(step, 0, steps.length - 1));
    model.save_changes();
  }
  back.addEventListener("click", () => go(model.get("step") - 1));
  on.addEventListener("click", () => go(model.get("step") + 1));
  onArrows(box, (down, right) => go(model.get("step") + (Number.isFinite(right) ? right || down : right > 0 ? steps.length : -steps.length)));

  function point() {
    const state = steps[model.get("step")];
    boxes.forEach(({ rect, gradient }, index) => {
      rect.classList.toggle("exact", index === state.node);
      gradient.textContent = state.gradients[index] ?? "";
    });
    arrows.forEach((parts, index) => parts.forEach((part) => part.classList.toggle("exact", state.sent.includes(index))));
    counter.textContent = `step ${model.get("step")} of ${steps.length - 1}`;
    back.disabled = model.get("step") === 0;
    on.disabled = model.get("step") === steps.length - 1;
    sentence.textContent = state.text;
    svg.setAttribute("aria-label", state.text);
  }

  point();
  return listen(model, { step: point });
}

export default { render };
