"""Makes adapters of the section `[adapters]` of a configuration.

Each entry is a module's name and one adapter, or a list of several: the names of a class, of its encoder and
of its decoder in that module. `_values/adapters.py` keeps the adapters and calls them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from workerlib._config.names import import_module, resolve
from workerlib._errors import ConfigError
from workerlib._values.adapter import Adapter, All
from workerlib._values.adapters import AdapterSet, make_adapter

if TYPE_CHECKING:
    import pickle

_SECTION = "adapters"


def load_adapters(config: Mapping[str, Any]) -> AdapterSet:
    """Makes the adapters of one connection from its configuration.

    Args:
        config: The whole configuration.

    Raises:
        ConfigError: If an entry is malformed, or names something that does not exist; the message quotes it.
    """
    return AdapterSet(read_adapters(config.get(_SECTION, {})))


def read_adapters(section: object) -> list[Adapter]:
    """Makes the adapters of the section, in its order.

    Args:
        section: The section's content: entries by the names of modules.

    Raises:
        ConfigError: If an entry is malformed, or names something that does not exist; the message quotes it.
    """
    if not isinstance(section, Mapping):
        raise ConfigError(f"[{_SECTION}] should be a section with a key for each module, and is {section!r}")
    made: list[Adapter] = []
    for module, value in section.items():
        for names in _descriptors(module, value):
            made.append(_read(module, names))
            _check_beside(made)
    return made


def _descriptors(module: str, value: object) -> Iterator[list[str]]:
    several = isinstance(value, list | tuple) and value and not isinstance(value[0], str)
    for names in value if several else [value]:  # type: ignore[attr-defined]
        is_list = isinstance(names, list | tuple)
        if not is_list or not all(isinstance(name, str) for name in names) or not 1 <= len(names) <= 3:
            raise ConfigError(
                f"{_entry(module, value)}: an adapter is a list of one to three names, class, encoder and"
                f' decoder, as ["TypeName", "typeEncoder", "typeDecoder"], not {_quoted(names)}'
            )
        yield list(names)


def _read(module: str, names: list[str]) -> Adapter:
    entry = _entry(module, names)
    class_name, encoder, decoder = (*names, "None", "None")[:3]
    cls = _find_class(module, class_name, entry)
    key = f"{'__main__' if module == '.' else module}:{class_name}"
    if cls is object or cls is All:
        # Each of the two has one key, whichever module names it.
        key = "builtins:object" if cls is object else "workerlib:All"
    return make_adapter(
        key,
        cls,
        _find_function(module, encoder, _pickle, entry),
        _find_function(module, decoder, _unpickle, entry),
        entry,
    )


def _find_class(module: str, name: str, entry: str) -> Any:
    if name in ("Any", "object"):
        import_module(module, entry)
        return object
    if name == "All" and not hasattr(import_module(module, entry), "All"):
        return All
    return resolve(module, name, entry)


def _find_function(module: str, name: str, by_pickle: Any, entry: str) -> Any:
    if name in ("None", ""):
        return None
    return by_pickle if name == "pickle" else resolve(module, name, entry)


def _check_beside(adapters: list[Adapter]) -> None:
    last = adapters[-1]
    for other in adapters[:-1]:
        if All in (last.cls, other.cls):
            raise ConfigError(
                f'{last.entry}: "All" has to be the only adapter, and there is also {other.entry}'
            )
        if other.key == last.key or other.cls is last.cls:
            raise ConfigError(f"{last.entry}: the class has an adapter already, {other.entry}")


def _entry(module: str, names: object) -> str:
    return f"[{_SECTION}] {_quoted(module)} = {_quoted(names)}"


def _quoted(value: object) -> str:
    # TOML and JSON write it alike.
    return json.dumps(value, ensure_ascii=False, default=repr)


def _pickle(value: object) -> Any:
    """Pickles an object: returns bytes, or a tuple of bytes and the buffers that are not copied into them."""
    # Few configurations have an adapter of this kind, and pickle takes long to import.
    import pickle

    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return (pickled, *(buffer.raw() for buffer in buffers)) if buffers else pickled


def _unpickle(data: Any) -> Any:
    """Makes an object of the result of `_pickle`, or of other pickled bytes."""
    import pickle

    pickled, *buffers = data if isinstance(data, tuple) else (data,)
    return pickle.loads(pickled, buffers=buffers)
