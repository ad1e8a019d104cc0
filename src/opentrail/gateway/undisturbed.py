"""What was begun at an upstream is brought to its end, whoever stops waiting for it.

A client that goes away, or a server that stops, cancels the task that answers; work that has been sent on must still
get its outcome recorded.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from opentrail.gateway.exchange import Outgoing


class Undisturbed:
    """Runs calls as tasks of their own, which cancelling the caller does not cancel."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Outgoing]] = set()

    async def run(self, work: Coroutine[Any, Any, Outgoing]) -> Outgoing:
        """The answer of some work; the work goes on when the caller is cancelled, and its answer is then dropped."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                drop = asyncio.ensure_future(_drop(task))
                self._tasks.add(drop)
                drop.add_done_callback(self._tasks.discard)
            raise

    async def settle(self, limit_s: float) -> bool:
        """Wait for all work to end, at most so long; whether it did."""
        if not self._tasks:
            return True
        _, pending = await asyncio.wait(set(self._tasks), timeout=limit_s)
        return not pending


async def _drop(task: "asyncio.Task[Outgoing]") -> Outgoing:
    """Wait for an answer that nobody wants any more, and give its connection back."""
    outgoing = await task
    if isinstance(outgoing.body, AsyncIterator) and hasattr(outgoing.body, "aclose"):
        await outgoing.body.aclose()
    return outgoing
