"""A set said shorter: it may be anything where nobody looks."""

from __future__ import annotations

from iptexplain.sets.space import BOTTOM, NO, YES, Diagram, Space

Done = dict[tuple[Diagram, Diagram], Diagram]
"""Diagram and care → what was found."""


def simplified(space: Space, a: Diagram, care: Diagram, known: Done | None = None) -> Diagram:
    """A set that is ``a`` within ``care``, with fewer questions: Coudert and Madre's restrict, on intervals.

    ``known``: where what is found is kept, for more calls than one.
    """

    def walk(node: Diagram, care: Diagram) -> Diagram:
        if space.level[node] == BOTTOM or care == YES:
            return node
        key = (node, care)
        if key not in done:
            level = space.level[node]
            if space.level[care] < level:
                done[key] = walk(node, space.union(sorted(set(space.kids[care]) - {NO})))
            else:
                done[key] = _joined(level, node, care)
        return done[key]

    def _joined(level: int, node: Diagram, care: Diagram) -> Diagram:
        asks = space.level[care] == level
        bounds = sorted({*space.bounds[node], *(space.bounds[care] if asks else ())})
        kids: list[Diagram | None] = []
        for bound in bounds:
            here = space.child(care, bound) if asks else care
            kids.append(None if here == NO else walk(space.child(node, bound), here))
        known = [kid for kid in kids if kid is not None]
        last, filled = known[0], []
        for kid in kids:
            last = last if kid is None else kid
            filled.append(last)
        return space.node(level, bounds, filled)

    done: Done = {} if known is None else known
    return NO if care == NO else walk(a, care)
