"""Writes `python/pure_sound/types.py`: the library's JSON Schemas as TypedDicts.

    python tools/generate_types.py            writes the file
    python tools/generate_types.py --check    fails when it is not fresh
"""

from __future__ import annotations

import keyword
import sys
import textwrap
from pathlib import Path
from typing import Any

import pure_sound

TARGET = Path(__file__).parents[1] / "python" / "pure_sound" / "types.py"
WIDTH = 120
#: Names that read better here than in Rust.
RENAMED = {"FilterSpec": "Filter", "FormatSettings": "Format", "Root": "Event"}
#: Unions of objects whose members get names of their own: what follows the member's tag.
MEMBER_SUFFIX = {"FilterSpec": "Filter", "FormatSettings": "Format", "LevelTarget": "Target"}
#: Options whose lists may be of something narrower: the recipe of a recommendation is a request as it is.
TAKES_SEQUENCES = {"Request"}
HEADER = '''"""Types of options and records, made from the library's JSON Schemas by tools/generate_types.py: do not edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, TypedDict
'''


class Generator:
    """Collects definitions by name, each after those that it needs."""

    def __init__(self) -> None:
        self.schemas: dict[str, dict[str, Any]] = {}
        self.written: dict[str, str] = {}

    def add(self, name: str, schema: dict[str, Any]) -> None:
        """Defines `name` and what its schema refers to."""
        for inner, definition in schema.get("$defs", {}).items():
            # In a schema that is about the definition itself it is called "#".
            definition = _named(definition, schema.get("title", name))
            known = self.schemas.setdefault(inner, definition)
            if _shape(known) != _shape(definition):
                raise SystemExit(f"{inner} means two things")
        root = {key: value for key, value in schema.items() if key not in ("$schema", "$defs")}
        self.schemas.setdefault(name, _named(root, name))
        self.define(name)

    def define(self, name: str) -> str:
        """The Python name of a definition, which is written first."""
        python = RENAMED.get(name, name)
        if python not in self.written:
            self.written[python] = ""  # for those that refer to themselves
            text = self.text(python, self.schemas[name], MEMBER_SUFFIX.get(name))
            del self.written[python]  # after those that it needs
            self.written[python] = text
        return python

    def text(self, name: str, schema: dict[str, Any], suffix: str | None) -> str:
        """The definition of a class or an alias."""
        if schema.get("type") == "object" and schema.get("properties"):
            return self.typed_dict(name, schema)
        members = schema.get("oneOf") or schema.get("anyOf") or []
        if any(member.get("properties") for member in members):
            names = [self.member(name, index, member, suffix) for index, member in enumerate(members)]
            return _alias(name, names, schema)
        return _alias(name, self.alternatives(schema), schema)

    def member(self, union: str, index: int, schema: dict[str, Any], suffix: str | None) -> str:
        """A member of a union of objects, under a name of its own."""
        if not schema.get("properties"):
            return self.type_of(schema)
        tags = [p["const"] for p in schema["properties"].values() if isinstance(p.get("const"), str)]
        word = _camel(tags[0]) if tags else _camel(next(iter(schema["properties"])))
        name = f"{word}{suffix}" if suffix and tags else f"{union}{word}"
        if name in self.written:
            name = f"{name}{index}"
        self.written[name] = ""
        text = self.typed_dict(name, schema)
        del self.written[name]
        self.written[name] = text
        return name

    def typed_dict(self, name: str, schema: dict[str, Any]) -> str:
        """An object as a TypedDict."""
        required = set(schema.get("required", []))
        fields = {key: (self.type_of(value), value.get("description", "")) for key, value in schema["properties"].items()}
        if name in TAKES_SEQUENCES:
            fields = {key: (kind.replace("list[", "Sequence["), text) for key, (kind, text) in fields.items()}
        total = "" if required else ", total=False"
        types = {
            key: kind if key in required or not required else f"NotRequired[{kind}]" for key, (kind, _) in fields.items()
        }
        if any(not key.isidentifier() or keyword.iskeyword(key) for key in fields):
            pairs = "".join(f"    {key!r}: {kind!r},\n" for key, kind in types.items())
            return f"{name} = TypedDict({name!r}, {{\n{pairs}}}{total})\n"
        lines = [f"class {name}(TypedDict{total}):"]
        lines += _doc(schema.get("description") or schema.get("title") or name, "    ")
        for key, (_, description) in fields.items():
            lines.append("")
            lines += [f"    #: {line}" for line in _wrap(description, WIDTH - 7)]
            lines.append(f"    {key}: {types[key]}")
        return "\n".join(lines) + "\n"

    def type_of(self, schema: Any) -> str:
        """A type as text."""
        alternatives = self.alternatives(schema)
        literals = [a[8:-1] for a in alternatives if a.startswith("Literal[")]
        others = [a for a in alternatives if not a.startswith("Literal[")]
        merged = ([f"Literal[{', '.join(literals)}]"] if literals else []) + others
        return " | ".join(dict.fromkeys(sorted(merged, key=lambda kind: kind == "None")))

    def alternatives(self, schema: Any) -> list[str]:
        """The types that a schema allows."""
        if not isinstance(schema, dict) or not schema:
            return ["Any"]
        if "$ref" in schema:
            return [self.define(schema["$ref"].rsplit("/", 1)[1])]
        if "const" in schema:
            return ["None" if schema["const"] is None else f"Literal[{schema['const']!r}]"]
        if "enum" in schema:
            return ["None" if value is None else f"Literal[{value!r}]" for value in schema["enum"]]
        for key in ("oneOf", "anyOf"):
            if key in schema:
                return list(dict.fromkeys(a for one in schema[key] for a in self.alternatives(one)))
        if "allOf" in schema:
            return self.alternatives(schema["allOf"][0])
        kinds = schema.get("type", [])
        return [self.plain(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)] or ["Any"]

    def plain(self, kind: str, schema: dict[str, Any]) -> str:
        """A type by its JSON name."""
        match kind:
            case "array" if "prefixItems" in schema:
                # JSON has no tuples: on the way in a tuple does as well.
                kinds = " | ".join(dict.fromkeys(self.type_of(item) for item in schema["prefixItems"]))
                return f"list[{kinds}]"
            case "array":
                return f"list[{self.type_of(schema.get('items', {}))}]"
            case "object" if schema.get("properties"):
                keys = schema["properties"]
                kinds = " | ".join(dict.fromkeys(self.type_of(value) for value in keys.values()))
                return f"dict[str, {kinds}]"
            case "object":
                return f"dict[str, {self.type_of(schema.get('additionalProperties', {}))}]"
            case _:
                return {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}[kind]


