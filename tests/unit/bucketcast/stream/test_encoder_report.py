from bucketcast.records import decode_record, encode_record
from bucketcast.stream.encoder_report import ADVICE, EncoderReport, InputFault


def test_every_fault_comes_with_advice() -> None:
    assert set(ADVICE) == set(InputFault)
    assert all(advice.endswith(".") for advice in ADVICE.values())


def test_a_report_is_read_as_it_was_written() -> None:
    report = EncoderReport(faults=(InputFault.NO_AUDIO, InputFault.TIMESTAMP_JUMP), speed=1.25, segments_lost=1)
    assert decode_record(EncoderReport, encode_record(report)) == report
