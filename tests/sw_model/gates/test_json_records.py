"""JSON as programs and editors write it."""

import json

import pytest

from trajectile.sw_model.gates import json_records
from trajectile.sw_model.gates.json_records import records
from trajectile.sw_model.gates.workloads import TraceError

RECORDS = [{"a": 1}, {"b": [[1, 2], [3, 4]]}]
LINES = [json.dumps(record) for record in RECORDS]


@pytest.mark.parametrize("text", [
    "\n".join(LINES), "\r\n".join(LINES) + "\r\n", "\ufeff" + "\n".join(LINES), "\ufeff" + "\r\n".join(LINES),
    "\n\n" + "\n\n".join(LINES),
    json.dumps(RECORDS), json.dumps(RECORDS, indent=1), "\n" + json.dumps(RECORDS) + "\n",
    "\n".join(json.dumps(record, indent=2) for record in RECORDS), "[" + ",\n".join(LINES) + "]"])
def test_the_same_records(tmp_path, text):
    """Byte order mark, line ends, blank lines; an array, indented, objects in a row."""
    (tmp_path / "t").write_bytes(text.encode())
    assert [record for _, record in records(tmp_path / "t")] == RECORDS


def test_places(tmp_path):
    """A line, or the number of an object in a document."""
    (tmp_path / "t").write_text("\n\n" + LINES[0])
    assert [place for place, _ in records(tmp_path / "t")] == ["t:3"]
    (tmp_path / "t").write_text(json.dumps(RECORDS))
    assert [place for place, _ in records(tmp_path / "t")] == ["t: object 1", "t: object 2"]


@pytest.mark.parametrize(("content", "named"), [
    (LINES[0].encode("utf-16"), "t: UTF-16; legal: UTF-8"),
    (b"[1, 2]", "t:1: not a JSON object"),
    (b"[" + LINES[0].encode() + b", 1]", "t:1: not a JSON object"),
    (b"{\n" + LINES[0].encode(), "t:1: not JSON"),
    (b'{"a": 1, "a": 2}', "t:1: not JSON (a key stands twice in an object)"),
    (LINES[0].encode() + b"\n[" + LINES[1].encode() + b"]", "t:2: not a JSON object"),
])
def test_what_is_refused(tmp_path, content, named):
    """File and line."""
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(TraceError, match="legal") as error:
        list(records(tmp_path / "t"))
    assert named in str(error.value)


def test_a_document_without_end(tmp_path, monkeypatch):
    """Only lines may make a file of any size."""
    (tmp_path / "t").write_text(json.dumps(RECORDS, indent=1))
    monkeypatch.setattr(json_records, "MAX_DOCUMENT", 20)
    with pytest.raises(TraceError, match="t: longer than 20 bytes; legal: a JSON object per line"):
        list(records(tmp_path / "t"))
