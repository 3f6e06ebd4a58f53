"""The worker of the benchmark: one function, `echo`, in reach of every peer."""

import js
import pickled
import pyodide_js
import workerlib
from polyscript import xworker
from pyodide.ffi import create_proxy, to_js
from pyscript.js_modules import comlink_python


@workerlib.export
def echo(value):
    return value


@workerlib.export
def heap():
    """The bytes of this side's memory."""
    return pyodide_js._module.HEAPU8.byteLength


def pickled_echo(parts):
    """Reached by PyScript's own calls, with pickled bytes on the way."""
    return pickled.pack(echo(pickled.unpack(parts)))


def hand_out(name):
    channel = js.MessageChannel.new()
    xworker.postMessage(f"bench-port:{name}", to_js([channel.port2]))
    return channel.port1


@workerlib.export
def open_ports():
    """Hands out the ports of the peers that have their own."""
    pickled.Port(hand_out("pickle"), echo)
    comlink_python.serve(hand_out("comlink"), pyodide_js, create_proxy(echo))


__export__ = ["echo", "pickled_echo"]
