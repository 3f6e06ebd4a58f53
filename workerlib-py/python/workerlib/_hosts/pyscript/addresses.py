"""Finds the address of a worker's script under PyScript, which does not tell it to the worker.

The worker's JavaScript has a blob: address, from which no relative address can be resolved. On an isolated
page the worker sees the page's tag. On other pages it knows the address of its configuration, which is that
of the page where the configuration is inline. The page tells the script's own address when it connects.
"""

from __future__ import annotations

from typing import Any

import js
from pyodide.ffi import JsException, create_proxy, to_js

from workerlib._errors import ConnectError
from workerlib._location import addresses

_told: str | None = None
_PROBE = "workerlib"


def tell(address: str) -> None:
    """Notes the script's address, as the page has told it.

    Args:
        address: The address; empty if the page does not know it.
    """
    global _told
    if not address:
        return
    for asked, answer in addresses.given().items():
        right = str(js.URL.new(asked, address).href)
        if right != answer:
            js.console.warn(
                f"workerlib.url({asked!r}) was {answer} while the worker's script ran, and is {right}: the"
                " page, which is not isolated, had not told yet where the script is. Put the script beside"
                " the page's configuration, or use the address in a function"
            )
    _told = address


def find() -> str:
    """Returns the address from which relative addresses in this worker start.

    Raises:
        ConnectError: If PyScript tells nothing of it.
    """
    import polyscript

    if _told is not None:
        return _told
    tag = getattr(polyscript, "currentScript", None)
    if tag:
        return str(getattr(tag, "src", "") or polyscript.xworker.window.document.baseURI)
    address = address_of_configuration(polyscript)
    if address is None:
        raise ConnectError(
            "this version of PyScript does not tell a worker where its page is: give the whole address, or"
            " call workerlib.url() after the page has connected"
        )
    return address


def address_of_configuration(polyscript: Any) -> str | None:
    """Reads the address from which PyScript resolves those of the configuration.

    It is the file's own, or the page's if the configuration is inline; None if PyScript does not tell it.
    PyScript resolves the address of a JavaScript module when the module is asked for, by `new URL(source,
    base)`. This function asks for one, and takes the base.
    """
    modules = js.Object.getOwnPropertySymbols(js.globalThis)
    found: list[str] = []
    by_name = next((one for one in modules if one.description == "polyscript.js_modules"), None)
    if by_name is None or getattr(polyscript, "js_modules", None) is None:
        return None
    registered = js.Reflect.get(js.globalThis, by_name)

    def take(_target: Any, arguments: Any, _new: Any) -> Any:
        found.append(str(arguments[1]))
        raise LookupError

    url, handler = js.URL, create_proxy(take)
    registered.set(_PROBE, to_js(["./"]))
    js.URL = js.Proxy.new(url, to_js({"construct": handler}, dict_converter=js.Object.fromEntries))
    try:
        js.Reflect.get(polyscript.js_modules, _PROBE)
    except (JsException, LookupError):
        # By `take`.
        pass
    finally:
        js.URL = url
        registered.delete(_PROBE)
        handler.destroy()
    return found[0] if found else None
