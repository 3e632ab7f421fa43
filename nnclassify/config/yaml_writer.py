"""Write plain data as YAML that parsers of YAML 1.1 and 1.2 read in the same way."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter
from ruamel.yaml.resolver import implicit_resolvers

from nnclassify.config.yaml_reader import MAX_BYTES, CoreResolver


class _CautiousResolver(CoreResolver):
    """Quotes text that YAML 1.1 or 1.2 would read as something else."""


for _, _tag, _regexp, _first in implicit_resolvers:
    _CautiousResolver.add_implicit_resolver_base(_tag, _regexp, _first)


class _Representer(SafeRepresenter):
    """Represents floats so that YAML 1.1 can read them too."""

    def represent_float(self, data: float) -> ScalarNode:
        """Represent `1e-05` as `1.0e-05`: YAML 1.1 reads it as text without the `.0`."""
        node = super().represent_float(data)
        if "." not in node.value:
            node.value = node.value.replace("e", ".0e")
        return node


_Representer.add_representer(float, _Representer.represent_float)


def written(data: Any) -> str:
    """Return plain data as YAML text, with keys in order."""
    return _dumped(data, is_inline=False)


def inline(value: Any) -> str:
    """Return plain data as it is written after a key, on one line: `{name: mlp, hidden: [8]}`."""
    return _dumped({"key": value}, is_inline=True).strip().removeprefix("{key: ").removesuffix("}")


def _dumped(data: Any, *, is_inline: bool) -> str:
    yaml: Any = YAML(typ="safe", pure=True)  # Any: ruamel declares its options as None
    yaml.default_flow_style, yaml.allow_unicode = is_inline, is_inline
    if is_inline:
        yaml.width = MAX_BYTES
    yaml.Resolver, yaml.Representer = _CautiousResolver, _Representer
    yaml.sort_base_mapping_type_on_output = False
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def yaml_text(value: Any) -> str:
    """Format a scalar as in a config."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)