def _named(schema: Any, name: str) -> Any:
    """A schema whose references to its root say the root's name."""
    if isinstance(schema, dict):
        named = {key: _named(value, name) for key, value in schema.items()}
        return {**named, "$ref": f"#/$defs/{name}"} if named.get("$ref") == "#" else named
    return [_named(item, name) for item in schema] if isinstance(schema, list) else schema


def _shape(schema: Any) -> Any:
    """A schema without its words."""
    if isinstance(schema, dict):
        return {key: _shape(value) for key, value in schema.items() if key not in ("description", "title")}
    return [_shape(item) for item in schema] if isinstance(schema, list) else schema


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.replace(".", "_").replace("-", "_").split("_"))


def _alias(name: str, types: list[str], schema: dict[str, Any]) -> str:
    comment = "".join(f"#: {line}\n" for line in _wrap(schema.get("description", ""), WIDTH - 3))
    literals = [kind[8:-1] for kind in types if kind.startswith("Literal[")]
    others = [kind for kind in types if not kind.startswith("Literal[")]
    parts = ([f"Literal[{', '.join(literals)}]"] if literals else []) + others
    quoted = "\n    | ".join(parts)
    if len(parts) == 1:
        return f"{comment}{name} = {parts[0]}\n"
    return f"{comment}{name} = (\n    {quoted}\n)\n"


def _wrap(text: str, width: int) -> list[str]:
    clean = text.replace("[`", "`").replace("`]", "`").replace("crate::", "").replace("\\", "\\\\")
    return [line for paragraph in clean.split("\n") for line in textwrap.wrap(paragraph.strip(), width)]


def _doc(text: str, indent: str) -> list[str]:
    lines = _wrap(text, WIDTH - len(indent) - 6)
    if len(lines) <= 1:
        return [f'{indent}"""{"".join(lines)}"""']
    return [f'{indent}"""{lines[0]}', *[f"{indent}{line}" for line in lines[1:]], f'{indent}"""']


def generate() -> str:
    """The text of the module."""
    generator = Generator()
    for name, schema in pure_sound.schema().items():
        if name == "event":
            for topic, payload in schema.items():
                generator.add(payload.get("title", _camel(topic)), payload)
        else:
            generator.add(schema.get("title", _camel(name)), schema)
    generator.add("MeterOptions", METER_OPTIONS)
    return HEADER + "".join(f"\n\n{text}" for text in generator.written.values())


#: Not among the schemas of the library: what `Meter` takes.
METER_OPTIONS = {
    "type": "object",
    "description": "What to measure beyond the integrated loudness.",
    "properties": {
        "true_peak": {"description": "True peak. Default: on.", "type": "boolean"},
        "range": {"description": "Loudness range. Default: on.", "type": "boolean"},
        "dual_mono": {
            "description": "Measure a single channel as it sounds from two loudspeakers. Default: off.",
            "type": "boolean",
        },
    },
}


def main() -> None:
    text = generate()
    if "--check" in sys.argv[1:]:
        if TARGET.read_text(encoding="utf-8") != text:
            raise SystemExit(f"{TARGET.name} is not fresh: run {Path(__file__).name}")
        return
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
