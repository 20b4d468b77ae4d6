"""An inventory whose cells were chosen by somebody who wants to be run: in a browser, a spreadsheet or a terminal."""

import csv
import json

import pytest

from doorward.cli.main import run

pytestmark = pytest.mark.timeout(60)

CELLS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}{% raw %}",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "@SUM(A1)",
    "\x1b[31mred\x1b]0;title\x07",
    "[bold red]markup[/]",
    "\u202eevil\u2066",
    "a\u0000b",
)


def test_cells_of_an_inventory_stay_text_in_every_report(tmp_path, capsys):
    inventory, ledger = tmp_path / "inventory.csv", tmp_path / "a.ledger"
    with inventory.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["host", "port", "site", "owner", "contact"])
        for number, cell in enumerate(CELLS, start=1):
            rows.writerow([f"127.9.8.{number}", 9, cell, cell, cell])
    page, report, table = tmp_path / "r.html", tmp_path / "r.json", tmp_path / "r.csv"
    order = ["survey", "--import", f"inventory={inventory}", "--ledger", str(ledger), "--rate", "0"]
    run([*order, "--network-rate", "0", "--html", str(page), "--json", str(report)])
    said = "".join(capsys.readouterr())
    run(["ledger", "export", str(ledger), str(table)])
    html, text = page.read_text("utf-8"), report.read_text("utf-8")
    for whole in (said, html, text, table.read_text("utf-8")):
        assert not any(c in whole for c in "\x1b\x07\u202e\u2066\x00")
    assert "internal error" not in said
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "Content-Security-Policy" in html
    assert len(json.loads(text)["systems"]) == len(CELLS)
    with table.open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert any("cmd|" in cell for cell in cells), "the cells are there, as text"
    assert not any(cell.startswith(("=", "+", "@")) for cell in cells)
