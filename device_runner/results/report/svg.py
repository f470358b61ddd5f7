"""SVG as text. Nothing gets in but by `element`, which escapes every value; looks come from the page's style sheet by class."""

from __future__ import annotations

from device_runner.results.report.escape import markup

#: of a marker, from its centre to its edge
RADIUS = 5.0
_SHAPES = ("circle", "square", "triangle", "diamond", "cross", "bar")


def element(tag: str, text: str | None = None, *children: str, **attributes: object) -> str:
    """An element. `class_` is class, an underscore a hyphen; a number is written with two decimals; None is left out."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_shown(value)}"' for name, value in attributes.items() if value is not None
    )
    inner = ("" if text is None else markup(text)) + "".join(children)
    return f"<{tag}{given}>{inner}</{tag}>" if inner or text is not None else f"<{tag}{given}/>"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    # what comes from outside was cut where it came in; a line of a thousand points is ours
    return markup(value, 1_000_000)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight one."""
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def label(x: float, y: float, text: str, class_: str = "", anchor: str = "start") -> str:
    """Text whose base line is at y."""
    return element(
        "text", text, x=float(x), y=float(y), class_=class_ or None, text_anchor=None if anchor == "start" else anchor
    )


def polyline(points: list[tuple[float, float]], class_: str) -> str:
    """Through the points."""
    return element("polyline", points=_points(points), class_=class_)


def polygon(points: list[tuple[float, float]], class_: str) -> str:
    """Filled."""
    return element("polygon", points=_points(points), class_=class_)


def _points(points: list[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def marker(series: int, x: float, y: float, class_: str, radius: float = RADIUS) -> str:
    """The shape of a series, so that colour alone never tells two apart."""
    r, shape = radius, _SHAPES[series % len(_SHAPES)]
    if shape == "circle":
        return element("circle", cx=float(x), cy=float(y), r=r, class_=class_)
    if shape == "square":
        return element("rect", x=x - 0.88 * r, y=y - 0.88 * r, width=1.76 * r, height=1.76 * r, class_=class_)
    if shape == "bar":
        return element("rect", x=x - 0.5 * r, y=y - 1.2 * r, width=r, height=2.4 * r, class_=class_)
    corners = {
        "triangle": [(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
        "diamond": [(0.0, -1.3), (1.1, 0.0), (0.0, 1.3), (-1.1, 0.0)],
        "cross": [(-1.1, -0.4), (-0.4, -0.4), (-0.4, -1.1), (0.4, -1.1), (0.4, -0.4), (1.1, -0.4), (1.1, 0.4), (0.4, 0.4),
                  (0.4, 1.1), (-0.4, 1.1), (-0.4, 0.4), (-1.1, 0.4)],
    }[shape]  # fmt: skip
    return polygon([(x + r * dx, y + r * dy) for dx, dy in corners], class_)


def drawing(width: float, height: float, title: str, *children: str, class_: str = "") -> str:
    """The whole of a figure."""
    names = f"plot {class_}".strip()
    return element(
        "svg", None, element("title", title), *children, viewBox=f"0 0 {width:g} {height:g}", class_=names, role="group",
        aria_label=title, width=width, height=height,
    )  # fmt: skip


def linked(key: str, title: str, *children: str, class_: str = "mark") -> str:
    """A mark that is a link to its run in the appendix, reached by keyboard; its title says what it is in full."""
    return element("a", None, element("title", title), *children, href=f"#{key}", class_=class_, data_run=key, aria_label=title)
