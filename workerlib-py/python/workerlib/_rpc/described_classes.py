"""Describes the classes of objects that stay where they are: the names of their methods, and what these say.

A frame names the methods of an object. Their docstrings and parameters are told once for each class, by a
message of exports that goes before the first frame with such an object (docs/wire-format.md, section 4.9).
They are for people, and may be missing: a call does not need them. This module sends nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from workerlib._errors import ProtocolError
from workerlib._exports import INTERNAL, ExportDescription, attempt, describe_export
from workerlib._result_kinds import EITHER, STREAM, kind_of
from workerlib._rpc.functions_there import check_parameters, signature_of

MOST_METHODS = 10_000
"""The most methods of all classes that one side may describe over a connection."""
_MOST_TEXT = 16 << 20
"""About how many characters this side describes them by at most."""
_MOST_OF_DOCS = 32 << 10
"""How many characters the docstrings of a class may have together. Of more, first paragraphs are told."""
_LONGEST_PARAGRAPH = 400
"""How many characters that has at most."""

Methods = dict[str, "bool | None"]
"""The names of methods, and whether each gives a stream; None if only a call tells."""

_SELF = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class ClassDescription:
    """What a side tells of a class: its name, and its public methods."""

    __slots__ = ("__weakref__", "_cls", "_exports", "name", "names", "pairs", "size")

    def __init__(self, name: str, methods: Methods, source: type | list[ExportDescription]) -> None:
        """Makes one.

        Args:
            name: The name of the class.
            methods: The public methods.
            source: The class, or the descriptions of its methods as the other side has told them.
        """
        self.name = name
        self.pairs = tuple(methods.items())
        """The methods as a frame has them: the same tuple each time, which a frame then has once."""
        self.names = frozenset(methods)
        self.size = 0
        """How many attributes the class had."""
        self._cls = source if isinstance(source, type) else None
        self._exports = None if isinstance(source, type) else source

    @property
    def exports(self) -> list[ExportDescription]:
        """The descriptions of the methods, without `self`."""
        if self._exports is None:
            cls, self._cls = self._cls, None
            assert cls is not None
            exports = [_describe(cls, name, gives_stream) for name, gives_stream in self.pairs]
            if sum(len(doc or "") for _, doc, *_ in exports) > _MOST_OF_DOCS:
                # Those of a DataFrame have half a million, and the first handle would wait for them.
                exports = [(one[0], one[1] and _beginning(one[1]), *one[2:]) for one in exports]
            self._exports = exports
        return self._exports


_described: WeakKeyDictionary[type, ClassDescription] = WeakKeyDictionary()


def described_class(cls: type) -> ClassDescription:
    """Describes a class of this side's; again if it has got further attributes since."""
    size = sum(len(vars(base)) for base in cls.__mro__)
    description = _described.get(cls)
    if description is None or description.size != size:
        description = _described[cls] = ClassDescription(cls.__qualname__, methods_of(cls), cls)
        description.size = size
    return description


def methods_of(cls: type) -> Methods:
    """Names the public methods of a class, and tells which of them give a stream."""
    methods: Methods = {}
    for name in dir(cls):
        if name.startswith("_"):
            continue
        member = inspect.getattr_static(cls, name)
        function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        # To `inspect` it is a routine, as each descriptor is that cannot be set.
        if inspect.isroutine(function) and not isinstance(function, cached_property):
            methods[name] = _gives_stream(function, cls)
    return methods


def _gives_stream(function: Any, cls: type) -> bool | None:
    # Python 3.14 evaluates the annotations now. They may have names that only a type checker imports.
    returns = attempt(lambda: getattr(function, "__annotations__", {}).get("return"))
    return _GIVES_STREAM[attempt(lambda: kind_of(function, returns, cls)) or 0]


_GIVES_STREAM = {0: False, STREAM: True, EITHER: None}
_KINDS = {gives_stream: kind for kind, gives_stream in _GIVES_STREAM.items()}


