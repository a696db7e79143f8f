// The pooling inspector: the image, its maxima, the upstream gradient and the gradient of the image. Choosing a window outlines it, its winner and
// where its gradient goes.

const SIZE = 32, CAPTION = 22;

function render({ model, el }) {
  const { box, sentence } = frame(el);
  const row = element("div", { class: "row" });
  box.append(row, sentence);
  const [height, width] = model.get("shape"), [rows, columns] = model.get("pooled_shape");
  const kernel = model.get("kernel_size"), stride = model.get("stride");

  function picture(name, caption, values, pictureRows, pictureColumns) {
    const w = Math.max(pictureColumns * SIZE + 4, 74), h = pictureRows * SIZE + CAPTION + 4;
    const svg = shape("svg", { class: name, width: w, height: h, viewBox: `0 0 ${w} ${h}`, tabindex: 0, role: "group" });
    svg.append(shape("text", { class: "caption start", x: 2, y: CAPTION / 2 }, caption));
    const made = grid(svg, {
      x: 2, y: CAPTION, rows: pictureRows, columns: pictureColumns, size: SIZE, low: Math.min(...values), high: Math.max(...values),
      value: (r, c) => values[r * pictureColumns + c],
    });
    row.append(svg);
    return { svg, ...made };
  }

  const image = picture("image", "image", model.get("image"), height, width);
  const pooled = picture("pooled", "maximum", model.get("pooled"), rows, columns);
  const upstream = picture("upstream", "upstream", model.get("upstream"), rows, columns);
  const gradient = picture("gradient", "gradient", model.get("gradient"), height, width);

  function choose(windowRow, windowColumn) {
    model.set("window", clamp(windowRow, 0, rows - 1) * columns + clamp(windowColumn, 0, columns - 1));
    model.save_changes();
  }
  for (const { svg } of [pooled, upstream]) onPoint(svg, choose);
  // In the image: the last window that covers the pixel.
  for (const { svg } of [image, gradient]) onPoint(svg, (r, c) => choose(Math.floor(r / stride), Math.floor(c / stride)));
  for (const { svg } of [image, pooled, upstream, gradient]) {
    onArrows(svg, (down, right) => {
      const now = model.get("window");
      choose(Math.floor(now / columns) + down, now % columns + right);
    });
  }

  function point() {
    const chosen = model.get("window"), winner = model.get("winners")[chosen];
    const top = Math.floor(chosen / columns) * stride, left = chosen % columns * stride;
    const inWindow = (index) => {
      const r = Math.floor(index / width) - top, c = index % width - left;
      return r >= 0 && r < kernel && c >= 0 && c < kernel;
    };
    for (const made of [image, gradient]) {
      mark(made, "chosen", inWindow);
      mark(made, "exact", (index) => index === winner);
    }
    for (const made of [pooled, upstream]) mark(made, "exact", (index) => index === chosen);
    const shared = model.get("winners").filter((other) => other === winner).length;
    sentence.textContent = `Window (${Math.floor(chosen / columns)}, ${chosen % columns}): the largest is ` +
      `${brief(model.get("image")[winner])} at row ${Math.floor(winner / width)}, column ${winner % width}, index ${winner}. It gets this window's ` +
      `gradient, ${brief(model.get("upstream")[chosen])}` +
      (shared > 1 ? `; it wins ${shared} windows, and their sum ${brief(model.get("gradient")[winner])} is its gradient.` : ".");
    for (const { svg } of [image, pooled, upstream, gradient]) svg.setAttribute("aria-label", sentence.textContent);
  }

  point();
  return listen(model, { window: point });
}

export default { render };
