// The im2col inspector: the image at the left, its matrix at the right. Choosing an element of the matrix outlines its
// column, the patch it was copied from and the pixel; choosing a pixel outlines every copy of it in the matrix.
// `origin` says for each element of the matrix which pixel of the padded image it is; the compiled kernel found it.

const SIZE = 25, LABELS = 62, CAPTION = 22;

function render({ model, el }) {
  const { box, sentence } = frame(el);
  const pictures = element("div", { class: "row" });
  box.append(
    element("div", { class: "controls" }, numberField(model, "stride", 1, 3), numberField(model, "padding", 0, 2)),
    pictures, sentence);
  let image = null, matrix = null, channels = [];

  const geometry = () => {
    const [C, H, W] = model.get("shape"), [kernelHeight, kernelWidth] = model.get("kernel"), padding = model.get("padding_shown");
    const [rows, columns, outWidth] = model.get("matrix_shape");
    return { C, H, W, kernelHeight, kernelWidth, padding, rows, columns, outWidth,
             height: H + 2 * padding, width: W + 2 * padding };
  };

  function choose(changes) {
    model.set(changes);
    model.save_changes();
  }

  function draw() {
    const g = geometry(), values = model.get("image"), entries = model.get("columns"), origin = model.get("origin");
    const low = Math.min(...values), high = Math.max(...values);
    pictures.replaceChildren();

    const plane = g.height * SIZE + CAPTION;
    image = shape("svg", { class: "image", width: g.width * SIZE + 8, height: g.C * plane + 4, tabindex: 0, role: "group" });
    image.setAttribute("viewBox", `0 0 ${g.width * SIZE + 8} ${g.C * plane + 4}`);
    channels = [];
    for (let c = 0; c < g.C; c++) {
      const part = shape("g", { "data-channel": c });
      part.append(shape("text", { class: "caption start", x: 4, y: c * plane + CAPTION / 2 }, `image, channel ${c}`));
      channels.push(grid(part, {
        x: 4, y: c * plane + CAPTION, rows: g.height, columns: g.width, size: SIZE, low, high,
        value: (row, column) => {
          const y = row - g.padding, x = column - g.padding;
          return y < 0 || x < 0 || y >= g.H || x >= g.W ? null : values[(c * g.H + y) * g.W + x];
        },
      }));
      image.append(part);
    }
    onPoint(image, (row, column, event) => {
      const channel = Number(event.target.parentNode.dataset.channel);
      choose({ pixel: (channel * g.height + row) * g.width + column });
    });
    onArrows(image, (down, right) => {
      const now = Math.max(model.get("pixel"), 0);
      const row = clamp(Math.floor(now / g.width) + down, 0, g.C * g.height - 1);
      choose({ pixel: row * g.width + clamp(now % g.width + right, 0, g.width - 1) });
    });

    const width = LABELS + Math.max(g.columns * SIZE, 190) + 4, height = 2 * CAPTION + g.rows * SIZE + 4;
    const svg = shape("svg", { class: "matrix", width, height, tabindex: 0, role: "group" });
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.append(shape("text", { class: "caption start", x: LABELS, y: CAPTION / 2 }, "matrix: one column an output pixel"));
    for (let column = 0; column < g.columns; column++) {
      svg.append(shape("text", { class: "caption", x: LABELS + (column + 0.5) * SIZE, y: 1.5 * CAPTION }, String(column)));
    }
    for (let row = 0; row < g.rows; row++) {
      const taps = g.kernelHeight * g.kernelWidth;
      const label = `${Math.floor(row / taps)}, ${Math.floor(row % taps / g.kernelWidth)}, ${row % g.kernelWidth}`;
      svg.append(shape("text", { class: "caption end", x: LABELS - 8, y: 2 * CAPTION + (row + 0.5) * SIZE }, label));
    }
    const inImage = (address) => {
      const y = Math.floor(address / g.width) % g.height - g.padding, x = address % g.width - g.padding;
      return y >= 0 && x >= 0 && y < g.H && x < g.W;
    };
    matrix = grid(svg, {
      x: LABELS, y: 2 * CAPTION, rows: g.rows, columns: g.columns, size: SIZE, low, high,
      value: (row, column) => inImage(origin[row * g.columns + column]) ? entries[row * g.columns + column] : null,
    });
    onPoint(svg, (row, column) => choose({ row, column, pixel: -1 }));
    onArrows(svg, (down, right) => choose({
      row: clamp(model.get("row") + down, 0, g.rows - 1),
      column: clamp(model.get("column") + right, 0, g.columns - 1),
      pixel: -1,
    }));
    pictures.append(image, svg);
    point();
  }

  // Redraws only the outlines.
  function point() {
    const g = geometry(), origin = model.get("origin"), pixel = model.get("pixel");
    const row = model.get("row"), column = model.get("column");
    const address = pixel >= 0 ? pixel : origin[row * g.columns + column];
    const patch = new Set();
    if (pixel < 0) for (let r = 0; r < g.rows; r++) patch.add(origin[r * g.columns + column]);
    const plane = g.height * g.width;
    channels.forEach((channel, c) => {
      mark(channel, "chosen", (index) => patch.has(c * plane + index));
      mark(channel, "exact", (index) => c * plane + index === address);
    });
    mark(matrix, "chosen", (index) => pixel < 0 && index % g.columns === column);
    mark(matrix, "exact", (index) => pixel >= 0 ? origin[index] === pixel : index === row * g.columns + column);
    sentence.textContent = words(g, address, row, column, pixel, origin);
    image.setAttribute("aria-label", `The image. ${sentence.textContent}`);
    image.nextSibling.setAttribute("aria-label", `The matrix. ${sentence.textContent}`);
  }

  function words(g, address, row, column, pixel, origin) {
    const c = Math.floor(address / (g.height * g.width));
    const y = Math.floor(address / g.width) % g.height - g.padding, x = address % g.width - g.padding;
    const inside = y >= 0 && x >= 0 && y < g.H && x < g.W;
    const place = inside ? `image[${c}, ${y}, ${x}] = ${brief(model.get("image")[(c * g.H + y) * g.W + x])}`
                         : "a zero of the padding";
    if (pixel >= 0) {
      const copies = origin.filter((source) => source === pixel).length;
      return `${place}: the matrix holds ${copies} ${copies === 1 ? "copy" : "copies"} of it, one for each patch that covers it.`;
    }
    const taps = g.kernelHeight * g.kernelWidth, tap = row % taps;
    return `Column ${column} is output pixel (${Math.floor(column / g.outWidth)}, ${column % g.outWidth}); row ${row} is ` +
      `channel ${Math.floor(row / taps)}, kernel element (${Math.floor(tap / g.kernelWidth)}, ${tap % g.kernelWidth}). ` +
      `matrix[${row}, ${column}] is ${place}.`;
  }

  draw();
  return listen(model, { version: draw, row: point, column: point, pixel: point });
}

export default { render };
