"""The module that the configurations of adapters.html and one_adapter.html name: the same on both sides."""

import array
import asyncio
import enum
from fractions import Fraction

seen = []


class TypeName:
    def __init__(self, value):
        self.value = value


class Type1Name:
    def __init__(self, value):
        self.value = value


class Type2Name:
    def __init__(self, value):
        self.value = value


class Transpose(enum.IntEnum):
    FLIP_LEFT_RIGHT = 0
    ROTATE_90 = 2


class Colour(enum.Enum):
    RED = "red"


class Scale(float):
    pass


class Samples:
    def __init__(self, values):
        self.values = array.array("d", values)


def typeEncoder(obj):
    return ("made of", obj.value)


def typeDecoder(data):
    seen.append(data)
    return TypeName(data[1])


def colourDecoder(data):
    seen.append(data)
    return Colour(data)


async def type2Encoder(obj):
    await asyncio.sleep(0.01)
    return [obj.value]


async def type2Decoder(data):
    await asyncio.sleep(0.01)
    return Type2Name(*data)


def type1Encoder(obj):
    return ("made of", obj.value)


def type1Decoder(data):
    seen.append(data)
    return Type1Name(data[1])


def fractionEncoder(obj):
    return (obj.numerator * 10, obj.denominator * 10)


def fractionDecoder(data):
    return Fraction(*data)


def samplesEncoder(obj):
    return memoryview(obj.values)


def samplesDecoder(data):
    seen.append(data)
    made = Samples([])
    made.values.frombytes(data.cast("B"))
    return made
