"""Compiled path-dependent TreeSHAP by table look-up.

In the game of one leaf the players are the distinct columns on its path; a coalition is worth the leaf's value times,
for every player in it, whether the row meets all of the player's conditions and, for every other player, the share of
training rows that go the leaf's way (Lundberg et al., 2020, Nature Machine Intelligence 2:56-67). The Shapley value of
player ``i`` is ``value * (holds_i - share_i) * integral over t of the product over the others of
(share + (holds - share) * t)``: a polynomial in ``t``, so Gauss-Legendre quadrature with half as many points as there
are players is exact, and nothing is ever divided.

A row's contributions depend on nothing but the yes or no of each node. Leaves with few nodes between them share a
**group**: the answers of the group's nodes are the bits of an index into a table of finished sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numba
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., object])

    def _compiled(function: F) -> F: ...
else:
    # The interpreter lock is let go, so that threads can share the rows.
    _compiled = numba.njit(cache=True, fastmath=False, nogil=True)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# LightGBM's kZeroThreshold, a float32 there.
_ZERO = float(np.float32(1e-35))
# Rows per pass over all tables: few enough for their columns to stay in the cache, enough to pay for the tables.
_BLOCK = 1024


class Nodes(NamedTuple):
    """The inner nodes of a forest; see :class:`mqlml.review.treetext.Forest`."""

    column: Integers
    threshold: Floats
    missing: Integers
    left: Integers
    rows: Floats
    parent: Integers


class Leaves(NamedTuple):
    """Leaves in the order of their groups: position in the forest, parent, value (over bags), training rows."""

    leaf: Integers
    parent: Integers
    value: Floats
    rows: Floats


class Groups(NamedTuple):
    """Groups of leaves: where the leaves, nodes, columns and the table of each begin; one entry more than groups."""

    leaves: Integers
    nodes: Integers
    columns: Integers
    table: Integers
    node: Integers
    column: Integers


class Quadrature(NamedTuple):
    """Gauss-Legendre points and weights on 0..1, row ``m - 1`` for ``m`` points, shape (most, most)."""

    points: Floats
    weights: Floats


@_compiled
def _shapley(
    value: float, holds: Floats, share: Floats, players: int, rule: Quadrature, scratch: Floats, result: Floats
) -> None:
    """Shapley values of one leaf's players for one row."""
    order = (players + 1) // 2 - 1
    result[:players] = 0.0
    for q in range(order + 1):
        t = rule.points[order, q]
        before = rule.weights[order, q] * value
        for i in range(players):
            scratch[i] = before
            before *= share[i] + (holds[i] - share[i]) * t
        after = 1.0
        for i in range(players - 1, -1, -1):
            result[i] += scratch[i] * after
            after *= share[i] + (holds[i] - share[i]) * t
    for i in range(players):
        result[i] *= holds[i] - share[i]


@_compiled
def _walk(nodes: Nodes, leaf: int, parent: int, rows: float, column: Integers, share: Floats, owner: Integers) -> int:
    """Gather the players on a leaf's path, from the leaf up; returns how many.

    ``owner`` gets the player of each node on the path.
    """
    players, step = 0, 0
    node, below = parent, rows
    while node >= 0:
        player = 0
        while player < players and column[player] != nodes.column[node]:
            player += 1
        if player == players:
            column[player] = nodes.column[node]
            share[player] = 1.0
            players += 1
        share[player] *= below / nodes.rows[node]
        owner[step] = player
        step += 1
        below = nodes.rows[node]
        node = nodes.parent[node]
    return players


@_compiled
def fill_tables(nodes: Nodes, leaves: Leaves, groups: Groups, rule: Quadrature, widest: int, table: Floats) -> None:
    """Add every grouped leaf to its group's table, shape (columns of the group, patterns of its nodes) each."""
    column, owner = np.empty(widest, np.int64), np.empty(widest, np.int64)
    mask, want, slot = np.empty(widest, np.int64), np.empty(widest, np.int64), np.empty(widest, np.int64)
    share, holds, scratch = np.empty(widest), np.empty(widest), np.empty(widest)
    local = np.empty((1 << widest, widest))
    for group in range(len(groups.leaves) - 1):
        first_node, bits = groups.nodes[group], groups.nodes[group + 1] - groups.nodes[group]
        first_column = groups.columns[group]
        for place in range(groups.leaves[group], groups.leaves[group + 1]):
            parent = leaves.parent[place]
            players = _walk(nodes, leaves.leaf[place], parent, leaves.rows[place], column, share, owner)
            mask[:players] = 0
            want[:players] = 0
            node, child, step = parent, -1 - leaves.leaf[place], 0
            while node >= 0:
                bit = 0
                while groups.node[first_node + bit] != node:
                    bit += 1
                mask[owner[step]] |= 1 << bit
                if nodes.left[node] == child:
                    want[owner[step]] |= 1 << bit
                node, child, step = nodes.parent[node], node, step + 1
            for i in range(players):
                slot[i] = 0
                while groups.column[first_column + slot[i]] != column[i]:
                    slot[i] += 1
            for met in range(1 << players):
                for i in range(players):
                    holds[i] = (met >> i) & 1
                _shapley(leaves.value[place], holds, share, players, rule, scratch, local[met])
            for pattern in range(1 << bits):
                met = 0
                for i in range(players):
                    met |= int((pattern & mask[i]) == want[i]) << i
                for i in range(players):
                    table[groups.table[group] + (slot[i] << bits) + pattern] += local[met, i]


@_compiled
def _goes_left(x: float, threshold: float, missing: int) -> bool:
    if missing >= 2 and (np.isnan(x) or abs(x) <= _ZERO):
        return missing == 3
    return x <= threshold or (missing == 1 and np.isnan(x))


@_compiled
def add_grouped(
    matrix: Floats, first: int, last: int, nodes: Nodes, groups: Groups, table: Floats, out: Floats
) -> None:
    """Add the grouped leaves' contributions of rows ``first`` to ``last``; ``matrix`` and ``out`` hold columns as rows."""
    pattern = np.empty(_BLOCK, np.int32)
    for start in range(first, last, _BLOCK):
        rows = min(_BLOCK, last - start)
        for group in range(len(groups.leaves) - 1):
            first_node, bits = groups.nodes[group], groups.nodes[group + 1] - groups.nodes[group]
            pattern[:rows] = 0
            for bit in range(bits):
                node = groups.node[first_node + bit]
                x = matrix[nodes.column[node], start : start + rows]
                threshold, missing, one = nodes.threshold[node], nodes.missing[node], np.int32(1 << bit)
                if missing == 0:
                    for r in range(rows):
                        pattern[r] |= one if x[r] <= threshold else np.int32(0)
                else:
                    for r in range(rows):
                        pattern[r] |= one if _goes_left(x[r], threshold, missing) else np.int32(0)
            for place in range(groups.columns[group], groups.columns[group + 1]):
                at = groups.table[group] + ((place - groups.columns[group]) << bits)
                sums = table[at : at + (1 << bits)]
                total = out[groups.column[place], start : start + rows]
                for r in range(rows):
                    total[r] += sums[pattern[r]]
