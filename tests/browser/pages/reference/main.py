"""The page's script, in the names and habits of the pure-Python library."""

from asyncio import gather
from time import time

from pictures import Picture, Transpose
from pyscript import document
from shapes import Circle, Shape, Square
from workerlib import Worker, connectToWorker, diagnostics, elapsedTime, typechecked


@typechecked
def show(elementId: str, *values: object) -> None:
    document.getElementById(elementId).textContent = " ".join(map(str, values))


for line in diagnostics:
    print(line)

startTime = time()
gallery: Worker = await connectToWorker("Gallery")
painter: Worker = await connectToWorker("Painter")

# Option #1: modules that know nothing of workers.
picture = Picture("L", (3, 2), bytes([1, 2, 3, 4, 5, 6]))
turned = await gallery.turn(picture, Transpose.FLIP_LEFT_RIGHT)
show("turned", type(turned).__name__, turned.mode, turned.size, bytes(turned.pixels).hex())

film = await gallery.film([picture, turned], title="Film", frames={"first": picture, "last": turned})
(title, pictures, frames) = film["title"], film["pictures"], film["frames"]
show("film", title, [type(p).__name__ for p in pictures], bytes(frames["last"].pixels).hex())

back = await gallery.inverse(Transpose.ROTATE_90)
show("back", type(back).__name__, back.name)

# Option #2: a module of its own that exports functions.
shapes = (Circle(1), Square(2), Shape("triangle", 3))
show("names", await painter.names(*shapes, separator=", "))
enlarged = await gather(*(painter.enlarge(shape, factor=2) for shape in shapes))
show("enlarged", ", ".join(f"{type(e).__name__} {e.kind} {e.size}" for e in enlarged))
show("areas", await painter.area(shapes[0]), await painter.area(shapes[1]))

try:
    await gallery.turn(picture, "sideways")
except Exception as ex:  # noqa: BLE001 - as pages for that library did: they could not know which it would be
    show("refused", ex)

print("The page is ready", elapsedTime(startTime))