def kind_of_method(gives_stream: bool | None) -> int:
    """Returns the kind of a method, as exports have one."""
    return _KINDS[gives_stream]


def _describe(cls: type, name: str, gives_stream: bool | None) -> ExportDescription:
    member = inspect.getattr_static(cls, name)
    is_bound = isinstance(member, staticmethod | classmethod)
    _, doc, parameters, returns, _ = describe_export(name, getattr(cls, name))
    if parameters and not is_bound and parameters[0][1] in _SELF:
        parameters = parameters[1:]
    return name, doc, parameters, returns, kind_of_method(gives_stream)


def _beginning(doc: str) -> str:
    """Returns the first paragraph of a docstring, with a sign that more follows there."""
    first = doc.partition("\n\n")[0][:_LONGEST_PARAGRAPH]
    return doc if len(first) == len(doc) else f"{first}\n\n…"


class MethodThere:
    """What the other side has told of a method."""

    __slots__ = ("_signature", "export")

    def __init__(self, export: ExportDescription) -> None:
        """Takes in a description, whose parameters have been checked."""
        self.export = export
        self._signature: inspect.Signature | None = None

    @property
    def doc(self) -> str | None:
        """The docstring."""
        return self.export[1]

    @property
    def signature(self) -> inspect.Signature | None:
        """The parameters but for `self`; None where they are not known."""
        if self._signature is None and self.export[2] is not None:
            self._signature = signature_of(self.export[2], self.export[3])
        return self._signature


class DescribedClasses:
    """The classes that the two sides of a connection have described to each other."""

    def __init__(self, session: Any) -> None:
        """Starts without any.

        Args:
            session: The session of the connection.
        """
        self._session = session
        self._told: WeakKeyDictionary[ClassDescription, tuple[Any, ...]] = WeakKeyDictionary()
        self._numbers: dict[str, int] = {}
        self._methods_told = self._text_told = 0
        self._heard: dict[str, dict[str, MethodThere]] = {}
        self._methods_heard = 0

    def tell(self, described: ClassDescription) -> tuple[Any, ...]:
        """Says what a frame has of an object of that class; tells the methods before the first such frame."""
        told = self._told.get(described)
        if told is None:
            number = self._number_of(described)
            own = () if number is None else (number,)
            told = self._told[described] = (described.name, described.pairs, *own)
        return told

    def _number_of(self, described: ClassDescription) -> int | None:
        """Tells the methods of a class; returns its number, or None if too many were told."""
        exports = described.exports
        # A function may make a class anew each time it is called: those are told once.
        text = f"{described.name}: {exports}"
        number = self._numbers.get(text)
        if number is None:
            methods, length = self._methods_told + len(exports), self._text_told + len(text)
            if methods > MOST_METHODS or length > _MOST_TEXT:
                return None
            number = self._numbers[text] = len(self._numbers)
            self._methods_told, self._text_told = methods, length
            self._session.announce([(f"{INTERNAL}{number}.{name}", *rest) for name, *rest in exports])
        return number

    def hear(self, exports: list[ExportDescription]) -> list[ExportDescription]:
        """Takes in the descriptions of methods among exports, and returns the others.

        Raises:
            ProtocolError: If there are too many, or a description is one that no method has.
        """
        others = []
        for export in exports:
            number, is_method, name = export[0].removeprefix(INTERNAL).partition(".")
            if not export[0].startswith(INTERNAL) or not is_method:
                others.append(export)
                continue
            if self._methods_heard == MOST_METHODS:
                raise ProtocolError(f"the other side describes more than {MOST_METHODS:,} methods")
            self._methods_heard += 1
            check_parameters("the other side", name, export[2])
            self._heard.setdefault(number, {})[name] = MethodThere((name, *export[1:]))
        return others

    def heard(self, number: int) -> Mapping[str, MethodThere]:
        """Finds what is known of the methods of a class of the other side's, by their names."""
        return self._heard.get(str(number), _NOTHING)


_NOTHING: Mapping[str, MethodThere] = {}
