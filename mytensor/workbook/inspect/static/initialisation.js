// The inspector of a network's start: a row for each layer with two histograms, its outputs on the way forward and the gradients on the way back. The
// start is chosen by radio buttons or the left and right arrow keys, the layer by pointer or by up and down.

const LABEL = 86, PLOT = 330, GAP = 34, ROW = 34, TOP = 24, BOTTOM = 26;

function render({ model, el }) {
  const { box, sentence } = frame(el);
  const starts = model.get("starts"), layers = model.get("layers"), edges = model.get("edges");
  const sides = [["outputs", "outputs: forward, top to bottom"], ["gradients", "gradients by them: back, bottom to top"]];
  const width = LABEL + 2 * PLOT + GAP + 8, height = TOP + layers.length * ROW + BOTTOM;

  const group = `start-${Math.random().toString(36).slice(2)}`;  // radio buttons of one name are one choice
  const radios = starts.map((name) => {
    const input = element("input", { type: "radio", name: group, value: name });
    input.addEventListener("change", () => choose({ start: name }));
    input.addEventListener("keydown", (event) => event.stopPropagation());
    return { input, label: element("label", {}, input, name) };
  });
  const controls = element("div", { class: "controls", role: "radiogroup", "aria-label": "how the weights are drawn" },
    ...radios.map(({ label }) => label));
  const svg = shape("svg", { class: "signals", width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "group" });
  const about = element("div", { class: "about" }, "Bars: share of the values, by powers of ten. The line marks the standard deviation. " +
    "Choose: pointer or up and down for the layer, left and right for the weights." + (model.get("about") ? ` ${model.get("about")}` : ""));
  box.append(controls, svg, sentence, about);

  function choose(wanted) {
    for (const [name, value] of Object.entries(wanted)) model.set(name, value);
    model.save_changes();
  }
  onPoint(svg, (layer) => { if (layer !== model.get("layer")) choose({ layer }); });
  onArrows(svg, (down, right) => {
    if (down) choose({ layer: clamp(model.get("layer") + down, 0, layers.length - 1) });
    if (right) choose({ start: starts[clamp(starts.indexOf(model.get("start")) + right, 0, starts.length - 1)] });
  });

  const low = edges[0], high = edges[edges.length - 1];
  const across = (power) => PLOT * (clamp(power, low, high) - low) / (high - low);
  const size = (row) => row.deviation === null ? "no number" : brief(Number(row.deviation.toPrecision(2)));

  function draw() {
    const start = model.get("start"), chosen = model.get("layer");
    svg.replaceChildren();
    sides.forEach(([side, title], place) => {
      const left = LABEL + place * (PLOT + GAP), rows = model.get(side)[start];
      const highest = Math.max(1e-9, ...rows.flatMap((row) => row.counts));
      svg.append(shape("text", { class: "caption start", x: left, y: TOP / 2 }, title));
      for (let power = Math.ceil(low / 4) * 4; power <= high; power += 4) {
        svg.append(shape("line", { class: "arrow", x1: left + across(power), x2: left + across(power), y1: TOP, y2: height - BOTTOM + 4, "stroke-opacity": 0.4 }));
        svg.append(shape("text", { class: "caption", x: left + across(power), y: height - BOTTOM / 2 }, power === 0 ? "1" : `1e${power}`));
      }
      rows.forEach((row, layer) => {
        const floor = TOP + (layer + 1) * ROW - 3;
        row.counts.forEach((share, bin) => {
          if (share === 0) return;
          const tall = Math.max(1, (ROW - 8) * share / highest), x = left + across(edges[bin]);
          svg.append(shape("rect", { class: `cell ${side}`, x, y: floor - tall, width: across(edges[bin + 1]) - across(edges[bin]), height: tall, "fill-opacity": 0.75 }));
        });
        if (row.deviation) {
          const x = left + across(Math.log10(row.deviation));
          svg.append(shape("line", { class: "arrow exact", x1: x, x2: x, y1: floor - ROW + 6, y2: floor }));
        }
        svg.append(shape("rect", { class: `cell padding layer ${layer === chosen ? "exact" : ""}`, x: left, y: TOP + layer * ROW + 1, width: PLOT, height: ROW - 2,
          "pointer-events": "all", "data-row": layer, "data-column": place }));
      });
    });
    layers.forEach((name, layer) => svg.append(shape("text", { class: `end ${layer === chosen ? "exact" : ""}`, x: LABEL - 8, y: TOP + (layer + 0.5) * ROW }, name)));
    radios.forEach(({ input }) => { input.checked = input.value === start; });
    const output = model.get("outputs")[start][chosen], gradient = model.get("gradients")[start][chosen], first = model.get("outputs")[start][0];
    const percent = (share) => `${(100 * share).toFixed(0)} %`;
    sentence.textContent = `Weights drawn as ${start}, ${layers[chosen]} (${chosen + 1} of ${layers.length}): the outputs have standard deviation ${size(output)}` +
      (chosen === 0 ? "" : `, the first layer's had ${size(first)}`) + `; the gradients by them ${size(gradient)}, ${percent(gradient.zeros)} of them exactly 0` +
      (output.not_finite + gradient.not_finite > 0 ? "; some have left the numbers." : ".");
    svg.setAttribute("aria-label", sentence.textContent);
  }

  draw();
  return listen(model, { start: draw, layer: draw });
}

export default { render };
