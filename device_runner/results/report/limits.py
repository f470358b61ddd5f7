"""How much of a store goes on one page. What is thinned or left out is said beside the figure; the store keeps it all."""

from __future__ import annotations

#: runs in one report; each is a row of the table, with its launches in the appendix
MAX_RUNS = 1000
#: runs one panel of a figure draws
MAX_DRAWN = 60
#: runs of a subject whose every launch is drawn over time
MAX_SERIES = 4
#: runs whose operators are drawn
MAX_PROFILES = 6
#: launches of one run that are drawn, spread evenly over those there are
MAX_LAUNCHES = 24
#: points of one launch over time: each is the median of as many samples as it takes, with their least and largest
MAX_POINTS = 120
#: launches listed over the whole appendix
MAX_LISTED = 3000
#: a page over this would be no use to anybody
MAX_BYTES = 24 * 2**20


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(at * (count - 1) / (most - 1)) for at in range(most)})
