"""What notebook 09 looks into: the sizes of outputs and gradients by layer, and the widget over them."""

import numpy as np
import pytest
import torch

pytest.importorskip("anywidget")

import traitlets

import mytensor as mt
from mytensor import random
from mytensor.inspect.initialisation import (
    STARTS,
    InitInspector,
    deviations_figure,
    edges_of_bins,
    plain_uniform,
    signals,
    summary,
)


def small_net(nn):
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 3)).double()


@pytest.fixture
def batch(rng):
    return mt.tensor(rng.standard_normal((9, 5))), mt.tensor(rng.integers(0, 3, 9))


def test_signals_are_torchs(batch):
    """Outputs and gradients of every layer, element by element, by torch's own hooks."""
    images, labels = batch
    ours, theirs = small_net(mt.nn), small_net(torch.nn)
    ours.load_state_dict(theirs.state_dict())
    kept = []

    def keep(module, inputs, output):
        output.retain_grad()
        kept.append(output)

    for layer in (theirs[0], theirs[2], theirs[4]):
        layer.register_forward_hook(keep)
    loss = torch.nn.functional.cross_entropy(theirs(torch.tensor(images.numpy())), torch.tensor(labels.numpy()))
    loss.backward()
    found = signals(ours, images, labels)
    assert [row.layer for row in found] == ["0", "2", "4"]
    for row, output in zip(found, kept, strict=True):
        np.testing.assert_allclose(row.output, output.detach().numpy(), rtol=0, atol=1e-14)
        np.testing.assert_allclose(row.gradient, output.grad.numpy(), rtol=0, atol=1e-14)
    assert all(parameter.grad is None for parameter in ours.parameters()), "looking left gradients behind"
    assert not any(module._forward_hooks for module in ours.modules()), "looking left hooks behind"


def test_starts_draw_what_they_say():
    """Every weight within its bound and close to it; with thousands of draws the largest lies within 1 % of it."""
    bounds = {
        "uniform ±0.01": 0.01,
        "uniform ±0.1": 0.1,
        "uniform ±1": 1.0,
        "Xavier": (6 / (90 + 70)) ** 0.5,
        "Kaiming": (6 / 90) ** 0.5,
        "torch's default": 90**-0.5,
    }
    assert set(bounds) == set(STARTS)
    for name, bound in bounds.items():
        layer = mt.nn.Linear(90, 70)
        STARTS[name](layer)
        largest = np.abs(layer.weight.detach().numpy()).max()
        assert 0.99 * bound <= largest <= bound * (1 + 1e-6), name
        bias = np.abs(layer.bias.detach().numpy()).max()
        assert (bias == 0) == (name in ("Xavier", "Kaiming")), name


def test_a_summary_counts_every_element_once():
    values = np.array([0.0, 0.0, 3.0, -3.0, 1e-300, 1e300, np.inf, np.nan])
    found = summary(values)
    assert found["zeros"] == 0.25 and found["not_finite"] == 0.25 and found["deviation"] is None
    assert sum(found["counts"]) + found["zeros"] + found["not_finite"] == 1
    place = np.searchsorted(edges_of_bins(), np.log10(3.0)) - 1
    assert found["counts"][place] == 0.25 and found["counts"][0] == 0.125 and found["counts"][-1] == 0.125
    assert summary(np.array([1.0, -1.0]))["deviation"] == 1.0


def test_the_widget(batch):
    pytest.importorskip("anywidget")
    before = random.get_state()
    widget = InitInspector(lambda: small_net(mt.nn), *batch)
    assert random.get_state() == before, "a look must not move the reader's random numbers on"
    assert widget.start == "uniform ±0.01" and widget.layers == ["0", "2", "4"]
    small, large = widget.outputs["uniform ±0.01"], widget.outputs["uniform ±1"]
    assert all(wide["deviation"] > narrow["deviation"] for narrow, wide in zip(small, large, strict=True))
    text = repr(widget)
    assert "3 layers, weights drawn as uniform ±0.01" in text
    widget.start = "Kaiming"
    assert "weights drawn as Kaiming" in repr(widget) != text
    data, _ = widget._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG") and data["text/plain"] == widget.sentence()
    widget.layer = 99
    assert widget.layer == 2
    with pytest.raises(traitlets.TraitError, match=r"there are: uniform ±0\.01"):
        widget.start = "zeros"


def test_the_figure_names_the_extremes(batch):
    starts = {"narrow": plain_uniform(0.001), "wide": plain_uniform(100), "Kaiming": STARTS["Kaiming"]}
    found = {name: signals(started(draw), *batch) for name, draw in starts.items()}
    fig, sentence = deviations_figure(found, "a small net")
    assert len(fig.axes) == 2 and all(len(axes.lines) == 3 for axes in fig.axes)
    assert "grow most with wide" in sentence and "change least with Kaiming" in sentence


def started(draw):
    mt.manual_seed(0)
    model = small_net(mt.nn)
    draw(model)
    return model
