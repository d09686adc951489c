"""Reasons for the trees: exact path-dependent TreeSHAP of LightGBM models, for many rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
import os
import numpy as np
import numpy.typing as npt

from mqlml.review.treekernel import Groups, Leaves, Nodes, Quadrature, add_grouped, fill_tables
from mqlml.review.treetext import Forest, parse_forest

__all__ = ["TreeEnsemble"]
Floats = npt.NDArray[np.float64]
MOST_BITS=8

@dataclass(frozen=True)
class TreeEnsemble:
    columns: int
    forest: Forest

    @classmethod
    def parse(cls, texts, columns):
        return cls(columns, parse_forest(texts, columns))

    @cached_property
    def plan(self):
        return plan(self.forest)

    def contributions(self, matrix, threads=None):
        x = np.ascontiguousarray(np.asarray(matrix, dtype=np.float64).T)
        out = np.zeros((self.columns+1, x.shape[1]))
        out[-1] = self.forest.base
        nodes, groups, table = self.plan
        n = x.shape[1]
        step = 4096
        with ThreadPoolExecutor(threads or 2) as pool:
            list(pool.map(lambda s: add_grouped(x, s, min(s+step, n), nodes, groups, table, out), range(0, n, step)))
        return out.T

def plan(f):
    n = len(f.column)
    depth = np.zeros(n, dtype=np.int64); size = np.ones(n, dtype=np.int64)
    parent = f.node_parent.tolist()
    for u in range(n):
        if parent[u] >= 0: depth[u] = depth[parent[u]] + 1
    for u in range(n-1, -1, -1):
        if parent[u] >= 0: size[parent[u]] += size[u]
    group = [-1]*n
    members = []
    leavesof = []
    def path(u):
        r = []
        while u >= 0:
            r.append(u); u = parent[u]
        return r
    for u in range(n):
        p = parent[u]
        if p >= 0 and group[p] >= 0:
            group[u] = group[p]; members[group[u]].append(u)
        elif depth[u] + size[u] <= MOST_BITS:
            group[u] = len(members)
            members.append(path(u)); leavesof.append([])
    for leaf, p in enumerate(f.leaf_parent.tolist()):
        if p < 0: continue
        if group[p] >= 0: leavesof[group[p]].append(leaf)
        else:
            assert depth[p] < MOST_BITS
            members.append(path(p)); leavesof.append([leaf])
    cols = [sorted({int(f.column[u]) for u in m}) for m in members]
    cs = lambda l: np.concatenate([[0], np.cumsum(l)]).astype(np.int64)
    leaves = np.array([l for g in leavesof for l in g], dtype=np.int64)
    L = Leaves(leaves, f.leaf_parent[leaves], f.value[leaves]/f.bags, f.leaf_rows[leaves])
    G = Groups(cs([len(g) for g in leavesof]), cs([len(g) for g in members]), cs([len(c) for c in cols]),
        cs([len(c) << len(m) for c, m in zip(cols, members)]), np.array([u for m in members for u in m], dtype=np.int64), np.array([c for m in cols for c in m], dtype=np.int64))
    N = Nodes(f.column, f.threshold, f.missing, f.left, f.node_rows, f.node_parent)
    k = 8
    P = np.zeros((k,k)); W = np.zeros((k,k))
    for m in range(1,k+1):
        a,b = np.polynomial.legendre.leggauss(m); P[m-1,:m]=(a+1)/2; W[m-1,:m]=b/2
    table = np.zeros(G.table[-1])
    print('groups', len(members), 'MB', table.nbytes/1e6, 'gathers', G.columns[-1], 'compares', G.nodes[-1])
    import time; t=time.time()
    fill_tables(N, L, G, Quadrature(P,W), MOST_BITS+1, table)
    print('fill', time.time()-t)
    return N, G, table
