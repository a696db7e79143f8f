// The threads inspector: the image at the left, its im2col matrix at the right. Chosen are one warp (32 threads) of a CUDA
// kernel and one of its threads (a lane). Outlined is what they read and write; dashed is what memory has to move for it,
// whole sectors. `reads` and `writes` were recorded while the kernel ran.

const SIZE = 25, LABELS = 62, CAPTION = 22, WARP = 32;

function render({ model, el }) {
  const { box, sentence } = frame(el);
  const [C, H, W] = model.get("shape"), [rows, columns] = model.get("matrix_shape");
  const [kernelHeight, kernelWidth] = model.get("kernel_size"), perSector = model.get("elements_in_sector");
  const warps = Math.ceil(Math.max(...Object.values(model.get("writes")).map((of) => of.filter((index) => index >= 0).length)) / WARP);

  const select = element("select", { name: "kernel" });
  for (const name of model.get("kernels")) select.append(element("option", { value: name }, name));
  select.addEventListener("change", () => choose({ kernel: select.value }));
  select.addEventListener("keydown", (event) => event.stopPropagation());
  box.append(
    element("div", { class: "controls" }, element("label", {}, "kernel", select), numberField(model, "warp", 0, warps - 1)));
  const pictures = element("div", { class: "row" });
  box.append(pictures, sentence);

  function choose(changes) {
    model.set(changes);
    model.save_changes();
  }

  const values = model.get("image"), entries = model.get("columns");
  const low = Math.min(...values), high = Math.max(...values);
  const plane = H * SIZE + CAPTION;
  const image = shape("svg", { class: "read", width: Math.max(W * SIZE + 8, 110), height: C * plane + 4, tabindex: 0, role: "group" });
  image.setAttribute("viewBox", `0 0 ${Math.max(W * SIZE + 8, 110)} ${C * plane + 4}`);
  const channels = [];
  for (let c = 0; c < C; c++) {
    image.append(shape("text", { class: "caption start", x: 4, y: c * plane + CAPTION / 2 }, `channel ${c}: read`));
    channels.push(grid(image, {
      x: 4, y: c * plane + CAPTION, rows: H, columns: W, size: SIZE, low, high,
      value: (row, column) => values[(c * H + row) * W + column],
    }));
  }
  const width = LABELS + columns * SIZE + 4, height = CAPTION + rows * SIZE + 4;
  const svg = shape("svg", { class: "written", width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "group" });
  svg.append(shape("text", { class: "caption start", x: LABELS, y: CAPTION / 2 }, "matrix: written"));
  const taps = kernelHeight * kernelWidth;
  for (let row = 0; row < rows; row++) {
    const label = `${Math.floor(row / taps)}, ${Math.floor(row % taps / kernelWidth)}, ${row % kernelWidth}`;
    svg.append(shape("text", { class: "caption end", x: LABELS - 8, y: CAPTION + (row + 0.5) * SIZE }, label));
  }
  const matrix = grid(svg, {
    x: LABELS, y: CAPTION, rows, columns, size: SIZE, low, high, value: (row, column) => entries[row * columns + column],
  });
  pictures.append(image, svg);

  onPoint(svg, (row, column) => chooseThread(model.get("writes")[model.get("kernel")].indexOf(row * columns + column)));
  for (const picture of [image, svg]) {
    onArrows(picture, (down, right) => {
      if (Math.abs(right) === Infinity) chooseThread(WARP * model.get("warp") + (right > 0 ? WARP - 1 : 0));
      else chooseThread(WARP * model.get("warp") + model.get("lane") + WARP * down + right);
    });
  }

  function chooseThread(thread) {
    if (thread < 0 || thread >= WARP * warps) return;
    choose({ warp: Math.floor(thread / WARP), lane: thread % WARP });
  }

  // What the chosen warp touches: the elements, and the sectors around them.
  function touched(indices, first) {
    const elements = new Set(indices.slice(first, first + WARP).filter((index) => index >= 0));
    return { elements, sectors: new Set([...elements].map((index) => Math.floor(index / perSector))) };
  }

  function outline(picture, offset, { elements, sectors }, exact) {
    mark(picture, "sector", (index) => sectors.has(Math.floor((offset + index) / perSector)));
    mark(picture, "chosen", (index) => elements.has(offset + index));
    mark(picture, "exact", (index) => offset + index === exact);
  }

  function point() {
    const kernel = model.get("kernel"), warp = model.get("warp"), thread = WARP * warp + model.get("lane");
    const reads = model.get("reads")[kernel], writes = model.get("writes")[kernel];
    const read = touched(reads, WARP * warp), written = touched(writes, WARP * warp);
    select.value = kernel;
    channels.forEach((channel, c) => outline(channel, c * H * W, read, reads[thread]));
    outline(matrix, 0, written, writes[thread]);
    sentence.textContent = words(kernel, warp, thread, read, written, reads[thread], writes[thread]);
    image.setAttribute("aria-label", `What is read. ${sentence.textContent}`);
    svg.setAttribute("aria-label", `What is written. ${sentence.textContent}`);
  }

  function words(kernel, warp, thread, read, written, from, to) {
    const least = Math.ceil(written.elements.size / perSector);
    const source = from < 0 ? "a zero of the padding"
      : `image[${Math.floor(from / (H * W))}, ${Math.floor(from / W) % H}, ${from % W}]`;
    const action = to < 0 ? `Thread ${thread} has nothing to do.`
      : `Thread ${thread} writes matrix[${Math.floor(to / columns)}, ${to % columns}], ${source}.`;
    return `Kernel ${kernel}, warp ${warp}: its ${WARP} threads write ${written.elements.size} elements into ` +
      `${written.sectors.size} sectors of 32 bytes, where ${least} would hold them, and read ${read.elements.size} ` +
      `pixels from ${read.sectors.size}. ${action}`;
  }

  point();
  return listen(model, { kernel: point, warp: point, lane: point });
}

export default { render };
