"""An event loop whose time jumps to whatever comes next: minutes of waiting pass at once, always alike."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

Parameters = ParamSpec("Parameters")

# More than any test waits for: a test that goes on for longer is stuck.
MAX_SECONDS = 7200.0


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: time goes on by as much as it was asked to wait."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if ready := super().select(0):
            return ready
        if timeout is None or self.now > MAX_SECONDS:
            raise AssertionError(f"nothing comes any more at {self.now:.3f} s")
        self.now += max(timeout, 0)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that begins at 0 s; nothing in it may wait for a thread or a process."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def virtual_time(
    test: Callable[Parameters, Coroutine[Any, Any, None]],
) -> Callable[Parameters, None]:
    """Run the coroutine function *test* in virtual time; fails if it leaves a task behind."""

    @wraps(test)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        async def main() -> None:
            await test(*args, **kwargs)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"left behind: {left}"

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(main())

    return run
