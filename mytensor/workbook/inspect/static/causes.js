// The causes inspector: a switch for each cause, and bars of what the recorded runs of that set say, beside the two ends: all causes, and none.

const WIDTH = 620, LABEL = 190, BAR = 22, GAP = 12;

function render({ model, el }) {
  const { box, sentence } = frame(el);
  const names = model.get("names"), titles = model.get("titles"), runs = model.get("runs");
  const key = (chosen) => names.filter((name) => chosen.includes(name)).join("+");
  const ends = [["all causes", names], ["ours", []]];

  const switches = names.map((name, index) => {
    const input = element("input", { type: "checkbox", name });
    const label = element("label", { title: `${model.get("report")[index]}; ours: ${model.get("ours")[index]}` }, input, titles[index]);
    input.addEventListener("change", () => {
      choose(names.filter((other) => (other === name ? input.checked : model.get("chosen").includes(other))));
    });
    // Enter too: JupyterLab's readers expect it, and a checkbox answers to the space bar only.
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") input.click();
    });
    return { input, label };
  });
  const buttons = ends.map(([text, chosen]) => {
    const button = element("button", { type: "button", "data-end": text }, text);
    button.addEventListener("click", () => choose(chosen));
    return button;
  });
  const about = element("div", { class: "about" }, `Recorded: ${model.get("about")}.`);
  const pictures = element("div", { class: "row" });
  box.append(element("div", { class: "controls" }, ...buttons), element("div", { class: "controls" }, ...switches.map(({ label }) => label)),
    pictures, sentence, about);

  function choose(chosen) {
    model.set("chosen", chosen);
    model.save_changes();
  }

  const percent = (value) => `${(100 * value).toFixed(2)} %`;
  const measures = [
    { name: "accuracy", title: "test accuracy", text: percent, most: 1 },
    { name: "seconds", title: "seconds an epoch", text: (value) => `${value.toFixed(2)} s` },
    { name: "memory", title: "peak memory", text: (value) => `${(value / 2 ** 20).toFixed(1)} MiB` },
  ];

  function bars({ name, title, text, most }) {
    const chosen = model.get("chosen");
    const lines = [["all causes", names], ["chosen", chosen], ["ours", []]].map(([label, set]) => [label, runs[key(set)]?.[name] ?? null]);
    const greatest = most ?? Math.max(1e-12, ...Object.values(runs).map((run) => run[name] ?? 0));
    const height = (lines.length + 1) * (BAR + GAP);
    const svg = shape("svg", { class: `bars ${name}`, width: WIDTH, height, viewBox: `0 0 ${WIDTH} ${height}`, role: "img" });
    svg.append(shape("text", { class: "caption start", x: 0, y: BAR / 2 }, title));
    lines.forEach(([label, value], place) => {
      const y = (place + 1) * (BAR + GAP) - GAP / 2;
      const length = value === null ? 0 : (WIDTH - LABEL - 110) * value / greatest;
      svg.append(shape("text", { class: "end", x: LABEL - 10, y: y + BAR / 2 }, label));
      svg.append(shape("rect", { class: `cell ${label === "chosen" ? "exact" : ""}`, x: LABEL, y, width: Math.max(length, 1), height: BAR,
        "fill-opacity": 0.6 }));
      svg.append(shape("text", { class: `start ${label === "chosen" ? "exact" : ""}`, x: LABEL + length + 8, y: y + BAR / 2 },
        value === null ? "not measured" : text(value)));
    });
    svg.setAttribute("aria-label", `${title}: ` + lines.map(([label, value]) => `${label} ${value === null ? "not measured" : text(value)}`).join(", "));
    return svg;
  }

  function point() {
    const chosen = model.get("chosen"), found = runs[key(chosen)];
    switches.forEach(({ input }, index) => { input.checked = chosen.includes(names[index]); });
    pictures.replaceChildren(...measures
      .filter(({ name }) => Object.values(runs).some((run) => run[name] !== null))
      .map(bars));
    const on = titles.filter((title, index) => chosen.includes(names[index]));
    const which = on.length ? `On: ${on.join(", ")}.` : "All causes are off: this is ours.";
    if (found === undefined) {
      sentence.textContent = `${which} This set was not run.`;
      return;
    }
    const spread = found.spread === null ? "" : ` ± ${(100 * found.spread).toFixed(2)}`;
    sentence.textContent = `${which} Test accuracy ${(100 * found.accuracy).toFixed(2)}${spread} %` +
      (found.shown[0] === null ? ", no loss printed is a number" : `, losses printed ${brief(found.shown[0])} to ${brief(found.shown[1])}`) +
      (found.seconds === null ? "" : `, ${found.seconds.toFixed(2)} s an epoch`) + `, peak memory ${(found.memory / 2 ** 20).toFixed(1)} MiB` +
      (found.diverged ? `; ${found.diverged} of ${found.seeds} runs left the numbers.` : ".");
  }

  point();
  return listen(model, { chosen: point });
}

export default { render };
