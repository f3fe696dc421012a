"""Counts: what a class sums up, and that nothing is lost between threads."""

from threading import Thread

from local_cloud.operations import CountedOperation, OperationCounts, PriceClass


def test_a_class_sums_up_its_operations_wherever_they_were_done() -> None:
    counts = OperationCounts()
    counts.count(PriceClass.STORAGE_A, "storage.objects.list", "ingest")
    counts.count(PriceClass.STORAGE_A, "storage.objects.insert", "media", times=3)
    counts.count(PriceClass.FREE, "storage.objects.delete", "media")
    assert counts.total(PriceClass.STORAGE_A) == 4
    assert counts.total(PriceClass.STORAGE_B) == 0


def test_what_was_read_before_does_not_change_afterwards() -> None:
    counts = OperationCounts()
    before = counts.so_far()
    counts.count(PriceClass.FUNCTION_CALL, "call", "publish")
    assert before == {}
    assert counts.so_far() == {CountedOperation(PriceClass.FUNCTION_CALL, "call", "publish"): 1}


def test_threads_count_together() -> None:
    counts = OperationCounts()

    def work() -> None:
        for _ in range(1_000):
            counts.count(PriceClass.STORAGE_B, "GET Object", "media")

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.total(PriceClass.STORAGE_B) == 4_000
