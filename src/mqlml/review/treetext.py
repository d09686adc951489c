"""Reads LightGBM's model texts into flat arrays of nodes and leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Forest", "parse_forest"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# decision_type, from the lowest bit: categorical, default left, then two bits of missing type.
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = 0, 1, 2
_INTEGERS = ("split_feature", "decision_type", "left_child", "right_child", "internal_count")
# Above this a count is no longer exact in float64, and no history is that long.
_MOST = 2**53


@dataclass(frozen=True)
class Forest:
    """All trees of all bags, one after the other; children and parents are positions in the whole forest.

    Attributes
    ----------
    bags : int
    column : ndarray of int64, shape (nodes,)
    threshold : ndarray of float64, shape (nodes,)
        A row goes left when its value in ``column`` is at most this.
    missing : ndarray of int64, shape (nodes,)
        0: NaN goes right; 1: NaN goes left; 2: NaN and zero go right; 3: NaN and zero go left.
    left, right : ndarray of int64, shape (nodes,)
        An inner node, always after its parent, or ``-1 - leaf``.
    node_rows : ndarray of float64, shape (nodes,)
        Training rows that reached the node, at least 1.
    node_parent : ndarray of int64, shape (nodes,)
        -1 for a root.
    value : ndarray of float64, shape (leaves,)
        What the leaf adds to the raw score of its bag.
    leaf_rows : ndarray of float64, shape (leaves,)
        Training rows that reached the leaf.
    leaf_parent : ndarray of int64, shape (leaves,)
        -1 where the leaf is the whole tree.
    base : float
        Mean over bags of the expected raw score.
    """

    bags: int
    column: Integers
    threshold: Floats
    missing: Integers
    left: Integers
    right: Integers
    node_rows: Floats
    node_parent: Integers
    value: Floats
    leaf_rows: Floats
    leaf_parent: Integers
    base: float


def parse_forest(texts: Sequence[str], columns: int) -> Forest:
    """Parse LightGBM model texts.

    Parameters
    ----------
    texts : sequence of str
        One a bag, at least one.
    columns : int
        Columns of the matrix that the models read.

    Raises
    ------
    ValueError
        If a text is damaged, or is not a model of one raw score with constant leaves and numeric splits over
        ``columns`` columns.
    """
    if not texts:
        raise ValueError("no model text: at least one is needed")
    trees = [tree for number, text in enumerate(texts) for tree in _sections(f"model {number}", text, columns)]
    nodes = {name: _integers(trees, name) for name in _INTEGERS}
    threshold = _numbers(trees, "threshold", leaves=False)
    _check_splits(trees, nodes, columns)
    left, right = (_child(trees, nodes[f"{side}_child"], side) for side in ("left", "right"))
    node_parent, leaf_parent = _parents(trees, left, right)
    value, leaf_rows = (_numbers(trees, name, leaves=True) for name in ("leaf_value", "leaf_count"))
    forest = Forest(
        bags=len(texts),
        column=nodes["split_feature"],
        threshold=threshold,
        missing=_missing(trees, nodes["decision_type"], threshold),
        left=left,
        right=right,
        node_rows=nodes["internal_count"].astype(np.float64),
        node_parent=node_parent,
        value=value,
        leaf_rows=leaf_rows,
        leaf_parent=leaf_parent,
        base=_expected(trees, value, leaf_rows) / len(texts),
    )
    _check_counts(trees, forest)
    return forest


@dataclass(frozen=True)
class _Tree:
    """One ``Tree=`` section: its name in messages, its fields as text, its number of leaves."""

    name: str
    fields: Mapping[str, str]
    leaves: int

    def words(self, field: str, *, leaves: bool) -> list[str]:
        """Return the values of a field, one a leaf or one an inner node."""
        if field not in self.fields:
            raise ValueError(f"{self.name}: field {field!r} is missing")
        words = self.fields[field].split()
        expected = self.leaves if leaves else self.leaves - 1
        if len(words) != expected:
            raise ValueError(f"{self.name}: {field!r} has {len(words)} values, expected {expected}")
        return words


def _sections(model: str, text: str, columns: int) -> list[_Tree]:
    body, end, _ = text.partition("\nend of trees")
    head, *parts = body.split("\nTree=")
    if not end or head.split("\n", 1)[0] != "tree":
        raise ValueError(f"{model}: not a complete LightGBM model text (no 'tree' first or no 'end of trees')")
    _check_head(model, _fields(head), columns, trees=len(parts))
    return [_section(model, number, part) for number, part in enumerate(parts)]


def _check_head(model: str, head: Mapping[str, str], columns: int, *, trees: int) -> None:
    if "average_output" in head:
        raise ValueError(f"{model}: a random forest (average_output) cannot be explained, only boosted trees")
    wanted = {"num_class": "1", "num_tree_per_iteration": "1", "max_feature_idx": str(columns - 1)}
    for name, value in wanted.items():
        if head.get(name) != value:
            raise ValueError(f"{model}: {name} is {head.get(name, 'missing')}, expected {value}")
    if len(head.get("tree_sizes", "").split()) != trees:
        raise ValueError(f"{model}: damaged, 'tree_sizes' does not list the {trees} trees that follow")


def _section(model: str, number: int, part: str) -> _Tree:
    index, _, rest = part.partition("\n")
    name = f"{model}, tree {number}"
    fields = _fields(rest)
    leaves = fields.get("num_leaves", "")
    if index.strip() != str(number) or not leaves.isdecimal() or int(leaves) < 1:
        raise ValueError(f"{name}: damaged (section {index.strip()[:20]!r}, num_leaves {leaves[:20]!r})")
    if fields.get("num_cat") != "0":
        raise ValueError(f"{name}: categorical splits cannot be explained, only numeric ones")
    if fields.get("is_linear", "0") != "0":
        raise ValueError(f"{name}: linear trees cannot be explained, only trees with constant leaves")
    if leaves == "1":
        # Old texts leave out the count of a constant tree, which nothing depends on.
        fields["leaf_count"] = fields.get("leaf_count") or "1"
    return _Tree(name, fields, int(leaves))


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.split("\n") if line)
    return {name: value for name, _, value in pairs}


def _numbers(trees: Sequence[_Tree], field: str, *, leaves: bool) -> Floats:
    """One field of all trees; counts are read this way too, since they weigh."""
    words = [tree.words(field, leaves=leaves) for tree in trees]
    try:
        numbers = np.array([float(word) for tree in words for word in tree])
    except ValueError as error:
        raise ValueError(f"{field!r} holds something that is no number: {error}") from error
    # A split that only tells NaN from numbers has the threshold "inf".
    bad = np.isnan(numbers) if field == "threshold" else ~np.isfinite(numbers)
    if field == "leaf_count":
        bad |= numbers < 0
    _refuse(trees, bad, f"{field!r} is out of range", leaves=leaves)
    return numbers


def _integers(trees: Sequence[_Tree], field: str) -> Integers:
    """One field of the inner nodes of all trees."""
    words = [tree.words(field, leaves=False) for tree in trees]
    try:
        numbers = [int(word) for tree in words for word in tree]
    except ValueError as error:
        raise ValueError(f"{field!r} holds something that is no whole number: {error}") from error
    _refuse(trees, np.array([abs(n) > _MOST for n in numbers], dtype=bool), f"{field!r} is out of range")
    return np.array(numbers, dtype=np.int64)


def _refuse(trees: Sequence[_Tree], bad: Flags, what: str, *, leaves: bool = False) -> None:
    """Raise for the first tree that has a bad node (or leaf)."""
    if bad.any():
        owner = np.repeat(np.arange(len(trees)), _sizes(trees) - (not leaves))
        raise ValueError(f"{trees[owner[np.argmax(bad)]].name}: {what}")


def _sizes(trees: Sequence[_Tree]) -> Integers:
    return np.array([tree.leaves for tree in trees], dtype=np.int64)


def _check_splits(trees: Sequence[_Tree], nodes: Mapping[str, Integers], columns: int) -> None:
    column = nodes["split_feature"]
    _refuse(trees, (nodes["decision_type"] & _CATEGORICAL) > 0, "categorical splits cannot be explained")
    _refuse(trees, (column < 0) | (column >= columns), f"'split_feature' is outside 0..{columns - 1}")
    _refuse(trees, nodes["internal_count"] < 1, "'internal_count' is below 1")


def _child(trees: Sequence[_Tree], child: Integers, side: str) -> Integers:
    """Positions in the forest from positions in the tree."""
    leaves = _sizes(trees)
    first_leaf, inner = np.cumsum(leaves) - leaves, leaves - 1
    first_node = np.cumsum(inner) - inner
    own = np.arange(len(child)) - np.repeat(first_node, inner)
    size = np.repeat(leaves, inner)
    # LightGBM numbers nodes as it splits them, so a child before its parent is damage, and no loop can hide.
    bad = (child < -size) | (child > size - 2) | ((child >= 0) & (child <= own))
    _refuse(trees, bad, f"'{side}_child' does not form a tree")
    return np.where(child >= 0, child + np.repeat(first_node, inner), child - np.repeat(first_leaf, inner))


def _parents(trees: Sequence[_Tree], left: Integers, right: Integers) -> tuple[Integers, Integers]:
    """Parent of every inner node and of every leaf."""
    child, parent = np.concatenate([left, right]), np.tile(np.arange(len(left)), 2)
    inner = child >= 0
    nodes = _parent(trees, child[inner], parent[inner], leaves=False)
    return nodes, _parent(trees, -1 - child[~inner], parent[~inner], leaves=True)


def _parent(trees: Sequence[_Tree], child: Integers, parent: Integers, *, leaves: bool) -> Integers:
    """Parent by child, -1 for roots; every child has exactly one, and so everything hangs on a root."""
    sizes = _sizes(trees) - (not leaves)
    roots = (np.cumsum(sizes) - sizes)[(_sizes(trees) == 1) == leaves]
    seen = np.bincount(np.concatenate([child, roots]), minlength=int(sizes.sum()))
    _refuse(trees, seen != 1, "its nodes do not form a tree", leaves=leaves)
    found = np.full(len(seen), -1, dtype=np.int64)
    found[child] = parent
    return found


def _check_counts(trees: Sequence[_Tree], forest: Forest) -> None:
    """Every node's rows are its children's rows: otherwise contributions would not add up to the score."""
    # Leaves are written as -1, -2, ...: positions from the end.
    rows = np.concatenate([forest.node_rows, forest.leaf_rows[::-1]])
    total = rows[forest.left] + rows[forest.right]
    _refuse(trees, total != forest.node_rows, "'internal_count' is not the sum of its children's counts")


def _missing(trees: Sequence[_Tree], decision: Integers, threshold: Floats) -> Integers:
    kind, left = (decision >> 2) & 3, (decision & _DEFAULT_LEFT) > 0
    _refuse(trees, (decision < 0) | (decision > 15) | (kind > _MISSING_NAN), "'decision_type' is out of range")
    # Without a missing type LightGBM reads NaN as zero.
    missing: Integers = np.where(kind == _MISSING_NONE, threshold >= 0, left) + 2 * (kind == _MISSING_ZERO)
    return missing


def _expected(trees: Sequence[_Tree], value: Floats, leaf_rows: Floats) -> float:
    """Sum over trees of the mean leaf, weighed by training rows."""
    leaves = _sizes(trees)
    first = np.cumsum(leaves) - leaves
    rows = np.add.reduceat(leaf_rows, first) if len(trees) else np.empty(0)
    # The only leaf of a tree weighs 1, whatever its count.
    share = np.where(np.repeat(leaves == 1, leaves), 1.0, leaf_rows / np.repeat(np.maximum(rows, 1.0), leaves))
    return float((share * value).sum())
