"""Three connections of one page that differ in adapters, log and settings: none changes another.

tests/local/test_connections_apart.py has more cases, with workers as subprocesses.
"""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page

SCRIPT = """
import io, sys
import workerlib
sys.stdout = io.StringIO()

@workerlib.export
def give(value):
    return f"{type(value).__name__}({getattr(value, 'amount', value)!r})"

@workerlib.export
def back(value):
    return value

@workerlib.export
def is_back(function):
    return function is back

@workerlib.export
def printed():
    return sys.stdout.getvalue()
"""


@pytest.mark.parametrize("script", [SCRIPT], ids=["script"])
@in_page(page="spawn_mishaps", limit=120)
async def test_three_connections_at_a_time(workerlib: Any, raises: Any, script: str) -> None:
    """Each keeps its adapters for the same class, its log, `strict`, `iterables` and `max_depth`, in calls at one time."""
    import asyncio
    import warnings
    from contextlib import AsyncExitStack
    from pathlib import Path

    import unaware

    Path("apart.py").write_text(script)
    files = {"/shared/unaware.py": ""}
    configs = {
        "numbers": {"files": files, "adapters": {"unaware": ["Money", "encode", "Money"]}},
        "texts": {
            "files": files,
            "adapters": {"unaware": ["Money", "encode", "Money"], "None": ["str", "str.upper", "str"]},
            "workerlib": {"log": True, "strict": True},
        },
        "none": {"workerlib": {"iterables": "list", "max_depth": 5}},
    }
    money = unaware.Money("a")
    async with AsyncExitStack() as stack:
        numbers, texts, none = [
            await stack.enter_async_context(workerlib.spawn(Path("apart.py"), name=name, config=config))
            for name, config in configs.items()
        ]
        for _ in range(2):
            given = await asyncio.gather(numbers.give(money), texts.give(money), none.give("a"))
            # The worker's answers pass the adapter for str, too.
            assert given == ["Money('a')", "MONEY('A')", "str('a')"]
            with raises(workerlib.UnsendableError, "Money"):
                await none.give(money)
            assert (await numbers.back([money]))[0].amount == "a"
        calls = [one.give(number) for number in range(20) for one in (numbers, texts, none)]
        expected = [f"{name}({number})" for number in range(20) for name in ("int", "INT", "int")]
        assert await asyncio.gather(*calls) == expected
        with raises(workerlib.UnsendableError, "strict"):
            await texts.give(number for number in range(2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", workerlib.ConversionWarning)
            assert await numbers.give(number for number in range(2)) == "list([0, 1])"
        deep: Any = []
        for _ in range(8):
            deep = [deep]
        assert await numbers.back(deep) == deep
        with raises(workerlib.UnsendableError, "5 levels"):
            await none.back(deep)
        for one in (numbers, texts):
            assert await one.is_back(one.back)
        assert "CALLING GIVE()" in await texts.printed()
        assert await numbers.printed() == await none.printed() == ""
