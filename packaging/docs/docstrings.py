"""Extensions of griffe, which reads the package for the reference: it runs no code of the package."""

from __future__ import annotations

import re
from typing import Any

from griffe import Alias, Attribute, ExprName, Extension, Module, Object

LITERAL = re.compile(r"::(?=\n\n(?: {4}|\t))")


class LiteralBlocks(Extension):
    """Makes the `::` before an indented block the colon that Markdown wants."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrites the docstring of an object.

        Args:
            obj: The object.
        """
        if obj.docstring:
            obj.docstring.value = LITERAL.sub(":", obj.docstring.value)


class SecondNames(Extension):
    """Gives a second name of a function, such as `anyCall = any_call`, the function's text and arguments."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Replaces the attributes of the package that are second names.

        Args:
            pkg: The package.
        """
        for name, member in list(pkg.members.items()):
            if isinstance(member, Attribute) and isinstance(member.value, ExprName):
                first = pkg.members.get(member.value.name)
                if isinstance(first, Alias):
                    pkg.set_member(name, Alias(name, first.target_path, parent=pkg))
