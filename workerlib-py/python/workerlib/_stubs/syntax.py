"""Writes pieces of TypeScript that are not types: comments, names, literals."""

from __future__ import annotations

import inspect
import json
import re

_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_KEYWORDS = frozenset(
    {
        "arguments",
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "eval",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "implements",
        "import",
        "in",
        "instanceof",
        "interface",
        "let",
        "new",
        "null",
        "package",
        "private",
        "protected",
        "public",
        "return",
        "static",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "var",
        "void",
        "while",
        "with",
        "yield",
    }
)


def comment(text: str | None, notes: list[str] | None = None) -> list[str]:
    """Makes the lines of a comment of a docstring.

    Args:
        text: The docstring.
        notes: Paragraphs below it.
    """
    paragraphs = ([inspect.cleandoc(text)] if text else []) + (notes or [])
    lines = "\n\n".join(paragraphs).replace("*/", "*\\/").splitlines()
    if len(lines) <= 1:
        return [f"/** {line} */" for line in lines]
    return ["/**", *(f" * {line}".rstrip() for line in lines), " */"]


def property_name(name: str) -> str:
    """Quotes a name that is not an identifier.

    Args:
        name: The name of a field, or of an exported function.
    """
    return name if _IDENTIFIER.fullmatch(name) else json.dumps(name)


def parameter_name(name: str) -> str:
    """Changes a name that TypeScript reserves.

    Args:
        name: The name of a parameter in Python.
    """
    return f"{name}_" if name in _KEYWORDS else name


def literal(value: object) -> str | None:
    """Writes the type of one value; None if it has no literal type.

    Args:
        value: The value, as it stands in Python.
    """
    if value is None:
        return "null"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value) if abs(value) < 2**53 else f"{value}n"
    if isinstance(value, float):
        return "number"
    if isinstance(value, bytes | bytearray):
        return "Uint8Array"
    if isinstance(value, list | tuple):
        items = [literal(item) for item in value]
        return None if None in items else f"[{', '.join(str(item) for item in items)}]"
    return None


def array_of(item: str) -> str:
    """Writes the type of an array.

    Args:
        item: The type of its items.
    """
    return f"{item}[]" if re.fullmatch(r"[\w.]+(<[\w.]+>)?(\[\])*", item) else f"({item})[]"


def members_of_union(union: str) -> list[str]:
    """Takes a union apart; another type is its only member.

    Args:
        union: The type.
    """
    members, depth, quoted, before = [""], 0, False, ""
    for character in union:
        if character == '"' and before != "\\":
            quoted = not quoted
        elif not quoted and character in "([{<":
            depth += 1
        elif not quoted and (character in ")]}" or (character == ">" and before != "=")):
            depth -= 1
        elif not quoted and depth == 0 and character == ">":
            # The result of a function may be a union itself.
            return [union]
        if character == "|" and not quoted and depth == 0:
            members.append("")
        else:
            members[-1] += character
        before = "" if before == "\\" else character
    return [member.strip() for member in members]


def union_of(members: list[str]) -> str:
    """Writes a union, each member once, with null and undefined at its end.

    Args:
        members: The members; one of them may be a union itself.
    """
    unique = list(dict.fromkeys(one for member in members for one in members_of_union(member)))
    if "unknown" in unique:
        return "unknown"
    last = [one for one in unique if one in ("null", "undefined", "void")]
    first = [_as_member(one) if len(unique) > 1 else one for one in unique if one not in last]
    return " | ".join(first + last) or "never"


def _as_member(kind: str) -> str:
    """Puts the type of a function into parentheses, unless it stands in some already."""
    if "=>" not in kind:
        return kind
    depth = 0
    for at, character in enumerate(kind):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return kind if at == len(kind) - 1 else f"({kind})"
    return f"({kind})"
