"""Durations are told to whoever put a function there, and to nobody before."""

from archives import instance, opened
from doorward.archive.running.timings import Timings
from loopback import in_loop
from upkept import store


def test_nobody_hears_anything_at_first():
    timings = Timings()
    for told in (timings.ingest, timings.durable, timings.query):
        assert told(1.0) is None


@in_loop
async def test_an_instance_takes_as_long_as_until_it_is_durable_and_longer(tmp_path):
    heard = {"ingest": [], "durable": []}
    async with opened(tmp_path) as archive:
        archive.timings.ingest = heard["ingest"].append
        archive.timings.durable = heard["durable"].append
        assert (await store(archive, instance("1.1"))).status == 0
        assert (await store(archive, instance("1.2", SOPInstanceUID="1.3"))).status != 0
    (whole,), (last_part,) = heard["ingest"], heard["durable"]
    assert whole > last_part > 0
