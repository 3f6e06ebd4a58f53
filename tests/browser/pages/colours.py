"""An enum that its adapter reexports, and of which only the decoder is specified."""

from moduleName import Colour, colourDecoder

__all__ = ["Colour", "colourDecoder"]
