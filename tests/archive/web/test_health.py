"""Health: one word, for this machine or for somebody known."""

from pathlib import Path

from doorward.archive.web import door
from web_archives import web_archive


def test_this_machine_may_ask_without_an_identity(tmp_path: Path) -> None:
    with web_archive(tmp_path) as site:
        for path in ("/health/live", "/health/ready"):
            answer = site.get(path, who=None)
            assert (answer.status, answer.body) == (200, b'{"status":"ok"}')
            assert site.get(path, who="ws1").status == 200


def test_another_machine_needs_an_identity(tmp_path: Path) -> None:
    def scope(address: str) -> dict[str, object]:
        return {"path": "/health/live", "client": (address, 1)}

    assert door.Door._is_open(scope("127.0.0.1"))
    assert door.Door._is_open(scope("::1"))
    assert not door.Door._is_open(scope("192.0.2.1"))
    assert not door.Door._is_open(scope("::ffff:192.0.2.1"))
    assert tmp_path


def test_archive_whose_index_is_gone_is_not_ready(tmp_path: Path) -> None:
    with web_archive(tmp_path) as site:
        site.call(site.archive.index.close)
        answer = site.get("/health/ready", who=None)
        assert (answer.status, answer.body) == (503, b'{"status":"not ok"}')
        assert site.get("/health/live", who=None).status == 200
