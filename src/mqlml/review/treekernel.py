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
    _OPTIONS = {"fastmath": False, "nogil": True}  # the interpreter lock is let go, so that threads can share the rows

    def _compiled(function: F) -> F:
        try:
            return numba.njit(cache=True, **_OPTIONS)(function)
        except RuntimeError:  # nowhere to keep compiled code: neither package, home nor NUMBA_CACHE_DIR can be written
            return numba.njit(**_OPTIONS)(function)


Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# LightGBM's kZeroThreshold, a float32 there.
_ZERO = float(np.float32(1e-35))


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
    """Groups of leaves that share a table.

    Attributes
    ----------
    leaves, nodes, columns, table : ndarray of int64, shape (groups + 1,)
        Where each group's leaves, nodes, columns and table begin.
    node : ndarray of int64
        Nodes that decide about any leaf of the group; the answer of the first is the lowest bit of the pattern.
    column : ndarray of int64
        Distinct columns of these nodes, ascending.
    """

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
def _walk(nodes: Nodes, parent: int, rows: float, column: Integers, share: Floats, owner: Integers) -> int:
    """Gather the players on a path from a leaf up and, in ``owner``, the player of each node; returns how many."""
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
def _conditions(
    nodes: Nodes, child: int, parent: int, owner: Integers, listed: Integers, mask: Integers, want: Integers
) -> None:
    """Find, for each player, its nodes among the group's ``listed`` ones, and which of them have to answer "left"."""
    node, step = parent, 0
    while node >= 0:
        bit = 0
        while listed[bit] != node:
            bit += 1
        mask[owner[step]] |= 1 << bit
        if nodes.left[node] == child:
            want[owner[step]] |= 1 << bit
        node, child, step = nodes.parent[node], node, step + 1


@_compiled
def _spread(
    values: Floats, mask: Integers, want: Integers, start: Integers, players: int, patterns: int, table: Floats
) -> None:
    """Add a leaf's values, by which players hold, to the tables of its columns, by pattern of the group's nodes."""
    for pattern in range(patterns):
        met = 0
        for i in range(players):
            met |= int((pattern & mask[i]) == want[i]) << i
        for i in range(players):
            table[start[i] + pattern] += values[met, i]


@_compiled
def fill_tables(nodes: Nodes, leaves: Leaves, groups: Groups, rule: Quadrature, bits: int, table: Floats) -> None:
    """Add every leaf's Shapley values to its group's table, whose rows are columns, and columns patterns.

    Parameters
    ----------
    nodes, leaves, groups, rule
        The leaves in the order of their groups.
    bits : int
        Most nodes of a group.
    table : ndarray of float64
        Zeros; the tables of all groups, one after the other.
    """
    column, owner = np.empty(bits, np.int64), np.empty(bits, np.int64)
    mask, want, start = np.empty(bits, np.int64), np.empty(bits, np.int64), np.empty(bits, np.int64)
    share, holds, scratch = np.empty(bits), np.empty(bits), np.empty(bits)
    values = np.empty((1 << bits, bits))
    for group in range(len(groups.leaves) - 1):
        listed = groups.node[groups.nodes[group] : groups.nodes[group + 1]]
        patterns = 1 << len(listed)
        slots = groups.column[groups.columns[group] : groups.columns[group + 1]]
        for place in range(groups.leaves[group], groups.leaves[group + 1]):
            parent = leaves.parent[place]
            players = _walk(nodes, parent, leaves.rows[place], column, share, owner)
            mask[:players] = 0
            want[:players] = 0
            _conditions(nodes, -1 - leaves.leaf[place], parent, owner, listed, mask, want)
            for met in range(1 << players):
                for i in range(players):
                    holds[i] = (met >> i) & 1
                _shapley(leaves.value[place], holds, share, players, rule, scratch, values[met])
            for i in range(players):
                slot = 0
                while slots[slot] != column[i]:
                    slot += 1
                start[i] = groups.table[group] + slot * patterns
            _spread(values, mask, want, start, players, patterns, table)


@_compiled
def _goes_left(x: float, threshold: float, missing: int) -> bool:
    if missing >= 2 and (np.isnan(x) or abs(x) <= _ZERO):
        return missing == 3
    return x <= threshold or (missing == 1 and np.isnan(x))


@_compiled
def add_grouped(
    matrix: Floats, first: int, last: int, nodes: Nodes, groups: Groups, table: Floats, out: Floats
) -> None:
    """Add what the grouped leaves contribute to rows ``first`` to ``last``.

    Parameters
    ----------
    matrix : ndarray of float64, shape (columns, rows)
    first, last : int
    nodes, groups, table
        As filled by :func:`fill_tables`.
    out : ndarray of float64, shape (columns + 1, rows)
        Every row is added to in the same order, whatever the other rows are.
    """
    rows = last - first
    pattern = np.empty(rows, np.uint16)
    for group in range(len(groups.leaves) - 1):
        pattern[:] = 0
        first_node, bits = groups.nodes[group], groups.nodes[group + 1] - groups.nodes[group]
        for bit in range(bits):
            node = groups.node[first_node + bit]
            x = matrix[nodes.column[node], first:last]
            threshold, missing, yes, no = nodes.threshold[node], nodes.missing[node], np.uint16(1 << bit), np.uint16(0)
            # Almost all nodes are of this kind, and without a branch the rows are compared several at a time.
            if missing == 0:
                for r in range(rows):
                    pattern[r] |= yes if x[r] <= threshold else no
            else:
                for r in range(rows):
                    pattern[r] |= yes if _goes_left(x[r], threshold, missing) else no
        for place in range(groups.columns[group], groups.columns[group + 1]):
            at = groups.table[group] + ((place - groups.columns[group]) << bits)
            sums, total = table[at : at + (1 << bits)], out[groups.column[place], first:last]
            for r in range(rows):
                total[r] += sums[pattern[r]]


@_compiled
def add_deep(
    matrix: Floats, first: int, last: int, nodes: Nodes, leaves: Leaves, rule: Quadrature, longest: int, out: Floats
) -> None:
    """Add what leaves with too many nodes for a table contribute; parameters as for :func:`add_grouped`."""
    column, owner = np.empty(longest, np.int64), np.empty(longest, np.int64)
    share, scratch, values = np.empty(longest), np.empty(longest), np.empty(longest)
    holds = np.empty((last - first, longest))
    for place in range(len(leaves.leaf)):
        child, node = -1 - leaves.leaf[place], leaves.parent[place]
        players = _walk(nodes, node, leaves.rows[place], column, share, owner)
        holds[:, :players] = 1.0
        step = 0
        while node >= 0:
            left = nodes.left[node] == child
            for r in range(first, last):
                x = matrix[nodes.column[node], r]
                if _goes_left(x, nodes.threshold[node], nodes.missing[node]) != left:
                    holds[r - first, owner[step]] = 0.0
            node, child, step = nodes.parent[node], node, step + 1
        for r in range(first, last):
            _shapley(leaves.value[place], holds[r - first], share, players, rule, scratch, values)
            for i in range(players):
                out[column[i], r] += values[i]
