"""Names beside marks, where they cover nothing: a name that finds no room is left to the mark's title and the table."""

from __future__ import annotations

from device_runner.results.report import svg
from device_runner.results.report.axes import CHARACTER, shortened

_Box = tuple[float, float, float, float]
_HEIGHT = 12.0
_LONGEST = 24


class Labels:
    """The room that is taken within left..right and top..bottom."""

    def __init__(self, left: float, right: float, top: float, bottom: float) -> None:
        self._bounds = (left, top, right, bottom)
        self._taken: list[_Box] = []

    def block(self, x: float, y: float, radius: float) -> None:
        """Keep a mark clear."""
        self._taken.append((x - radius, y - radius, x + radius, y + radius))

    def place(self, text: str, x: float, y: float, apart: float, class_: str) -> str:
        """The name `apart` from the centre of its mark at (x, y), or "" where every place is taken."""
        shown = shortened(text, _LONGEST)
        wide = CHARACTER * len(shown)
        places: list[tuple[float, float, str]] = [
            (x + apart, y + 4, "start"), (x - apart, y + 4, "end"), (x, y - apart - 1, "middle"), (x, y + apart + 10, "middle"),
            (x + 8, y - 7, "start"), (x + 8, y + 16, "start"), (x - 8, y - 7, "end"), (x - 8, y + 16, "end"),
        ]  # fmt: skip
        for at, base, anchor in places:
            start = {"start": at, "end": at - wide, "middle": at - wide / 2}[anchor]
            box = (start, base - _HEIGHT + 2, start + wide, base + 2)
            if self._free(box):
                self._taken.append(box)
                return svg.label(at, base, shown, class_, anchor)
        return ""

    def _free(self, box: _Box) -> bool:
        left, top, right, bottom = self._bounds
        if box[0] < left or box[1] < top or box[2] > right or box[3] > bottom:
            return False
        return not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in self._taken)
