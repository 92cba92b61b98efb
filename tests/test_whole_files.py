import os

import pytest

from common.whole_files import replacing, write_whole


def test_a_file_is_replaced_in_one_step_and_put_onto_the_disk_before(tmp_path, monkeypatch):
    path = tmp_path / "new" / "table.csv"
    write_whole(path, b"old")
    steps = []
    for name in ("fsync", "replace"):
        does = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, does=does: (steps.append(name), does(*given))[1])
    with replacing(path) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert part.suffix == path.suffix  # what writes it may go by that
    assert path.read_bytes() == b"new"
    assert steps[:2] == ["fsync", "replace"]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_after_an_error_the_older_file_stays_and_nothing_else(tmp_path, error):
    path = tmp_path / "table.csv"
    write_whole(path, b"old")

    def stop_half_way() -> None:
        with replacing(path) as part:
            part.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        stop_half_way()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_copy_that_nobody_may_change_gets_its_name_too(tmp_path, monkeypatch):
    def refused(*given: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refused)  # as a system does that lets only what may be changed be put onto the disk
    write_whole(tmp_path / "copy.jpg", b"copy")
    assert (tmp_path / "copy.jpg").read_bytes() == b"copy"
