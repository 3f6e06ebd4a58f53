"""The seed document's section "Adapters" between a real page and its worker: its forms of configuration on both sides.

tests/python/_values/test_adapters.py has the same sentences with more cases; here both configurations are read by PyScript's
rules, their modules found by [files], and page and worker agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engines import AnyBrowser
from in_page import in_page
from pyscript_page import PyScriptPage


@pytest.fixture(scope="module")
def adapters(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page whose configuration, and whose worker's, has adapters."""
    with PyScriptPage(browser, site, "adapters.html", has_snapshot=True) as page:
        yield page


@pytest.fixture(scope="module")
def one_adapter(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page whose configuration has one adapter for each module, as the document's first example."""
    with PyScriptPage(browser, site, "one_adapter.html", has_snapshot=True) as page:
        yield page


@in_page(page="one_adapter")
async def test_any_class_objects_would_not_pass_through(worker: Any, workerlib: Any, raises: Any) -> None:
    """Instances of one's own class cause an error as in the seed, which says where they stand, and nothing is sent."""

    class Own:
        pass

    with raises(workerlib.UnsendableError, r"args\[1\]\['own'\]: .*Own cannot be sent"):
        await worker.echo(0, {"own": Own()})
    assert await worker.echo(1) == ((1,), {})


@in_page(page="one_adapter")
async def test_a_type_that_you_want_to_transfer(worker: Any) -> None:
    """ "moduleName" = ["TypeName", "typeEncoder", "typeDecoder"]: it arrives as itself, wherever it stands."""
    from moduleName import TypeName

    assert await worker.kinds(TypeName(1)) == ["moduleName.TypeName"]
    (one, nested), named = await worker.echo(TypeName(1), [{"x": TypeName(b"2")}], z=TypeName((3,)))
    arrived = [one, nested[0]["x"], named["z"]]
    assert [(type(each), each.value) for each in arrived] == [
        (TypeName, 1),
        (TypeName, b"2"),
        (TypeName, (3,)),
    ]


@in_page(page="one_adapter")
async def test_the_input_of_the_decoder_is_the_same_that_the_encoder_created(worker: Any) -> None:
    """It is a tuple with all that it had, not a list of what JavaScript makes of that."""
    from moduleName import TypeName

    content = [(1, [2]), memoryview(b"view"), b"bytes", bytearray(b"array"), {3: {4}}, None, 1.5]
    await worker.echo(TypeName(content))
    (_, data) = (await worker.seen())[-1]
    assert type(data) is tuple
    assert data == ("made of", content)
    assert list(map(type, data[1])) == list(map(type, content))


@in_page(page="one_adapter")
async def test_a_superclass_encoder_may_send_the_actual_type_too(worker: Any) -> None:
    """Unless superclassEncoder() sends actual type too, and superclassDecoder() constructs Subclass."""
    from family import Other, Subclass, Superclass

    assert await worker.kinds(Subclass(1), Other(2)) == ["family.Subclass", "family.Other"]
    arrived, _ = await worker.echo(Subclass(1), Superclass(2))
    assert [(type(each), each.value) for each in arrived] == [(Subclass, 1), (Superclass, 2)]


@in_page(page="one_adapter")
async def test_none_as_encoder_sends_the_value(worker: Any) -> None:
    """Enum instances are converted to their values when sending."""
    from colours import Colour

    assert await worker.echo(Colour.RED) == ((Colour.RED,), {})
    assert (await worker.seen())[-1] == ("str", "red")


@in_page(page="adapters")
async def test_multiple_adapters_from_the_same_module(worker: Any) -> None:
    """Sync and async ones, and the input of a decoder is what the encoder created on the other side."""
    import moduleName

    values = moduleName.Type1Name([(1, b"x")]), [moduleName.Type2Name(moduleName.Type1Name(2))]
    assert await worker.kinds(values[0], values[1][0]) == ["moduleName.Type1Name", "moduleName.Type2Name"]
    (one, (two,)), named = await worker.echo(*values, z=values[0])
    assert (type(one), one.value) == (moduleName.Type1Name, [(1, b"x")])
    assert (type(two), type(two.value), two.value.value) == (moduleName.Type2Name, moduleName.Type1Name, 2)
    assert named["z"] is one
    assert ("tuple", ("made of", [(1, b"x")])) in await worker.seen()


@in_page(page="adapters")
async def test_transpose_without_encoder_and_decoder_arrives_as_transpose(worker: Any) -> None:
    """["Transpose", "None", "None"], and a descriptor of one name."""
    import moduleName

    how, scale = moduleName.Transpose.ROTATE_90, moduleName.Scale(1.5)
    assert await worker.kinds(how, scale) == ["moduleName.Transpose", "moduleName.Scale"]
    (arrived, scaled), _ = await worker.echo(how, scale)
    assert arrived is how
    assert (type(scaled), scaled) == (moduleName.Scale, 1.5)


@in_page(page="adapters")
async def test_subclasses_by_the_order_and_by_the_full_class_name(worker: Any) -> None:
    """The subclass is listed higher; another one arrives as the superclass, whose decoder hears the name."""
    import family

    sub, other = family.Subclass(1), family.Other(2)
    assert await worker.kinds(sub, other) == ["family.Subclass", "family.Superclass"]
    (sub, other), _ = await worker.echo(sub, other)
    assert (type(sub), type(other), other.sent_as) == (
        family.Subclass,
        family.Superclass,
        "family.Superclass",
    )


@in_page(page="adapters")
async def test_third_party_classes_and_buffers(worker: Any) -> None:
    """A reexported Fraction; a memoryview arrives as a memoryview, out of band too."""
    from fractions import Fraction

    import moduleName

    assert await worker.echo(Fraction(2, 3)) == ((Fraction(2, 3),), {})
    (samples,), _ = await worker.echo(moduleName.Samples(range(10_000)))
    assert list(samples.values) == [float(number) for number in range(10_000)]
    assert "memoryview" in [name for name, _ in await worker.seen()]


@in_page(page="adapters")
async def test_what_an_encoder_raises(worker: Any, raises: Any) -> None:
    """It is raised in the caller with its note, and the connection goes on."""
    import family

    with raises(FloatingPointError, match="out of paint") as caught:
        await worker.echo({"image": family.Subclass("refuse")})
    assert caught.value.__notes__ == ["while encoding args[0]['image'] by the adapter family:Subclass"]
    assert await worker.echo(1) == ((1,), {})


@in_page
async def test_an_adapter_in_the_configuration_of_the_worker_only(
    workerlib: Any, tags: Any, raises: Any
) -> None:
    """connect() raises, quotes the entry, and says which side lacks it."""
    config = {
        "packages": ["workerlib"],
        "packages_cache": "passthrough",
        "adapters": {"fractions": ["Fraction"]},
    }
    tags.worker("adapters-of-one-side", "import workerlib", config=config)
    with raises(workerlib.ConfigError, match="only the configuration of the worker has this entry") as caught:
        await workerlib.connect("adapters-of-one-side")
    assert str(caught.value).startswith('[adapters] "fractions" = ["Fraction"]')


@pytest.mark.isolation("chromium")
@pytest.mark.repeated("isolated")
@in_page
async def test_an_entry_that_cannot_be_right(workerlib: Any, tags: Any, raises: Any) -> None:
    """The worker says so as soon as it is connected to, in its start error's cause."""
    config = {
        "packages": ["workerlib"],
        "packages_cache": "passthrough",
        "adapters": {"fractions": ["Fractoin"]},
    }
    tags.worker("adapters-misspelt", "import workerlib", config=config)
    with raises(workerlib.WorkerStartError) as caught:
        await workerlib.connect("adapters-misspelt")
    assert isinstance(caught.value.__cause__, workerlib.ConfigError)
    assert "did you mean 'Fraction'" in str(caught.value.__cause__)


@in_page
async def test_adapters_that_the_scripts_register(workerlib: Any, tags: Any) -> None:
    """Both scripts register a class of their top level, which the sides know as the same."""
    import sys

    script = """
import workerlib

@workerlib.adapter
class Angle:
    def __init__(self, degrees):
        self.degrees = degrees

    async def __workerlib_encode__(self):
        return self.degrees
"""
    tags.worker(
        "adapters-registered",
        script + "\n@workerlib.export\ndef turn(angle):\n    return Angle(angle.degrees + 90)\n",
    )
    main = sys.modules["__main__"]
    exec(script, main.__dict__)  # noqa: S102 - as the page's own script would
    async with workerlib.connect("adapters-registered") as worker:
        turned = await worker.turn(main.Angle(10))
    assert (type(turned), turned.degrees) == (main.Angle, 100)
