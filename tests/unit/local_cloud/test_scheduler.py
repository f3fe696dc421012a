import asyncio
from datetime import timedelta

from local_cloud.scheduler import Scheduler, Timer
from tools.event_receiver import event_receiver

SOON = timedelta(milliseconds=5)


async def test_a_timer_posts_again_and_again_also_after_errors() -> None:
    async with event_receiver() as receiver:
        receiver.answers = [500, 404]
        scheduler = Scheduler()
        scheduler.start([Timer(url=f"{receiver.url}/functions/reap", interval=SOON)])
        await receiver.wait_for(4)
        await scheduler.close()
    assert {(post.path, post.headers["x-cloudscheduler"]) for post in receiver.received} == {
        ("/functions/reap", "true")
    }


async def test_a_timer_never_overlaps_itself() -> None:
    async with event_receiver() as receiver:
        receiver.answering.clear()
        scheduler = Scheduler()
        scheduler.start([Timer(url=receiver.url, interval=SOON)])
        await receiver.wait_for(1)
        await asyncio.sleep(0.05)  # ten intervals in which nothing may come
        assert len(receiver.received) == 1
        await scheduler.close()


async def test_a_timer_outlives_a_receiver_that_is_not_there() -> None:
    async with event_receiver() as receiver:
        pass
    scheduler = Scheduler()
    scheduler.start([Timer(url=receiver.url, interval=SOON)])
    await asyncio.sleep(0.03)
    (task,) = scheduler._tasks
    assert not task.done()
    await scheduler.close()
