"""The worker's script: ordinary functions with annotations."""

import datetime
from dataclasses import dataclass
from enum import Enum

from workerlib import export


class Calendar(Enum):
    """How dates are written."""

    GREGORIAN = "gregorian"
    JULIAN = "julian"


@dataclass
class Answer:
    """The summary of a day."""

    weekday: str
    written: str
    days: int


@export
def tell(day: datetime.date, calendar: Calendar) -> Answer:
    """Tells of a day: the page's Date arrives as a date, its text as a member of the enum."""
    days = (datetime.date.today() - day).days
    if days < 0:
        raise ValueError(f"{day} is in the future")
    # From 1900 to 2099 the Julian calendar is 13 days behind.
    shown = day - datetime.timedelta(days=13) if calendar is Calendar.JULIAN else day
    return Answer(f"{day:%A}", f"{shown:%d %B %Y}", days)
