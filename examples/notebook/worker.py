"""The worker's script: runs cells, as a notebook's kernel does."""

import ast
import contextlib
import io
import traceback

import workerlib

names = {}


@workerlib.export
def run(code: str) -> str:
    """Runs a cell, and returns what it prints, its last expression, and its error."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            cell = ast.parse(code)
            last = cell.body.pop() if cell.body and isinstance(cell.body[-1], ast.Expr) else None
            exec(compile(cell, "cell", "exec"), names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
                print(value, file=printed)
    except KeyboardInterrupt:
        print("(stopped)", file=printed)
    except Exception:
        printed.write(traceback.format_exc(limit=-1))
    return printed.getvalue()
