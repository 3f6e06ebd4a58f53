"""The seed document's section "Adapters", sentence by sentence: each test has the sentence in its docstring."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import Worker

from adapter_modules import Configure, configure

__all__ = ["configure"]

Connect = Callable[[], AbstractAsyncContextManager[Worker]]

CONFIG = """
[files]
"./moduleName.py" = ""

[adapters]
"moduleName" = ["TypeName", "typeEncoder", "typeDecoder"]
"""
MODULE = """
class TypeName:
    def __init__(self, value):
        self.value = value

def typeEncoder(obj):
    return ("made of", obj.value)

def typeDecoder(data):
    seen.append(data)
    assert data[0] == "made of"
    return TypeName(data[1])

seen = []
"""


def echo(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


@pytest.fixture(autouse=True)
def exported(no_exports: None) -> None:
    """Exports the functions that the tests call."""
    workerlib.export(echo)


def module(name: str = "moduleName") -> Any:
    return sys.modules[name]


async def test_a_type_that_you_want_to_transfer(connect: Connect, configure: Configure) -> None:
    """For each class of objects you need to transfer between processes, go like this."""
    configure(CONFIG, moduleName=MODULE)
    cls = module().TypeName
    async with connect() as worker:
        (one, nested), named = await worker.echo(cls(1), [{"x": cls(2)}], z=cls(3))
    assert [type(one), type(nested[0]["x"]), type(named["z"])] == [cls] * 3
    assert [one.value, nested[0]["x"].value, named["z"].value] == [1, 2, 3]


@pytest.mark.parametrize("encoder", ["", "async "])
@pytest.mark.parametrize("decoder", ["", "async "])
async def test_encoder_and_decoder_are_sync_or_async(
    connect: Connect, configure: Configure, encoder: str, decoder: str
) -> None:
    """typeEncoder is a name of the function, sync or async; typeDecoder likewise."""
    source = MODULE.replace("def typeEncoder", f"{encoder}def typeEncoder")
    configure(CONFIG, moduleName=source.replace("def typeDecoder", f"{decoder}def typeDecoder"))
    cls = module().TypeName
    async with connect() as worker:
        (one, nested), named = await worker.echo(cls(1), [{"x": cls(2)}], z=cls((3,)))
    assert [type(one), type(nested[0]["x"]), type(named["z"])] == [cls] * 3
    assert [one.value, nested[0]["x"].value, named["z"].value] == [1, 2, (3,)]


async def test_the_input_of_the_decoder_is_the_same_that_the_encoder_created(
    connect: Connect, configure: Configure
) -> None:
    """The input this function would receive would be the same that typeEncoder() created on the other side."""
    configure(CONFIG, moduleName=MODULE)
    content = [(1, [2]), memoryview(b"view"), b"bytes", bytearray(b"array"), {3: {4}}, None, 1.5]
    async with connect() as worker:
        await worker.echo(module().TypeName(content))
    for data in module().seen:
        assert type(data) is tuple
        assert list(map(type, data[1])) == list(map(type, content))
        assert data == ("made of", content)


async def test_third_party_classes_are_reexported(connect: Connect, configure: Configure) -> None:
    """If TypeName is some third party class, you may need to import and reexport it from your module."""
    source = """
from fractions import Fraction

def encode(fraction): return [fraction.numerator * 10, fraction.denominator * 10]
def decode(data): return Fraction(*data)
"""
    configure('[adapters]\n"mathematics" = ["Fraction", "encode", "decode"]', mathematics=source)
    from fractions import Fraction

    async with connect() as worker:
        assert await worker.echo(Fraction(2, 3)) == ((Fraction(2, 3),), {})


FAMILY = """
class Superclass:
    def __init__(self, value): self.value = value
class Subclass(Superclass): pass

