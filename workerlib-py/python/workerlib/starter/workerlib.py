"""Starts the installed workerlib: put this file beside your page as `workerlib.py`.

As a worker's script (`src="./workerlib.py"`) it serves what the worker's configuration exports. Where a
configuration lists it under `[files]`, it stands before the installed package and hands over to it.
"""

import sys

if sys.implementation.name == "micropython":
    raise ImportError('workerlib needs Pyodide: write type="py", not type="mpy", in the script tag')

if __name__ == "__main__":
    import workerlib.worker  # noqa: F401
else:
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec
    from os.path import abspath, dirname

    here = dirname(abspath(__file__))
    # Not by the metadata: on PyPI the distribution has another name.
    spec = PathFinder.find_spec("workerlib", [folder for folder in sys.path if abspath(folder) != here])
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        raise ImportError("workerlib is not installed: name its wheel under packages (docs/installing.md)")
    sys.modules["workerlib"] = package = module_from_spec(spec)
    spec.loader.exec_module(package)
