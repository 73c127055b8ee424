"""How the lab's tests and the bench read from a registry's log which host pulled when."""

from __future__ import annotations

import pytest

from tests.lab.registry_log import blob_spans, most_at_once

LINE = (
    'time="2026-11-26T05:00:{end}Z" level=info msg="response completed" http.request.method={method} '
    'http.request.remoteaddr="{address}:40000" http.request.uri="/v2/{name}/blobs/sha256:aa" '
    "http.response.duration={took} http.response.status=200"
)


def line(end: str, took: str, address: str = "192.0.2.1", name: str = "large", method: str = "GET") -> str:
    return LINE.format(end=end, took=took, address=address, name=name, method=method)


def test_a_span_lasts_from_the_first_blob_to_the_last() -> None:
    log = "\n".join(
        [
            line("05.000000000", "2s"),
            line("07.500000000", "500ms"),
            line("09.000000000", "1s", name="other"),
            line("09.000000000", "1s", method="HEAD"),
            line("30.000000000", "1m0.5s", address="192.0.2.2"),
        ]
    )
    spans = blob_spans(log, "large")
    assert {address: end - begin for address, (begin, end) in spans.items()} == pytest.approx(
        {"192.0.2.1": 4.5, "192.0.2.2": 60.5}
    )
    begin = spans["192.0.2.1"][0]
    assert blob_spans(log, "large", begin).keys() == {"192.0.2.1"}, "earlier pulls belong to an earlier round"


@pytest.mark.parametrize(
    ("spans", "most"),
    [
        ([], 0),
        ([(1, 2), (2, 3)], 1),
        ([(1, 3), (2, 4), (3, 5)], 2),
        ([(1, 9), (2, 8), (3, 4), (5, 6)], 3),
    ],
)
def test_the_largest_number_of_pulls_at_the_same_moment(spans: list[tuple[float, float]], most: int) -> None:
    assert most_at_once({str(number): span for number, span in enumerate(spans)}) == most
