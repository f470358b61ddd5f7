"""Text from outside on its way into HTML, a script element or Markdown. Each makes control characters visible first."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from edgedeploy.terminal import clean

#: a name, a reason or a warning longer than this is cut, with an ellipsis; the whole of it stays in the store
MAX_TEXT = 400
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]<>#!|~@:&$^])")
#: what is markup only where a text begins (a list, a rule), and the one full stop that makes a link
_BEGINNING = re.compile(r"^(\s*)([-+=]|[0-9]+(?=[.)](?:\s|$)))")
_WWW = re.compile(r"(?i)(www)\.")
#: nothing is seen of it, and what GitHub makes of @name, #12 and www. does not begin
_APART = "&#8203;"


def markup(text: object, limit: int = MAX_TEXT) -> str:
    """As text or as a quoted attribute of HTML and SVG."""
    return html.escape(clean(text, limit), quote=True)


def script_json(value: Any) -> str:
    """JSON that stays inside its script element: no character of it can begin a tag, a comment or a line break."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plain(value: Any) -> Any:
    """`value` with every string in it cleaned and cut, keys too: what goes into the page's data."""
    if isinstance(value, str):
        return clean(value, MAX_TEXT)
    if isinstance(value, dict):
        return {clean(key, MAX_TEXT): plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def markdown(text: object, limit: int = MAX_TEXT) -> str:
    """As text of GitHub's Markdown, in a table or out of one: no markup, HTML, link, mention or reference comes of it."""
    escaped = _PUNCTUATION.sub(r"\\\1", clean(text, limit))
    for found in ("\\@", "\\#", "\\:"):
        escaped = escaped.replace(found, found + _APART)
    return _WWW.sub(rf"\1{_APART}.", _BEGINNING.sub(_harmless, escaped))


def _harmless(found: re.Match[str]) -> str:
    blanks, mark = found.groups()
    return f"{blanks}{mark}{_APART}" if mark[0].isdigit() else f"{blanks}\\{mark}"
