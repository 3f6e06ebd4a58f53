"""A stand-in for the CDN that pages take PyScript and Pyodide from, and for PyPI.

A browser context has it as its proxy. The proxy ends the connections itself, as if it were each host that is asked for, with a
certificate of its own that browsers of the tests take (engines.py). So a page's requests go over TLS and a socket, as everywhere.
An answer by playwright's `route.fulfill` would go through its driver as text.

All tests share one context of a site, in which a page of the site holds Pyodide's compiled module. The pages of hosts on this machine
are in the process of that page (engines.py), so the browser need not compile the module for each of them.
"""

from __future__ import annotations

import functools
import http.server
import json
import re
import socketserver
import ssl
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext

from pyscript_page import FOR_THE_BROWSER, LOAD_MILLISECONDS
from static_host import TYPES

_MODULE = "https://cdn.jsdelivr.net/pyodide/v0/full/pyodide.asm.wasm"
_PYODIDE = re.compile(r"https://cdn\.jsdelivr\.net/pyodide/v[\d.]+/full/(?P<file>[^?]+)")
_PYSCRIPT = re.compile(r"https://cdn\.jsdelivr\.net/npm/@pyscript/core@[\d.]+/dist/(?P<file>[^?]+)")


class Cdn:
    """Answers for the CDN of PyScript and Pyodide, and for PyPI, from the files of a site of this suite.

    Pyodide's lock file is the published one but for two things: micropip and packaging have the checksums of the wheels that this
    machine has (npm's package of Pyodide comes without them), and workerlib's entry, which the site has, is taken out.
    """

    context: BrowserContext
    """A browser context whose requests to other machines come here."""

    def __init__(self, site: str) -> None:
        self._site = site
        self.begin()

    @classmethod
    @functools.cache
    def of(cls, browser: Browser, site: str) -> Cdn:
        """Gives the stand-in of a site, with its context, until the browser ends."""
        cdn = cls(site)
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), functools.partial(_Proxy, cdn))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        proxy = f"http://127.0.0.1:{server.server_address[1]}"
        cdn.context = browser.new_context(proxy={"server": proxy, "bypass": "localhost"})
        keeper = cdn.context.new_page()
        keeper.goto(f"{site}/tests/keeper.html", timeout=LOAD_MILLISECONDS)
        keeper.evaluate("address => window.keeper.compile(address)", _MODULE)
        return cdn

    def begin(self) -> None:
        """Forgets what the test before has asked for and set."""
        self.elsewhere: list[str] = []
        """The requests that were for none of the files of the CDN."""
        self.index: dict[str, dict[str, Any]] = {}
        """The files of PyPI: for each package the answer of its index, and for each file its content."""
        self.files: dict[str, bytes] = {}
        self.withheld = ""
        """The end of an address that is answered once, for the page, and never again."""
        self._was_given = False

    def wheel(self) -> tuple[str, bytes]:
        """Gives the name and the content of the wheel that was built for Pyodide."""
        name = self._lock()["packages"]["workerlib"]["file_name"]
        return name, self._get(f"/pyodide/{name}")

    def file_of_pyodide(self, name: str) -> bytes:
        """Gives a file as the CDN has it."""
        content, _ = self._content(f"https://cdn.jsdelivr.net/pyodide/v0/full/{name}")
        return content

    def own_copies(self) -> dict[str, bytes]:
        """Gives the folders `pyscript` and `pyodide` of the site, as far as a page with workerlib needs them."""
        lock = self._lock()["packages"]
        needed = [
            "pyodide.mjs",
            "pyodide.asm.mjs",
            "pyodide.asm.wasm",
            "python_stdlib.zip",
            "pyodide-lock.json",
        ]
        needed += [lock[name]["file_name"] for name in ("workerlib", "micropip", "packaging")]
        copies = {f"pyodide/{name}": self._get(f"/pyodide/{name}") for name in needed}
        scripts = ["core.js"]
        for script in scripts:
            content = copies[f"pyscript/{script}"] = self._get(f"/pyscript/{script}")
            found = re.findall(r'"\./([\w.-]+\.(?:js|css))"', content.decode())
            scripts.extend(name for name in dict.fromkeys(found) if name not in scripts)
        return copies

    def answer(self, url: str) -> tuple[bytes, str] | None:
        """Gives the content of an address and its type, or None if the CDN has no such file; a file that is withheld takes for ever."""
        if self.withheld and url.endswith(self.withheld):
            if self._was_given:
                # The browser waits, and asks no more, until it goes away.
                threading.Event().wait()
            self._was_given = True
        try:
            return self._content(url)
        except KeyError:
            if FOR_THE_BROWSER not in url:
                self.elsewhere.append(url)
            return None

    def _content(self, url: str) -> tuple[bytes, str]:
        if found := _PYSCRIPT.match(url):
            return self._get(f"/pyscript/{found['file']}"), TYPES[".mjs"]
        if found := _PYODIDE.match(url):
            if found["file"] == "pyodide-lock.json":
                lock = self._lock()
                del lock["packages"]["workerlib"]
                return json.dumps(lock).encode(), TYPES[".json"]
            return self._get(f"/pyodide/{found['file']}"), TYPES[Path(found["file"]).suffix]
        if url.startswith("https://pypi.org/simple/"):
            answer = self.index[url.removeprefix("https://pypi.org/simple/").strip("/")]
            return json.dumps(answer).encode(), "application/vnd.pypi.simple.v1+json"
        return self.files[url], "application/octet-stream"

    def _lock(self) -> Any:
        return json.loads(self._get("/pyodide/pyodide-lock.json"))

    def _get(self, path: str) -> bytes:
        return _fetch(self._site + path)


