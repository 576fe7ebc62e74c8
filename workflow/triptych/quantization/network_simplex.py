"""Compiled network simplex for the transportation problem of two small measures, which proves its own answer.

Masses are whole numbers: weights in units of 2^-46 of the total, each unit cut into UNIT parts, and every source holds one part
more than its mass (the last sink takes them). No partial sum of such supplies equals one of such demands, so no basis is
degenerate, every pivot lowers the cost, and the method ends without a rule against cycling. Flows are exact; dividing the parts
out of the flows of the last basis leaves an exact plan of the masses themselves.

Rows are priced in turn and the least reduced cost of a row enters. The first basis is greedy on costs between measures that
are brought to one mean, a shift that changes no optimal plan. All of it depends on the two measures alone.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

UNIT = 1 << 14
"""Parts of a unit of mass: more than twice the centers of a measure."""

MASS = 1 << 46
"""Units of the total mass: one is a relative rounding of 1.4e-14."""

TOLERANCE = 2.0**-48
"""Reduced costs above minus this share of the greatest cost count as zero: 3.6e-15."""


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def squared_distances(first: Any, second: Any) -> Any:
    """``|x - y|^2`` for rows of (K, d) and (L, d): (K, L) float64, summed over features in their order."""
    k, d = first.shape
    turned = np.ascontiguousarray(second.T)
    cost = np.zeros((k, second.shape[0]))
    for i in range(k):
        row = cost[i]
        for c in range(d):
            x, other = first[i, c], turned[c]
            for j in range(row.size):
                gap = x - other[j]
                row[j] += gap * gap
    return cost


@numba.njit(nogil=True, cache=True)
def whole_masses(weights: Any) -> Any:
    """Weights in units that sum to MASS exactly: rounded, at least one, what is left over added to the heaviest."""
    masses = np.empty(weights.size, np.int64)
    total = weights.sum()
    for i in range(weights.size):
        masses[i] = max(1, np.int64(np.rint(weights[i] / total * MASS)))
    masses[weights.argmax()] += MASS - masses.sum()
    return masses


@numba.njit(nogil=True, cache=True, fastmath={"nnan", "nsz"})
def _least(row: Any, v: Any) -> float:
    """Least of ``row - v``: a minimum does not depend on the order it is taken in. Four at once, which hides its latency."""
    a, b, c, d = np.inf, np.inf, np.inf, np.inf
    whole = row.size // 4 * 4
    for j in range(0, whole, 4):
        p, q, r, s = row[j] - v[j], row[j + 1] - v[j + 1], row[j + 2] - v[j + 2], row[j + 3] - v[j + 3]
        a = p if p < a else a
        b = q if q < b else b
        c = r if r < c else c
        d = s if s < d else d
    for j in range(whole, row.size):
        p = row[j] - v[j]
        a = p if p < a else a
    return min(a, b, c, d)


@numba.njit(nogil=True, cache=True)
def first_basis(cost: Any, supply: Any, demand: Any) -> Any:
    """A spanning tree of arcs that carries the masses: row by row, each to its cheapest columns that are still open.

    Returns
    -------
    rows, columns, parts : (K + L - 1,) arcs and the parts they carry.
    """
    k, n = cost.shape
    rows, columns = np.empty(k + n - 1, np.int64), np.empty(k + n - 1, np.int64)
    parts, left, closed = np.empty(k + n - 1, np.int64), demand * UNIT, np.zeros(n)
    left[n - 1] += k
    arc = 0
    for i in range(k):
        mass, row = supply[i] * UNIT + 1, cost[i]
        while mass > 0:
            least, at = np.inf, -1
            for j in range(n):
                value = row[j] + closed[j]
                if value < least:
                    least, at = value, j
            moved = min(mass, left[at])
            rows[arc], columns[arc], parts[arc] = i, at, moved
            arc += 1
            mass -= moved
            left[at] -= moved
            if left[at] == 0:
                closed[at] = np.inf
    return rows, columns, parts


@numba.njit(nogil=True, cache=True)
def _hang(cost: Any, rows: Any, columns: Any, flows: Any, tree: Any, flow: Any, potential: Any) -> None:
    """The arcs as a tree under the last sink: parent, first child, next and previous sibling, depth."""
    k, n = cost.shape
    total = k + n
    parent, child, after, before, depth = tree[0], tree[1], tree[2], tree[3], tree[4]
    degree = np.zeros(total + 1, np.int64)
    for arc in range(total - 1):
        degree[rows[arc] + 1] += 1
        degree[k + columns[arc] + 1] += 1
    start = np.cumsum(degree)
    arcs, filled = np.empty(2 * total, np.int64), start.copy()
    for arc in range(total - 1):
        i, j = rows[arc], k + columns[arc]
        arcs[filled[i]] = arc
        filled[i] += 1
        arcs[filled[j]] = arc
        filled[j] += 1
    parent[:], child[:], after[:], before[:] = -1, -1, -1, -1
    queue = np.empty(total, np.int64)
    queue[0], head, tail = total - 1, 0, 1
    depth[total - 1], potential[total - 1] = 0, 0.0
    while head < tail:
        x = queue[head]
        head += 1
        for at in range(start[x], start[x + 1]):
            arc = arcs[at]
            y = k + columns[arc] if x < k else rows[arc]
            if y == parent[x]:
                continue
            parent[y], flow[y], depth[y] = x, flows[arc], depth[x] + 1
            potential[y] = cost[rows[arc], columns[arc]] - potential[x]
            after[y] = child[x]
            if child[x] >= 0:
                before[child[x]] = y
            child[x] = y
            queue[tail] = y
            tail += 1


@numba.njit(nogil=True, cache=True)
def _pivot(cost: Any, i: int, j: int, tree: Any, flow: Any, potential: Any, stack: Any) -> None:
    """Source i sends to sink j: flows turn round the cycle, the arc that empties leaves, the part cut off hangs on the new arc."""
    k = cost.shape[0]
    parent, child, after, before, depth = tree[0], tree[1], tree[2], tree[3], tree[4]
    enters = k + j
    x, y = i, enters
    moved, leaves, of_source = np.int64(1 << 62), -1, True
    while x != y:
        if depth[x] >= depth[y]:
            if x < k and flow[x] < moved:
                moved, leaves, of_source = flow[x], x, True
            x = parent[x]
        else:
            if y >= k and flow[y] < moved:
                moved, leaves, of_source = flow[y], y, False
            y = parent[y]
    top = x
    x, sign = i, -moved
    while x != top:
        flow[x] += sign
        sign = -sign
        x = parent[x]
    x, sign = enters, -moved
    while x != top:
        flow[x] += sign
        sign = -sign
        x = parent[x]
    change = cost[i, j] - potential[i] - potential[enters]
    x, above = (i, enters) if of_source else (enters, i)
    bottom, kept = x, moved
    while True:
        old, carried = parent[x], flow[x]
        if before[x] >= 0:
            after[before[x]] = after[x]
        else:
            child[old] = after[x]
        if after[x] >= 0:
            before[after[x]] = before[x]
        parent[x], flow[x] = above, kept
        before[x], after[x] = -1, child[above]
        if child[above] >= 0:
            before[child[above]] = x
        child[above] = x
        if x == leaves:
            break
        above, kept, x = x, carried, old
    step = change if of_source else -change
    stack[0], size = bottom, 1
    while size > 0:
        size -= 1
        x = stack[size]
        depth[x] = depth[parent[x]] + 1
        potential[x] += step if x < k else -step
        y = child[x]
        while y >= 0:
            stack[size] = y
            size += 1
            y = after[y]


@numba.njit(nogil=True, cache=True)
def _refresh(cost: Any, tree: Any, potential: Any, stack: Any) -> None:
    """Potentials from the tree alone, free of what rounding the pivots left in them."""
    k, n = cost.shape
    child, after = tree[1], tree[2]
    potential[k + n - 1] = 0.0
    stack[0], size = k + n - 1, 1
    while size > 0:
        size -= 1
        x = stack[size]
        y = child[x]
        while y >= 0:
            arc = cost[y, x - k] if y < k else cost[x, y - k]
            potential[y] = arc - potential[x]
            stack[size] = y
            size += 1
            y = after[y]


@numba.njit(nogil=True, cache=True)
def improve(cost: Any, rows: Any, columns: Any, parts: Any, pivots: int) -> Any:
    """From a basis to an optimal one, in place.

    Parameters
    ----------
    cost : (K, L) float64, K < UNIT / 2.
    rows, columns, parts : (K + L - 1,) arcs of a basis of the same masses, whatever costs it was found for.
    pivots : most pivots.

    Returns
    -------
    potential : (K + L,) of sources, then sinks: ``u_i + v_j <= cost_ij`` up to TOLERANCE times the greatest cost, with
        equality on the basis.
    count : pivots that were needed; -1 where they did not suffice.
    """
    k, n = cost.shape
    tree, flow = np.empty((5, k + n), np.int32), np.zeros(k + n, np.int64)
    potential, stack = np.empty(k + n), np.empty(k + n, np.int32)
    _hang(cost, rows, columns, parts, tree, flow, potential)
    tolerance = TOLERANCE * max(cost.max(), -cost.min())
    count, i, quiet, fresh = 0, 0, 0, True
    v = potential[k:]
    while True:
        row = cost[i]
        least = _least(row, v)
        if least - potential[i] < -tolerance:
            if count == pivots:
                count = -1
                break
            j = 0
            while row[j] - v[j] != least:
                j += 1
            _pivot(cost, i, j, tree, flow, potential, stack)
            count, quiet, fresh = count + 1, 0, False
        else:
            quiet += 1
        i = i + 1 if i + 1 < k else 0
        if quiet >= k:
            if fresh:
                break
            _refresh(cost, tree, potential, stack)
            quiet, fresh = 0, True
    for x in range(k + n - 1):
        y = tree[0, x]
        rows[x], columns[x] = (x, y - k) if x < k else (y, x - k)
        parts[x] = flow[x]
    return potential, count


@numba.njit(nogil=True, cache=True)
def dual_value(cost: Any, supply: Any, demand: Any, potential: Any) -> float:
    """Value of potentials that obey every constraint exactly: those of the sources, and the greatest sinks can then have.

    No plan costs less, whatever the potentials are.
    """
    k, n = cost.shape
    value = 0.0
    for i in range(k):
        value += supply[i] * potential[i]
    least = np.full(n, np.inf)
    for i in range(k):
        row, u = cost[i], potential[i]
        for j in range(n):
            least[j] = min(least[j], row[j] - u)
    for j in range(n):
        value += demand[j] * least[j]
    return value / MASS


@numba.njit(nogil=True, cache=True)
def transport(first: Any, supply: Any, second: Any, demand: Any, pivots: int) -> Any:
    """Least cost of moving one measure to another under squared distance, with its proof.

    Parameters
    ----------
    first, second : centers (K, d) and (L, d) about the mean of their measure, float64.
    supply, demand : (K,) and (L,) int64 units, positive, of sum MASS.

    Returns
    -------
    cost : cost of the plan that was found, measures about their means.
    gap : that cost minus the value of potentials that obey every constraint: it is at most this far from the least.
    count : pivots; -1 where they did not suffice.
    rows, columns, units : the plan: arcs and the units they carry.
    """
    cost = squared_distances(first, second)
    rows, columns, parts = first_basis(cost, supply, demand)
    potential, count = improve(cost, rows, columns, parts, pivots)
    found, units = 0.0, (parts + UNIT // 2) // UNIT
    for arc in range(rows.size):
        found += units[arc] * cost[rows[arc], columns[arc]]
    found /= MASS
    return found, found - dual_value(cost, supply, demand, potential), count, rows, columns, units
