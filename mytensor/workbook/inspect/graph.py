"""Look inside backward: the recorded graph, stepped through from the loss to the leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mytensor_backend as backend
import numpy as np

from mytensor import autograd
from mytensor._tensor import Tensor
from mytensor.optional import traitlets
from mytensor.workbook.inspect.recorded_graph import Graph, graph
from mytensor.workbook.inspect.widget import Inspector, script


class GraphInspector(Inspector):
    """The graph behind `loss`; at each step one node hands gradients to the nodes its inputs came from.

    loss: a tensor of one element, backward not yet called. names: name -> leaf, to label the leaves. The gradients are
    those of the ops' own backward rules; `.grad` of the leaves is left alone, and the graph can still be used.
    """

    _esm = script("graph.js")

    nodes = traitlets.List().tag(sync=True)  # {name, shape, kind, x, y}: x counts layers, y places in a layer
    edges = traitlets.List().tag(sync=True)  # [source, target]
    steps = traitlets.List().tag(sync=True)  # {node, text, gradients: node id -> text, sent: indices of edges}
    step = traitlets.Int(0).tag(sync=True)

    def __init__(self, loss: Tensor, names: Mapping[str, Tensor] | None = None):
        recorded = graph(loss)
        labels = {id(tensor): name for name, tensor in (names or {}).items()}
        titles = [labels.get(id(node.origin), node.name) for node in recorded.nodes]
        super().__init__(
            nodes=[
                {"name": title, "shape": list(node.shape), "kind": node.kind, "x": x, "y": y}
                for title, node, (x, y) in zip(titles, recorded.nodes, _layers(recorded), strict=True)
            ],
            edges=[[edge.source, edge.target] for edge in recorded.edges],
            steps=_walk(recorded, titles),
        )

    def sentence(self) -> str:
        operations = sum(node["kind"] == "operation" for node in self.nodes)
        leaves = [node["name"] for node in self.nodes if node["kind"] == "leaf"]
        return (
            f"A graph of {operations} operations over the leaves {', '.join(leaves)}; step {self.step} of "
            f"{len(self.steps) - 1}: {self.steps[self.step]['text']}"
        )

    def still(self):
        from mytensor.optional import Figure

        figure = Figure(figsize=(1.35 * (1 + max(node["x"] for node in self.nodes)), 0.8 + 0.9 * _tallest(self.nodes)))
        axes = figure.subplots()
        axes.set_axis_off()
        state = self.steps[self.step]
        for index, (source, target) in enumerate(self.edges):
            a, b = self.nodes[source], self.nodes[target]
            style = {"color": "#d55e00", "linewidth": 2.2} if index in state["sent"] else {"color": "0.6"}
            # An arrow that passes over other layers swings around their boxes.
            style |= {"connectionstyle": f"arc3,rad={-0.3 if b['x'] - a['x'] > 1 else 0}"}
            axes.annotate(
                "",
                (b["x"], -b["y"]),
                (a["x"], -a["y"]),
                arrowprops={"arrowstyle": "->", "shrinkA": 24, "shrinkB": 24, **style},
            )
        for index, node in enumerate(self.nodes):
            box: dict[str, Any] = {
                "boxstyle": "round" if node["kind"] == "operation" else "square",
                "facecolor": "white",
            }
            box |= {"edgecolor": "#d55e00", "linewidth": 2.5} if index == state["node"] else {"edgecolor": "0.3"}
            words = f"{node['name']}\n{'×'.join(map(str, node['shape'])) or 'number'}"
            axes.text(node["x"], -node["y"], words, ha="center", va="center", fontsize=8, bbox=box)
        axes.set_xlim(-0.6, max(node["x"] for node in self.nodes) + 0.6)
        axes.set_ylim(-_tallest(self.nodes) + 0.4, 1.2)
        return figure


def _tallest(nodes: list[dict[str, Any]]) -> float:
    return 1 + max(node["y"] for node in nodes)


def _layers(graph: Graph) -> list[tuple[int, float]]:
    """(x, y) of each node: x is one more than its farthest input's, y spreads the nodes of a layer."""
    depth = [0] * len(graph.nodes)
    for edge in sorted(graph.edges, key=lambda edge: edge.target):  # nodes are in the order of their computation
        depth[edge.target] = max(depth[edge.target], depth[edge.source] + 1)
    # A leaf stands just before the first op that uses it, so that its arrow is short.
    for node in graph.nodes:
        users = [depth[edge.target] for edge in graph.edges if edge.source == node.id]
        if node.kind == "leaf" and users:
            depth[node.id] = min(users) - 1
    places: list[tuple[int, float]] = []
    filled: dict[int, int] = {}
    for layer in depth:
        places.append((layer, filled.get(layer, 0)))
        filled[layer] = filled.get(layer, 0) + 1
    tallest = max(filled.values())
    return [(x, y + (tallest - filled[x]) / 2) for x, y in places]


def _walk(graph: Graph, titles: list[str]) -> list[dict[str, Any]]:
    """Backward by hand: one entry a step, with the gradients known after it."""
    root = max(node.id for node in graph.nodes)
    dtype = backend.float64
    for node in graph.nodes:
        if isinstance(node.origin, Tensor):
            dtype = node.origin.dtype
    received: dict[int, Any] = {root: backend.full(graph.nodes[root].shape, 1.0, dtype)}
    edge_of = {(edge.target, edge.input_index): number for number, edge in enumerate(graph.edges)}

    def entry(node: int, text: str, sent: list[int]) -> dict[str, Any]:
        known = {str(index): _short(array.numpy()) for index, array in received.items()}
        return {"node": node, "text": text, "sent": sent, "gradients": known}

    steps = [entry(root, f"The loss is {titles[root]}'s output; its gradient by itself is 1.", [])]
    for node in sorted(graph.nodes, key=lambda node: node.id, reverse=True):
        if not isinstance(node.origin, autograd.Node):
            continue
        gradients = autograd.call_backward(node.origin, [received[node.id]])
        sent, words = [], []
        for index, gradient in enumerate(gradients):
            number = edge_of.get((node.id, index))
            if number is None or gradient is None:
                continue
            source = graph.edges[number].source
            adds = source in received
            received[source] = backend.add(received[source], gradient) if adds else gradient
            sent.append(number)
            words.append(f"{'adds to' if adds else 'sends'} {titles[source]} {_short(gradient.numpy())}")
        steps.append(entry(node.id, f"{titles[node.id]}: " + "; ".join(words) + ".", sent))
    return steps


def _short(array: np.ndarray) -> str:
    """An array's first numbers, as many as fit beside a box."""
    numbers = [f"{value:.3g}" for value in array.ravel()[:3]]
    return "[" + ", ".join(numbers) + (", …]" if array.size > 3 else "]")
