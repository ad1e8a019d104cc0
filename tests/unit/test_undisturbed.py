"""What was begun is brought to its end."""

import asyncio

import pytest

from opentrail.gateway.exchange import Outgoing
from opentrail.gateway.undisturbed import Undisturbed


def test_cancelling_who_waits_does_not_cancel_the_work() -> None:
    """The work goes on, and a stop can wait for it."""
    done: list[str] = []

    async def work(go: asyncio.Event) -> Outgoing:
        await go.wait()
        done.append("done")
        return Outgoing(200)

    async def main() -> None:
        undisturbed, go = Undisturbed(), asyncio.Event()
        waiting = asyncio.ensure_future(undisturbed.run(work(go)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not await undisturbed.settle(0.01)
        go.set()
        assert await undisturbed.settle(5)

    asyncio.run(main())
    assert done == ["done"]


def test_an_answer_that_nobody_wants_is_closed() -> None:
    """Its connection goes back."""
    closed: list[bool] = []

    class Body:
        def __aiter__(self) -> "Body":
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            closed.append(True)

    async def work(go: asyncio.Event) -> Outgoing:
        await go.wait()
        return Outgoing(200, {}, Body())

    async def main() -> None:
        undisturbed, go = Undisturbed(), asyncio.Event()
        waiting = asyncio.ensure_future(undisturbed.run(work(go)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        go.set()
        assert await undisturbed.settle(5)

    asyncio.run(main())
    assert closed == [True]


def test_errors_of_the_work_reach_who_waits() -> None:
    """Nothing is swallowed."""

    async def work() -> Outgoing:
        raise ValueError("no")

    async def main() -> None:
        with pytest.raises(ValueError, match="no"):
            await Undisturbed().run(work())

    asyncio.run(main())