def superclassEncoder(obj): return ["super", obj.value]
def superclassDecoder(data): return Superclass(data)
def subclassEncoder(obj): return ["sub", obj.value]
def subclassDecoder(data): return Subclass(data)
"""
OF_SUPERCLASS = '["Superclass", "superclassEncoder", "superclassDecoder"]'
OF_SUBCLASS = '["Subclass", "subclassEncoder", "subclassDecoder"]'


async def test_an_instance_of_a_subclass_arrives_as_one_of_the_superclass(
    connect: Connect, configure: Configure
) -> None:
    """If you have an adapter for Superclass, and an instance of Subclass, a Superclass instance is constructed."""
    configure(f'[adapters]\n"family" = {OF_SUPERCLASS}', family=FAMILY)
    family = module("family")
    async with connect() as worker:
        (arrived,), _ = await worker.echo(family.Subclass(1))
    assert type(arrived) is family.Superclass


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(OF_SUBCLASS, OF_SUPERCLASS, "Subclass"), (OF_SUPERCLASS, OF_SUBCLASS, "Superclass")],
)
async def test_objects_are_checked_against_adapters_in_the_order_of_the_config(
    connect: Connect, configure: Configure, first: str, second: str, expected: str
) -> None:
    """Make sure to list the adapter for Subclass higher, because objects are checked in the order listed."""
    configure(f'[adapters]\n"family" = [{first}, {second}]', family=FAMILY)
    family = module("family")
    async with connect() as worker:
        (sub, super_), _ = await worker.echo(family.Subclass(1), family.Superclass(2))
    assert type(sub).__name__ == expected
    assert type(super_) is family.Superclass


async def test_a_superclass_encoder_may_send_the_actual_type_too(
    connect: Connect, configure: Configure
) -> None:
    """Unless superclassEncoder() sends actual type too, and superclassDecoder() constructs Subclass."""
    source = FAMILY.replace('["super", obj.value]', "[type(obj).__name__, obj.value]")
    source = source.replace("return Superclass(data)", "return globals()[data[0]](data[1])")
    configure(f'[adapters]\n"family" = {OF_SUPERCLASS}', family=source)
    family = module("family")
    async with connect() as worker:
        (arrived,), _ = await worker.echo(family.Subclass(1))
    assert type(arrived) is family.Subclass
    assert arrived.value == 1


async def test_multiple_adapters_from_the_same_module(connect: Connect, configure: Configure) -> None:
    """If you need to create multiple adapters from the same module, do it like this: a list of lists."""
    text = """
[adapters]
"moduleName" = [
    ["Type1Name", "type1Encoder", "type1Decoder"],
    ["Type2Name", "type2Encoder", "type2Decoder"],
]
"""
    source = """
class Type1Name: pass
class Type2Name: pass
def type1Encoder(obj): return 1
def type1Decoder(data): return Type1Name() if data == 1 else None
def type2Encoder(obj): return 2
def type2Decoder(data): return Type2Name() if data == 2 else None
"""
    configure(text, moduleName=source)
    cls1, cls2 = module().Type1Name, module().Type2Name
    async with connect() as worker:
        arrived, _ = await worker.echo(cls1(), cls2())
    assert list(map(type, arrived)) == [cls1, cls2]


async def test_a_buffer_arrives_as_a_memoryview(connect: Connect, configure: Configure) -> None:
    """Choose memoryview: it arrives on another side also as a memoryview."""
    source = """
import array

class Samples:
    def __init__(self, values): self.values = array.array("d", values)

def encode(samples): return memoryview(samples.values)
def decode(view):
    assert type(view) is memoryview and view.format == "d", view
    made = Samples([])
    made.values.frombytes(view.cast("B"))
    return made
"""
    configure('[adapters]\n"samples" = ["Samples", "encode", "decode"]', samples=source)
    values = [float(number) for number in range(10_000)]
    async with connect() as worker:
        (arrived,), _ = await worker.echo(module("samples").Samples(values))
    assert list(arrived.values) == values


KINDS = """
import enum

class Colour(enum.Enum):
    RED = "red"
class Level(enum.IntEnum):
    HIGH = 3
class Mark(enum.Flag):
    A = 1
    B = 2
class Metres(float):
    def __repr__(self): return f"{float(self)} m"
class Names(list): pass
class Plain:
    pass

def shout(data): return f"{data!r}!"
"""


async def test_some_types_may_not_require_any_encoders_or_decoders(
    connect: Connect, configure: Configure
) -> None:
    """Enum instances are converted to their values when sending; the class itself is the decoder."""
    names = ", ".join(
        f'["{name}", "None", "None"]' for name in ("Colour", "Level", "Mark", "Metres", "Names")
    )
    configure(f'[adapters]\n"kinds" = [{names}]', kinds=KINDS)
    kinds = module("kinds")
    values = [
        kinds.Colour.RED,
        kinds.Level.HIGH,
        kinds.Mark.A | kinds.Mark.B,
        kinds.Metres(2),
        kinds.Names("ab"),
    ]
    async with connect() as worker:
        (arrived,), _ = await worker.echo(values)
    assert arrived == values
    assert list(map(type, arrived)) == list(map(type, values))


async def test_none_as_encoder_sends_the_value(connect: Connect, configure: Configure) -> None:
    """The decoder gets the enum's value, or the value of the builtin base."""
    names = ", ".join(f'["{name}", "None", "shout"]' for name in ("Colour", "Level", "Metres", "Names"))
    configure(f'[adapters]\n"kinds" = [{names}]', kinds=KINDS)
    kinds = module("kinds")
    workerlib.export(kinds.shout, name="heard")
    async with connect() as worker:
        heard, _ = await worker.echo(kinds.Colour.RED, kinds.Level.HIGH, kinds.Metres(2), kinds.Names("ab"))
    assert heard == ("'red'!", "3!", "2.0!", "['a', 'b']!")


