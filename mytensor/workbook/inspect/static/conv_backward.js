// The inspector of a convolution's backward pass: the upstream gradient is 1 at the chosen output pixel. The picture shows the image, the weight and
// the two gradients the compiled kernels returned for it.

const SIZE = 32, CAPTION = 22;

function render({ model, el }) {
  const { box, sentence } = frame(el);
  const row = element("div", { class: "row" });
  box.append(row, sentence);
  const [height, width] = model.get("shape"), [kernelHeight, kernelWidth] = model.get("kernel");
  const [rows, columns] = model.get("output_shape");

  // A small matrix that can be drawn again with other values.
  function picture(name, caption, pictureRows, pictureColumns, range) {
    const w = Math.max(pictureColumns * SIZE + 4, 130), h = pictureRows * SIZE + CAPTION + 4;
    const svg = shape("svg", { class: name, width: w, height: h, viewBox: `0 0 ${w} ${h}`, tabindex: 0, role: "group" });
    row.append(svg);
    const made = { svg };
    made.fill = (values) => {
      svg.replaceChildren(shape("text", { class: "caption start", x: 2, y: CAPTION / 2 }, caption));
      Object.assign(made, grid(svg, {
        x: 2, y: CAPTION, rows: pictureRows, columns: pictureColumns, size: SIZE, low: Math.min(...range), high: Math.max(...range),
        value: (r, c) => values[r * pictureColumns + c],
      }));
    };
    return made;
  }

  const upstream = picture("upstream", "upstream gradient", rows, columns, [0, 1]);
  const image = picture("image", "image", height, width, model.get("image"));
  const inputGradient = picture("input-gradient", "gradient of the image", height, width, [0, ...model.get("weight")]);
  const weight = picture("weight", "weight", kernelHeight, kernelWidth, model.get("weight"));
  const weightGradient = picture("weight-gradient", "gradient of the weight", kernelHeight, kernelWidth, model.get("image"));
  image.fill(model.get("image"));
  weight.fill(model.get("weight"));

  function choose(outputRow, outputColumn) {
    const pixel = clamp(outputRow, 0, rows - 1) * columns + clamp(outputColumn, 0, columns - 1);
    if (pixel === model.get("pixel")) return;
    model.set("pixel", pixel);
    model.save_changes();
  }
  onPoint(upstream.svg, choose);
  for (const { svg } of [upstream, image, inputGradient, weight, weightGradient]) {
    onArrows(svg, (down, right) => {
      const now = model.get("pixel");
      choose(Math.floor(now / columns) + down, now % columns + right);
    });
  }

  function point() {
    const pixel = model.get("pixel"), gradient = model.get("input_gradients")[pixel];
    upstream.fill(Array.from({ length: rows * columns }, (_, index) => Number(index === pixel)));
    inputGradient.fill(gradient);
    weightGradient.fill(model.get("weight_gradients")[pixel]);
    mark(upstream, "exact", (index) => index === pixel);
    const reached = (index) => gradient[index] !== 0;
    mark(image, "chosen", reached);
    mark(inputGradient, "chosen", reached);
    const count = gradient.filter((value) => value !== 0).length;
    sentence.textContent = `The upstream gradient is 1 at output pixel (${Math.floor(pixel / columns)}, ${pixel % columns}). The ${count} input pixels it was ` +
      "computed from get, as their gradient, the weight they were multiplied with; each weight gets the pixel it was multiplied with.";
    for (const { svg } of [upstream, image, inputGradient, weight, weightGradient]) svg.setAttribute("aria-label", sentence.textContent);
  }

  point();
  return listen(model, { pixel: point });
}

export default { render };
