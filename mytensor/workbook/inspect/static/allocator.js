// The allocator inspector: one bar a block. Full bars belong to an array (the paler end is what was rounded up), hatched
// ones wait in the cache. Buttons ask for arrays; a click on a bar, or Delete on the chosen one, frees its array.

const ROW = 32, LEFT = 74, WIDE = 420, HIGH = 24;

function render({ model, el }) {
  const { box, sentence } = frame(el);
  const controls = element("div", { class: "controls" }), count = element("div", { class: "counts" });
  const place = element("div", {});
  const hint = element("div", {}, "Click a block to free its array. Keys: Tab to the blocks, ↑ and ↓ to choose, Delete to free.");
  let chosen = 0, asked = 0, svg = null, bars = [];
  const kib = (bytes) => `${Number((bytes / 1024).toFixed(2))} KiB`;

  function ask(what, ofWhat) {
    model.set("wanted", [what, ofWhat, ++asked]);
    model.save_changes();
  }

  for (const size of model.get("sizes")) {
    const button = element("button", { type: "button", class: "allocate" }, `make ${kib(size)}`);
    button.addEventListener("click", () => ask("allocate", size));
    controls.append(button);
  }
  const empty = element("button", { type: "button", class: "empty" }, "empty the cache");
  empty.addEventListener("click", () => ask("empty", ""));
  const mode = element("select", { name: "mode" }, ...["caching", "plain"].map((name) => element("option", { value: name }, name)));
  mode.addEventListener("change", () => { model.set("mode", mode.value); model.save_changes(); });
  mode.addEventListener("keydown", (event) => event.stopPropagation());
  controls.append(empty, element("label", {}, "mode", mode));
  box.append(controls, hint, place, count, sentence);

  function free(index) {
    const block = model.get("blocks")[index];
    if (block && block.holder) ask("free", block.holder);
  }

  function draw() {
    const blocks = model.get("blocks"), focused = svg !== null && svg === document.activeElement;
    const largest = Math.max(1, ...blocks.map((block) => block.capacity));
    const width = LEFT + WIDE + 8, height = Math.max(1, blocks.length) * ROW + 8;
    svg = shape("svg", { class: "blocks", width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "group" });
    const id = `hatch-${model.model_id ?? "still"}`;
    const hatch = shape("pattern", { id, width: 8, height: 8, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      shape("line", { class: "arrow", x1: 0, y1: 0, x2: 0, y2: 8 }));
    svg.append(shape("defs", {}, hatch));
    if (!blocks.length) svg.append(shape("text", { class: "caption start", x: 4, y: ROW / 2 }, "The allocator holds no block."));
    bars = blocks.map((block, index) => {
      const y = 4 + index * ROW, length = WIDE * block.capacity / largest;
      const bar = shape("rect", { class: "cell", x: LEFT, y, width: length, height: HIGH, rx: 3, "fill-opacity": block.holder ? 0.22 : 0,
        "pointer-events": "all", "data-row": index, "data-column": 0 });
      const inner = block.holder
        ? shape("rect", { class: "used", x: LEFT, y, width: WIDE * block.bytes / largest, height: HIGH, rx: 3, "pointer-events": "none" })
        : shape("rect", { x: LEFT, y, width: length, height: HIGH, fill: `url(#${id})`, "fill-opacity": 0.5, "pointer-events": "none" });
      const words = block.holder ? `${block.holder}: ${kib(block.bytes)} of ${kib(block.capacity)}` : `cached, ${kib(block.capacity)}`;
      const label = shape("text", { class: "start halo", x: LEFT + 8, y: y + HIGH / 2 }, words);
      svg.append(bar, inner, label, shape("text", { class: "end", x: LEFT - 8, y: y + HIGH / 2 }, `block ${block.letter}`));
      return bar;
    });
    svg.addEventListener("click", (event) => {
      const { row } = event.target.dataset ?? {};
      if (row === undefined) return;
      chosen = Number(row);
      free(chosen);
    });
    onArrows(svg, (down) => { chosen = clamp(chosen + down, 0, Math.max(0, blocks.length - 1)); point(); });
    svg.addEventListener("keydown", (event) => {
      if (!["Delete", "Backspace", "Enter"].includes(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
      free(chosen);
    });
    place.replaceChildren(svg);
    if (focused) svg.focus();
    chosen = clamp(chosen, 0, Math.max(0, blocks.length - 1));
    point();
    const { requests, from_cache: fromCache, live, held } = model.get("counts");
    count.textContent = `${requests} requests, ${fromCache} of them served from the cache; ${kib(live)} in use, ${kib(held)} held from the system`;
    mode.value = model.get("mode");
    sentence.textContent = model.get("happened");
  }

  function point() {
    bars.forEach((bar, index) => bar.classList.toggle("exact", index === chosen));
    const block = model.get("blocks")[chosen];
    const words = block ? `Chosen: block ${block.letter}, ${kib(block.capacity)}, ${block.holder ? `array ${block.holder}` : "cached"}.` : "No blocks.";
    svg.setAttribute("aria-label", words);
  }

  draw();
  return listen(model, { blocks: draw, counts: draw, happened: draw, mode: draw });
}

export default { render };