@functools.cache
def _fetch(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address) as answer:
            content: bytes = answer.read()
    except urllib.error.HTTPError as error:
        error.close()
        raise KeyError(address) from None
    return content


class _Proxy(socketserver.StreamRequestHandler):
    """Is asked for a connection to a host, and answers on it in the host's name."""

    def __init__(self, cdn: Cdn, *request: Any) -> None:
        self._cdn = cdn
        super().__init__(*request)

    def handle(self) -> None:
        method, target, *_ = [*self.rfile.readline(8192).decode("latin-1").split(), "", ""]
        while self.rfile.readline(8192).strip():
            pass
        if method != "CONNECT":
            if target and FOR_THE_BROWSER not in target:
                self._cdn.elsewhere.append(target)
            self.wfile.write(b"HTTP/1.1 502 off the site\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 connected\r\n\r\n")
        # A browser may go away at any time, also in the middle of a handshake.
        with suppress(OSError), _certificate().wrap_socket(self.request, server_side=True) as connection:
            _Host(self._cdn, target.removesuffix(":443"), connection, self.client_address, self.server)


class _Host(http.server.BaseHTTPRequestHandler):
    """Answers the requests of one connection to a host."""

    protocol_version = "HTTP/1.1"

    def __init__(self, cdn: Cdn, host: str, *request: Any) -> None:
        self._cdn = cdn
        self._host = host
        super().__init__(*request)

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        """Gives the file."""
        answer = self._cdn.answer(f"https://{self._host}{self.path}")
        self.send_response(404 if answer is None else 200)
        content, kind = answer or (b"", "text/plain")
        self.send_header("Content-Type", kind)
        self._send(content)

    def do_OPTIONS(self) -> None:
        """Allows what a page of another origin may ask before it sends headers of its own."""
        self.send_response(200)
        self.send_header("Access-Control-Allow-Headers", "*")
        self._send(b"")

    def _send(self, content: bytes) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@functools.cache
def _certificate() -> ssl.SSLContext:
    """Makes a key and a certificate that nobody trusts."""
    with tempfile.TemporaryDirectory(prefix="workerlib-cdn-") as folder:
        key, certificate = Path(folder, "key.pem"), Path(folder, "certificate.pem")
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        command += ["-subj", "/CN=the tests", "-days", "2", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    return context
