"""The decision diagrams against brute force, on domains small enough to look at every point."""

from __future__ import annotations

import random
from itertools import product

import pytest

from iptexplain.sets.boxes import boxes
from iptexplain.sets.change import Change, Chosen, Copy, Shift, composed, substituted
from iptexplain.sets.space import NO, YES, Diagram, Space, TooLarge

TOPS = (6, 1, 11, 6)
POINTS = [dict(enumerate(numbers)) for numbers in product(*(range(top + 1) for top in TOPS))]
SEEDS = range(40)


def random_set(rng: random.Random, space: Space, depth: int = 3) -> Diagram:
    """A set made of a few conditions."""
    if depth == 0 or rng.random() < 0.2:
        level = rng.randrange(len(TOPS))
        low = rng.randint(0, TOPS[level])
        return space.among(level, [(low, rng.randint(low, TOPS[level]))])
    a, b = random_set(rng, space, depth - 1), random_set(rng, space, depth - 1)
    return rng.choice([space.both, space.either, space.minus])(a, b)


def random_map(rng: random.Random, space: Space) -> Diagram:
    """A map to a few letters, and NO where no letter was put."""
    result = NO
    for letter in "abc":
        result = space.fill(result, NO, space.both(random_set(rng, space), space.end(letter)))
    return result


@pytest.fixture(params=SEEDS)
def rng(request: pytest.FixtureRequest) -> random.Random:
    print("seed", request.param)
    return random.Random(request.param)


def truth(space: Space, a: Diagram) -> list[bool]:
    return [space.at(a, point) for point in POINTS]


def test_combinations_of_sets(rng: random.Random) -> None:
    space = Space(TOPS)
    a, b = random_set(rng, space), random_set(rng, space)
    in_a, in_b = truth(space, a), truth(space, b)
    pairs = list(zip(in_a, in_b, strict=True))
    assert truth(space, space.either(a, b)) == [x or y for x, y in pairs]
    assert truth(space, space.both(a, b)) == [x and y for x, y in pairs]
    assert truth(space, space.minus(a, b)) == [x and not y for x, y in pairs]
    assert truth(space, space.complement(a)) == [not x for x in in_a]
    assert space.disjoint(a, b) == (not any(x and y for x, y in pairs))


def test_equal_sets_are_the_same_node(rng: random.Random) -> None:
    space = Space(TOPS)
    a, b = random_set(rng, space), random_set(rng, space)
    assert (a == b) == (truth(space, a) == truth(space, b))
    assert space.complement(space.both(a, b)) == space.either(space.complement(a), space.complement(b))
    assert (a == NO) == (not any(truth(space, a)))
    assert (a == YES) == all(truth(space, a))


def test_fill_puts_a_map_where_another_ends_in_the_hole(rng: random.Random) -> None:
    space = Space(TOPS)
    a, b = random_map(rng, space), random_map(rng, space)
    filled = space.fill(a, space.end("a"), b)
    wanted = [space.at(b, p) if space.at(a, p) == "a" else space.at(a, p) for p in POINTS]
    assert [space.at(filled, p) for p in POINTS] == wanted
    assert space.lacks(filled, space.end("a")) == ("a" not in wanted)
    assert set(space.ends(filled)) == set(wanted)


def test_a_set_cuts_a_map(rng: random.Random) -> None:
    space = Space(TOPS)
    a, b = random_set(rng, space), random_map(rng, space)
    within = [inside and value for inside, value in zip(truth(space, a), truth(space, b), strict=True)]
    outside = [not inside and value for inside, value in zip(truth(space, a), truth(space, b), strict=True)]
    assert truth(space, space.both(a, b)) == within
    assert truth(space, space.minus(b, a)) == outside


def test_turned_and_where(rng: random.Random) -> None:
    space = Space(TOPS)
    a = random_map(rng, space)
    turned = space.turned(a, lambda value: space.end(f"{value}!") if value else NO)
    assert [space.at(turned, p) for p in POINTS] == [f"{v}!" if v else v for v in (space.at(a, p) for p in POINTS)]
    assert truth(space, space.where(a, lambda value: value == "b")) == [space.at(a, p) == "b" for p in POINTS]


