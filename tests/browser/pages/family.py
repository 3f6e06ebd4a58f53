"""A superclass and a subclass with an adapter each: the second module of the adapters' configurations."""


class Superclass:
    def __init__(self, value):
        self.value = value


class Subclass(Superclass):
    pass


class Other(Superclass):
    pass


def superclassEncoder(obj):
    return ["super", obj.value]


def superclassDecoder(data, name):
    made = Superclass(data[1])
    made.sent_as = name
    return made


def superclassAndTypeEncoder(obj):
    return [type(obj).__name__, obj.value]


def superclassAndTypeDecoder(data):
    return globals()[data[0]](data[1])


def subclassEncoder(obj):
    if obj.value == "refuse":
        raise FloatingPointError("out of paint")
    return ["sub", obj.value]


def subclassDecoder(data):
    return Subclass(data[1])
