"""Shapes, of which one subclass has an adapter of its own and the other has none: a module of both sides."""


class Shape:
    def __init__(self, kind: str, size: float) -> None:
        self.kind = kind
        self.size = size


class Circle(Shape):
    def __init__(self, size: float) -> None:
        super().__init__("circle", size)


class Square(Shape):
    def __init__(self, size: float) -> None:
        super().__init__("square", size)


async def circleEncoder(circle: Circle) -> float:
    return circle.size


def circleDecoder(size: float) -> Circle:
    return Circle(size)


def shapeEncoder(shape: Shape) -> dict[str, object]:
    return {"kind": shape.kind, "size": shape.size}


async def shapeDecoder(data: dict) -> Shape:
    return Shape(data["kind"], data["size"])