async def test_none_as_encoder_of_anything_else_is_as_if_there_were_no_adapter(
    connect: Connect, configure: Configure
) -> None:
    """An object with nothing that could be its value is sent, or refused, as without an adapter."""
    configure('[adapters]\n"kinds" = ["Plain", "None", "shout"]', kinds=KINDS)
    async with connect() as worker:
        with pytest.raises(workerlib.UnsendableError, match=r"args\[0\]: kinds.Plain cannot be sent"):
            await worker.echo(module("kinds").Plain())


@pytest.mark.parametrize("names", ['["Colour"]', '["Colour", "None"]', '[["Colour"]]', '["Colour", "", ""]'])
async def test_names_may_be_left_out(connect: Connect, configure: Configure, names: str) -> None:
    """A descriptor of one name, ["Transpose"], is one with "None" twice."""
    configure(f'[adapters]\n"kinds" = {names}', kinds=KINDS)
    colour = module("kinds").Colour.RED
    async with connect() as worker:
        assert await worker.echo(colour) == ((colour,), {})


async def test_a_decoder_with_a_second_parameter_gets_the_full_class_name(
    connect: Connect, configure: Configure
) -> None:
    """An adapter for a superclass can make an instance of the subclass by this name."""
    source = FAMILY.replace("def superclassDecoder(data)", "def superclassDecoder(data, name)")
    source = source.replace("return Superclass(data)", "return (data, name)")
    configure(f'[adapters]\n"family" = {OF_SUPERCLASS}', family=source)
    workerlib.export(lambda decoded: decoded[1], name="name_of")
    async with connect() as worker:
        assert await worker.name_of(module("family").Subclass(1)) == "family.Subclass"


async def test_pickle_as_encoder_and_decoder(connect: Connect, configure: Configure) -> None:
    """The whole object travels, with buffers beside the pickle."""
    source = """
import pickle

class Thing:
    def __init__(self, **content): self.__dict__.update(content)

class Large:
    def __init__(self, content): self.content = content
    def __reduce_ex__(self, protocol): return (Large, (pickle.PickleBuffer(self.content),))
"""
    configure(
        '[adapters]\n"things" = [["Thing", "pickle", "pickle"], ["Large", "pickle", "pickle"]]', things=source
    )
    things = module("things")
    async with connect() as worker:
        (thing, large), _ = await worker.echo(things.Thing(a=1, b=[{2}]), things.Large(bytearray(100_000)))
    assert type(thing) is things.Thing
    assert vars(thing) == {"a": 1, "b": [{2}]}
    assert bytes(large.content) == bytes(100_000)


async def test_any_is_the_last_resort(connect: Connect, configure: Configure) -> None:
    """`"None" = ["Any", "pickle", "pickle"]` is for what could not be sent as itself, before conversions."""
    configure('[adapters]\n"None" = ["Any", "pickle", "pickle"]', kinds=KINDS)
    import datetime

    import kinds  # type: ignore[import-not-found]

    values = [
        kinds.Plain(),
        kinds.Metres(2),
        kinds.Names("ab"),
        kinds.Colour.RED,
        datetime.date(2026, 1, 2),
        len,
    ]
    async with connect() as worker:
        (arrived,), _ = await worker.echo(values)
    assert list(map(type, arrived)) == list(map(type, values))
    assert arrived[1:] == values[1:]


async def test_any_stands_behind_the_others_wherever_it_is_listed(
    connect: Connect, configure: Configure
) -> None:
    """An adapter for everything does not take what another one is for."""
    configure(
        '[adapters]\n"None" = ["object", "pickle", "pickle"]\n' + CONFIG.partition("[adapters]")[2],
        moduleName=MODULE,
    )
    async with connect() as worker:
        await worker.echo(module().TypeName(1))
    assert module().seen == [("made of", 1)] * 2


async def test_all_is_for_everything(connect: Connect, configure: Configure) -> None:
    """The total adapter gets each argument and each result as a whole."""
    source = """
import pickle
seen = []
def encode(value):
    seen.append(value)
    return pickle.dumps(value)
def decode(data): return pickle.loads(data)
"""
    configure('[adapters]\n"total" = ["All", "encode", "decode"]', total=source)
    values: list[Any] = [1, [2, (3,)], None]
    async with connect() as worker:
        assert await worker.echo(*values, a=values, b=values) == (tuple(values), {"a": values, "b": values})
        _, named = await worker.echo(a=values, b=values)
    assert named["a"] is named["b"]
    assert module("total").seen[:4] == [*values, values]


