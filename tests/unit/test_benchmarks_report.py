"""docs/benchmarks.md is made of the figures of this machine's cache, and keeps what was measured elsewhere."""

from loadtests.report import summary

STANDING = """| measure | figure | target | |
| --- | --- | --- | --- |
| of old: kept | 1 | 1 | met |
| one: gone by now | 2 | 2 | met |
| one: stays | 3 | 3 | met |
| last | 4 | 4 | met |
"""


def test_a_measures_rows_are_replaced_and_those_of_no_measure_of_this_cache_stay() -> None:
    again = [{"what": "one: stays", "figure": "5", "target": "3", "met": False}]
    new = [{"what": "two: first time", "figure": "6", "target": "6", "met": None}]
    assert summary(STANDING, [again, new]).splitlines()[2:] == [
        "| of old: kept | 1 | 1 | met |",
        "| one: stays | 5 | 3 | **not met** |",
        "| last | 4 | 4 | met |",
        "| two: first time | 6 | 6 | not measured |",
    ]
