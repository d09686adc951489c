"""Groups the leaves of a forest and fills the tables from which contributions are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mqlml.review.treekernel import Groups, Leaves, Nodes, Quadrature, add_deep, add_grouped, fill_tables

if TYPE_CHECKING:
    from mqlml.review.treetext import Forest

__all__ = ["Tables", "fill"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Most nodes of a group (at most 16): one more doubles the tables and hardly speeds up 2,000 trees of 12 leaves.
_BITS = 8


@dataclass(frozen=True)
class Tables:
    """What the kernels read.

    Attributes
    ----------
    nodes : Nodes
    groups : Groups
        Leaves with few nodes, answered from ``table``.
    table : ndarray of float64
    deep : Leaves
        Leaves with too many nodes on their paths for a table: worked out row by row.
    rule : Quadrature
    longest : int
        Most nodes on a path.
    """

    nodes: Nodes
    groups: Groups
    table: Floats
    deep: Leaves
    rule: Quadrature
    longest: int

    def add(self, matrix: Floats, first: int, last: int, out: Floats) -> None:
        """Add the contributions of rows ``first`` to ``last``; both arrays hold the columns of the matrix as rows."""
        add_grouped(matrix, first, last, self.nodes, self.groups, self.table, out)
        if len(self.deep.leaf):
            add_deep(matrix, first, last, self.nodes, self.deep, self.rule, self.longest, out)


def fill(forest: Forest) -> Tables:
    """Group the leaves of a forest and fill their tables."""
    nodes = Nodes(forest.column, forest.threshold, forest.missing, forest.left, forest.node_rows, forest.node_parent)
    depth, size = _shape(forest)
    group_nodes, group_leaves, deep = _group(forest, depth, size)
    group_columns = [np.unique(forest.column[members]).tolist() for members in group_nodes]
    groups = Groups(
        leaves=_starts(map(len, group_leaves)),
        nodes=_starts(map(len, group_nodes)),
        columns=_starts(map(len, group_columns)),
        table=_starts(len(c) << len(n) for c, n in zip(group_columns, group_nodes, strict=True)),
        node=_flat(group_nodes),
        column=_flat(group_columns),
    )
    longest = max([_BITS, *depth])
    rule = _quadrature((longest + 1) // 2)
    table = np.zeros(groups.table[-1])
    fill_tables(nodes, _leaves(forest, _flat(group_leaves)), groups, rule, _BITS, table)
    return Tables(nodes, groups, table, _leaves(forest, np.array(deep, dtype=np.int64)), rule, longest)


def _shape(forest: Forest) -> tuple[list[int], list[int]]:
    """Nodes from the root to each node, itself included, and inner nodes below it, itself included."""
    parents = forest.node_parent.tolist()
    depth, size = [1] * len(parents), [1] * len(parents)
    for node, parent in enumerate(parents):
        if parent >= 0:
            depth[node] = depth[parent] + 1
    for node in range(len(parents) - 1, -1, -1):
        if parents[node] >= 0:
            size[parents[node]] += size[node]
    return depth, size


def _group(
    forest: Forest, depth: Sequence[int], size: Sequence[int]
) -> tuple[list[list[int]], list[list[int]], list[int]]:
    """Nodes and leaves of every group, and the leaves too deep for any.

    A subtree is a group when it has few nodes together with those above it: its leaves depend on these and no others.
    """
    parents = forest.node_parent.tolist()
    nodes: list[list[int]] = []
    leaves: list[list[int]] = []
    deep = []
    group = [-1] * len(parents)
    for node, parent in enumerate(parents):
        if parent >= 0 and group[parent] >= 0:
            group[node] = group[parent]
            nodes[group[node]].append(node)
        elif depth[node] + size[node] - 1 <= _BITS:
            group[node] = len(nodes)
            nodes.append(_path(parents, node))
            leaves.append([])
    for leaf, parent in enumerate(forest.leaf_parent.tolist()):
        if parent < 0:
            continue
        if group[parent] >= 0:
            leaves[group[parent]].append(leaf)
        elif depth[parent] <= _BITS:
            nodes.append(_path(parents, parent))
            leaves.append([leaf])
        else:
            deep.append(leaf)
    return nodes, leaves, deep


def _path(parents: Sequence[int], node: int) -> list[int]:
    path = []
    while node >= 0:
        path.append(node)
        node = parents[node]
    return path


def _leaves(forest: Forest, leaf: Integers) -> Leaves:
    return Leaves(leaf, forest.leaf_parent[leaf], forest.value[leaf] / forest.bags, forest.leaf_rows[leaf])


def _quadrature(most: int) -> Quadrature:
    points, weights = np.zeros((most, most)), np.zeros((most, most))
    for m in range(1, most + 1):
        at, weight = np.polynomial.legendre.leggauss(m)
        points[m - 1, :m], weights[m - 1, :m] = (at + 1) / 2, weight / 2
    return Quadrature(points, weights)


def _starts(sizes: Iterable[int]) -> Integers:
    return np.cumsum([0, *sizes], dtype=np.int64)


def _flat(lists: Iterable[Sequence[int]]) -> Integers:
    return np.array([item for items in lists for item in items], dtype=np.int64)