async def test_all_by_pickle(connect: Connect, configure: Configure) -> None:
    """The entry that the reference library recommends: `"workerlib" = ["All", "pickle", "pickle"]`."""
    configure('[adapters]\n"workerlib" = ["All", "pickle", "pickle"]')
    async with connect() as worker:
        assert await worker.echo(1, [range], x={2}) == ((1, [range]), {"x": {2}})


async def test_the_script_itself_and_dotted_names(
    connect: Connect, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Module "." is the script; names may have dots."""
    main = sys.modules["__main__"]

    class Outer:
        class Inner:
            @staticmethod
            def encode(inner: Any) -> int:
                return 7

            @classmethod
            def decode(cls, data: int) -> Any:
                assert data == 7
                return cls()

    monkeypatch.setattr(main, "Outer", Outer, raising=False)
    configure('[adapters]\n"." = ["Outer.Inner", "Outer.Inner.encode", "Outer.Inner.decode"]')
    async with connect() as worker:
        (arrived,), _ = await worker.echo(Outer.Inner())
    assert type(arrived) is Outer.Inner


async def test_an_adapter_goes_before_what_needs_none(connect: Connect, configure: Configure) -> None:
    """The user's adapters are asked before the built-in types, subclasses of builtins, dataclasses and enums."""
    source = """
import dataclasses, datetime
from datetime import date
seen = []
@dataclasses.dataclass
class Point:
    x: int

def encode(value):
    seen.append(type(value).__name__)
    return {"date": lambda: value.isoformat(), "Point": lambda: value.x}[type(value).__name__]()
def decode_date(data): return datetime.date.fromisoformat(data)
"""
    configure(
        '[adapters]\n"before" = [["date", "encode", "decode_date"], ["Point", "encode", "None"]]',
        before=source,
    )
    before = module("before")
    values = before.date(2026, 1, 2), before.Point(3)
    async with connect() as worker:
        assert await worker.echo(*values) == (values, {})
    assert before.seen == ["date", "Point"] * 2


async def test_the_same_object_twice_arrives_as_one(connect: Connect, configure: Configure) -> None:
    """It is encoded once in a call, whether its adapter is async or not."""
    for keyword in ("", "async "):
        sys.modules.pop("moduleName", None)
        counting = MODULE.replace("return (", "made.append(obj)\n    return (") + "made = []\n"
        configure(CONFIG + f"# {keyword}", moduleName=counting.replace("def typeE", f"{keyword}def typeE"))
        from workerlib._config import adapters

        adapters._loaded = None
        configure(CONFIG)
        one = module().TypeName([1])
        async with connect() as worker:
            (first, second), named = await worker.echo(one, [one, {"k": one}], z=one)
        assert first is second[0] is second[1]["k"] is named["z"]
        assert len(module().made) == 2


async def test_encoders_and_decoders_run_concurrently(connect: Connect, configure: Configure) -> None:
    """Each of several async encoders, and decoders, waits for all of them to have begun."""
    source = """
import asyncio
from pace import PACE
class Both:
    pass
def gate():
    count = 0
    opened = asyncio.Event()
    async def pass_through(data):
        nonlocal count
        count += 1
        if count == 3:
            opened.set()
        await asyncio.wait_for(opened.wait(), 5 * PACE)
        count -= 1
        if count == 0:
            opened.clear()
        return data
    return pass_through
encoding, decoding = gate(), gate()
async def encode(value):
    await encoding(None)
    return "a Both"
async def decode(data):
    assert await decoding(data) == "a Both"
    return Both()
"""
    configure('[adapters]\n"both" = ["Both", "encode", "decode"]', both=source)
    cls = module("both").Both
    async with connect() as worker:
        (arrived,), _ = await worker.echo([cls(), cls(), cls()])
    assert list(map(type, arrived)) == [cls] * 3


async def test_arguments_are_what_they_are_at_the_moment_of_the_call(
    connect: Connect, configure: Configure
) -> None:
    """Values beside an object of an async adapter do not change while its encoder is awaited."""
    source = MODULE.replace("def typeEncoder(obj):", "async def typeEncoder(obj):\n    await gate.wait()")
    configure(CONFIG, moduleName="import asyncio\ngate = asyncio.Event()\n" + source)
    small, large = [1], bytearray(100_000)
    async with connect() as worker:
        call = asyncio.ensure_future(worker.echo(small, large, memoryview(large), module().TypeName(3)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        small.append(2)
        large[0] = 1
        module().gate.set()
        (arrived_small, arrived_large, view, made), _ = await call
    assert arrived_small == [1]
    assert arrived_large == view == bytes(100_000)
    assert made.value == 3
