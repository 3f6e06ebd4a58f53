"""Native sessions by themselves, without a connection around them."""

from __future__ import annotations

from workerlib._native import Session


def connected(page: Session, worker: Session) -> tuple[Session, Session]:
    """Does the handshake between two new sessions, and takes its events out of them."""
    for sender, receiver in ((page, worker), (worker, page)):
        while frame := sender.poll_transmit():
            receiver.handle(*frame)
    while page.poll(False) or worker.poll(False):
        pass
    return page, worker
