"""How the web says no."""

import json

from doorward.archive.web.refusals import refusal


def test_refusal_is_json_with_its_reason() -> None:
    answer = refusal(403, "Not permitted for this study")
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(bytes(answer.body)) == {"error": "Not permitted for this study"}
    assert "retry-after" not in answer.headers


def test_refusal_says_when_to_come_back() -> None:
    assert refusal(429, "used up", retry_after_s=90).headers["retry-after"] == "90"
