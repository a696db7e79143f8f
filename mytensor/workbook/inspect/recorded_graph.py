"""The recorded graph as a list of boxes and arrows: what the picture in graph.py is drawn from. Needs no Jupyter."""

from __future__ import annotations

from typing import NamedTuple

from mytensor import autograd
from mytensor._tensor import Tensor


class GraphNode(NamedTuple):
    """A box of the picture: an operation, or a leaf whose gradient is collected."""

    id: int
    name: str
    kind: str  # "operation" or "leaf"
    shape: tuple[int, ...]  # of the (first) output
    origin: autograd.Node | Tensor  # what the box stands for: the recorded operation, or the leaf itself


class GraphEdge(NamedTuple):
    """An arrow of the picture, in the direction values flow: from the input to the operation that uses it."""

    source: int
    target: int
    input_index: int


class Graph(NamedTuple):
    """The recorded graph behind a tensor. Nodes are in the order in which they were computed, leaves first."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]


def graph(tensor: Tensor) -> Graph:
    """Lists the nodes and edges that `tensor` was computed with, for drawing."""
    root = tensor.grad_fn or tensor
    found: dict[autograd.Node | Tensor, None] = {root: None}
    stack = [root]
    links: list[tuple[autograd.Node | Tensor, autograd.Node, int]] = []
    while stack:
        target = stack.pop()
        if not isinstance(target, autograd.Node):
            continue
        for input_index, edge in enumerate(target.edges):
            if edge is None:
                continue
            links.append((edge[0], target, input_index))
            if edge[0] not in found:
                found[edge[0]] = None
                stack.append(edge[0])
    operations = sorted((item for item in found if isinstance(item, autograd.Node)), key=lambda node: node.number)
    leaves = [item for item in found if isinstance(item, Tensor)]
    nodes = [GraphNode(index, "leaf", "leaf", leaf.shape, leaf) for index, leaf in enumerate(leaves)]
    for index, node in enumerate(operations, start=len(leaves)):
        shape = next(tuple(spec[0]) for spec in node.output_specs if spec is not None)
        nodes.append(GraphNode(index, node.function.__name__, "operation", shape, node))
    ids = {item: index for index, item in enumerate([*leaves, *operations])}
    edges = sorted(GraphEdge(ids[source], ids[target], index) for source, target, index in links)
    return Graph(nodes, edges)
