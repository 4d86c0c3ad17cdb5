"""How photos are dealt: the same every time, in shares, by kinds of parts, and what belongs together is not parted."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealpin_edge.errors import InputError
from sealpin_training.dataset.split import SHARES, SPLITS, Part, same_part, split

KINDS = ((), ("PR",), ("PR", "QA"))


def parts(count: int, kinds: int = 1) -> list[Part]:
    return [Part(f"p{number:03d}.jpg", KINDS[number % kinds]) for number in range(count)]


def test_the_shares_are_seventy_fifteen_and_fifteen_of_a_hundred() -> None:
    assert Counter(split(parts(100), 0).values()) == {"train": 70, "val": 15, "test": 15}
    assert Counter(split(parts(3), 0).values()) == {"train": 2, "val": 1}


def test_the_same_seed_deals_alike_whatever_the_order_and_another_one_does_not() -> None:
    dealt = split(parts(60), 7)
    assert split(parts(60)[::-1], 7) == dealt
    assert split(parts(60), 8) != dealt
    tests = [name for name in sorted(dealt)[:12] if dealt[name] == "test"]
    assert tests == ["p001.jpg", "p009.jpg", "p010.jpg", "p011.jpg"], "as in datasets that were made earlier"


@given(st.integers(0, 99), st.integers(20, 90))
def test_each_kind_of_part_is_dealt_by_the_shares(seed: int, count: int) -> None:
    photos = parts(3 * count, 3)
    dealt = split(photos, seed)
    for kind in KINDS:
        found = Counter(dealt[photo.name] for photo in photos if photo.categories == kind)
        assert all(abs(found[name] - SHARES[name] * count) <= 2 for name in SPLITS)


def test_categories_are_a_mix_whatever_their_order_and_number() -> None:
    one = [Part(f"p{n}.jpg", ("QA", "PR", "PR") if n % 2 else ("PR", "QA")) for n in range(40)]
    other = [Part(f"p{n}.jpg", ("PR", "QA")) for n in range(40)]
    assert split(one, 0) == split(other, 0)


pairs = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=15)


@given(st.integers(0, 99), pairs, st.dictionaries(st.integers(0, 19), st.sampled_from(SPLITS), max_size=8))
def test_what_belongs_together_stays_so_and_what_is_kept_stays_where_it_is(
    seed: int, together: list[tuple[int, int]], kept: dict[int, str]
) -> None:
    photos = parts(20, 3)
    names = {photos[index].name: where for index, where in kept.items()}
    dealt = split(photos, seed, together=together, kept=names)
    assert set(dealt) == {photo.name for photo in photos}
    assert names.items() <= dealt.items()
    home = dict(enumerate(range(20)))
    for one, other in together:
        home = {index: home[one] if where == home[other] else where for index, where in home.items()}
    for lot in set(home.values()):
        members = [index for index in home if home[index] == lot]
        free = {dealt[photos[index].name] for index in members if index not in kept}
        assert len(free) <= 1
        homes = Counter(kept[index] for index in members if index in kept)
        if free and homes:
            assert homes[free.pop()] == max(homes.values())


def test_what_is_kept_counts_toward_the_shares() -> None:
    photos = parts(100)
    dealt = split(photos, 0, kept={photo.name: "train" for photo in photos[:70]})
    assert Counter(dealt.values()) == {"train": 70, "val": 15, "test": 15}


def test_a_large_lot_counts_with_all_its_photos() -> None:
    photos = parts(90)
    together = [(0, index) for index in range(1, 20)]
    dealt = split(photos, 0, together=together, kept={"p005.jpg": "val"})
    assert {dealt[photo.name] for photo in photos[:20]} == {"val"}
    assert Counter(dealt[photo.name] for photo in photos[20:]) == {"train": 60, "test": 10}


def test_photos_of_one_part_by_their_names() -> None:
    names = ["part1_a.jpg", "part2_a.jpg", "part1_b.jpg", "odd.jpg", "part2_b.jpg"]
    assert same_part(names, r"part(\d+)") == [(0, 0), (1, 1), (0, 2), (1, 4)]
    assert same_part(names, r"part\d") == [(0, 0), (1, 1), (0, 2), (1, 4)]
    assert same_part(["xa1", "xb1", "x1"], r"x(a|b)?1") == [(0, 0), (1, 1), (2, 2)]
    assert same_part(["x1", "x1b"], r"x(a)?1") == [(0, 0), (0, 1)]


def test_a_pattern_that_is_none_or_matches_nothing_is_told() -> None:
    with pytest.raises(InputError, match="no regular expression") as caught:
        same_part(["a.jpg"], "part(")
    assert caught.value.where == "--group"
    with pytest.raises(InputError, match="no photo's name matches"):
        same_part(["a.jpg"], "part")
