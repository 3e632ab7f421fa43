"""Templates, and pages made of them that load nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnclassify.evaluation.percent import percent
from nnclassify.files.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from markupsafe import Markup

HERE = Path(__file__).parent


@cache
def environment(*folders: Path) -> Environment:
    """Return the environment of the templates in some folders, by default those of the report: texts are escaped."""
    import jinja2

    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders or [HERE / "templates"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"percent": percent, "with_code": _with_code}
    return found


def _with_code(text: str) -> Markup:
    """Return a text as HTML, escaped, with what is between backticks as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def page(
    template: Template,
    css: str,
    script: str = "",
    *,
    images: str = "",
    data: Mapping[str, Any] | None = None,
    views: Mapping[str, Any],
) -> str:
    """Render a template into a page that loads nothing: its styles and script are allowed by their hashes alone.

    Args:
        template: The template.
        css: The styles.
        script: The script; empty: none.
        images: Where images may come from, as a content security policy says it; empty: there are none.
        data: What the script reads, as JSON.
        views: The other variables of the template.
    """
    from jinja2.utils import htmlsafe_json_dumps
    from markupsafe import Markup

    allowed = {"img-src": images, "style-src": _hash(css), "script-src": _hash(script) if script else ""}
    sources = [f"{kind} {source}" for kind, source in allowed.items() if source]
    return template.render(
        views,
        policy="; ".join(["default-src 'none'", *sources, "base-uri 'none'", "form-action 'none'"]),
        release=__version__,
        css=Markup(css),
        script=Markup(script),
        data=htmlsafe_json_dumps(data or {}, ensure_ascii=False, allow_nan=False, separators=(",", ":")),
    )


def rendered(
    template: str, title: str, anchors: Sequence[tuple[str, str]], data: Mapping[str, Any], views: Mapping[str, Any]
) -> str:
    """Render a template of the report.

    Args:
        template: The name of the template.
        title: The title of the page.
        anchors: The id and the name of each section, for the navigation.
        data: What the script reads, as JSON.
        views: The other variables of the template.
    """
    css, script = ((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    views = {**views, "title": title, "sections": anchors}
    return page(environment().get_template(template), css, script, images="data:", data=data, views=views)


def _hash(text: str) -> str:
    """Return the source expression by which a content security policy allows an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
