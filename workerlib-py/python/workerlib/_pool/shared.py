"""`workerlib.shared`: values that the page gives to all workers of a pool by `pool.share()`."""

from __future__ import annotations

from typing import Any


class Shared:
    """The values that the page has shared; each is an attribute.

    A worker reads them. It gets all values of one `pool.share()` at once, between two steps of its
    functions, and never an older state after a newer one.
    """

    def __init__(self) -> None:
        """Starts without values."""
        self._set(0, {})

    def _set(self, version: int, values: dict[str, Any]) -> None:
        vars(self)["_version"] = version
        vars(self)["_values"] = values

    def replace(self, version: int, values: dict[str, Any]) -> None:
        """Takes the values that the page has sent, unless newer ones are there.

        Args:
            version: The number of the page's `share()`.
            values: All values by name.
        """
        if version > vars(self)["_version"]:
            self._set(version, values)

    def __getattr__(self, name: str) -> Any:
        try:
            return vars(self)["_values"][name]
        except KeyError:
            known = ", ".join(vars(self)["_values"]) or "nothing"
            raise AttributeError(
                f"the page has not shared {name!r}; it has shared {known}: it does by pool.share({name}=…)",
                name=name,
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"the page shares {name!r} by pool.share({name}=…); a worker only reads it", name=name
        )

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *vars(self)["_values"]})

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in vars(self)["_values"].items())
        return f"<workerlib.shared {values}>" if values else "<workerlib.shared, nothing yet>"


shared = Shared()
"""The shared values of this worker."""