def random_changes(rng: random.Random) -> dict[int, Change]:
    wide = [2, Shift(((0, 1, 3), (4, 5, 0))), Copy(3)]
    return {
        0: rng.choice(wide),
        1: rng.choice([0, 1, Copy(1, flipped=True)]),
        2: rng.choice([11, Shift(((3, 11, 2),)), Copy(2)]),
    }


def changed(point: dict[int, int], changes: dict[int, Change]) -> dict[int, int]:
    after = dict(point)
    for level, change in changes.items():
        if isinstance(change, Copy):
            after[level] = point[change.level] ^ change.flipped
        else:
            after[level] = change.of(point[level]) if isinstance(change, Shift) else change
    return after


def test_substituted_is_the_diagram_before_the_change(rng: random.Random) -> None:
    space = Space(TOPS)
    a, changes = random_map(rng, space), random_changes(rng)
    before = substituted(space, a, tuple(sorted(changes.items())), NO)
    assert [space.at(before, p) for p in POINTS] == [space.at(a, changed(p, changes)) for p in POINTS]


def test_composed_changes_are_one_after_the_other(rng: random.Random) -> None:
    space = Space(TOPS)
    a, first, then = random_map(rng, space), random_changes(rng), random_changes(rng)
    unknown = space.end("unknown")
    both = composed(tuple(sorted(first.items())), tuple(sorted(then.items())))
    before = substituted(space, a, both, unknown)
    for point in POINTS:
        assert space.at(before, point) in ("unknown", space.at(a, changed(changed(point, first), then)))
    if not any(isinstance(change, Chosen) for _, change in both):
        assert "unknown" not in space.ends(before)


def test_a_chosen_number_is_unknown_only_where_it_matters() -> None:
    space = Space(TOPS)
    asked = space.both(space.among(1, [(1, 1)]), space.among(0, [(2, 4)]))
    before = substituted(space, asked, ((0, Chosen("one of many")),), space.end("unknown"))
    assert space.at(before, {1: 1}) == "unknown"
    assert space.at(before, {1: 0}) is False


def test_exists_and_depends(rng: random.Random) -> None:
    space = Space(TOPS)
    a = random_set(rng, space)
    some = space.exists(a, {1, 2})
    wanted = [
        any(space.at(a, {**p, 1: one, 2: two}) for one in range(TOPS[1] + 1) for two in range(TOPS[2] + 1))
        for p in POINTS
    ]
    assert truth(space, some) == wanted
    assert not space.depends(some, {1, 2})
    assert space.depends(a, {0}) == any(space.at(a, p) != space.at(a, {**p, 0: 0}) for p in POINTS)


def test_boxes_are_separate_and_cover_the_map(rng: random.Random) -> None:
    space = Space(TOPS)
    a = random_map(rng, space)
    found = list(boxes(space, a))
    for point in POINTS:
        held = [
            value
            for box, value in found
            if all(any(low <= point[level] <= high for low, high in ranges) for level, ranges in box.items())
        ]
        assert held == ([space.at(a, point)] if space.at(a, point) else [])


def test_pick_is_a_point_of_the_set(rng: random.Random) -> None:
    space = Space(TOPS)
    a = random_set(rng, space)
    point = space.pick(a)
    assert (point is None) == (a == NO)
    assert point is None or space.at(a, point)


def test_a_wide_field_is_one_level() -> None:
    space = Space([(1 << 128) - 1])
    half = space.among(0, [(1 << 127, (1 << 128) - 1)])
    assert len(space.reachable(half)) == 3
    assert space.at(half, {0: 1 << 127}) and not space.at(half, {0: (1 << 127) - 1})


def test_a_level_may_be_added_below() -> None:
    space = Space(TOPS)
    new = space.among(space.add_level(1), [(1, 1)])
    both = space.both(space.among(0, [(3, 3)]), new)
    assert space.at(both, {0: 3, 4: 1}) and not space.at(both, {0: 3})


def test_more_nodes_than_allowed_are_refused() -> None:
    space = Space(TOPS, limit=20)
    with pytest.raises(TooLarge, match="more than 20 nodes"):
        for seed in SEEDS:
            random_map(random.Random(seed), space)


def test_more_seconds_than_allowed_are_refused() -> None:
    space = Space([1 << 20], seconds=0)
    with pytest.raises(TooLarge, match="time"):
        for number in range(0, 1 << 14, 2):
            space.among(0, [(number, number)])
