"""A password is read from a file or the environment: everybody on a computer can read the command lines on it."""

import psutil
import pytest

from common.errors import SettingsError
from common.settings import parse_settings

URL = "rtsp://me:secret@camera.invalid/live"


def test_source_and_board_may_stand_in_files(tmp_path):
    (tmp_path / "camera").write_text(f"  {URL}\n")
    (tmp_path / "board").write_text("postgresql://smiles:secret@db/smiles")
    settings = parse_settings(["--source", f"@{tmp_path / 'camera'}"], {"SMILE_BOARD": f"@{tmp_path / 'board'}"})
    assert settings.source == URL
    assert settings.board == "postgresql://smiles:secret@db/smiles"
    assert parse_settings([], settings.as_environment()) == settings


@pytest.mark.parametrize("content", [None, b"", b"\n", b"one\ntwo\n", b"\xff\xfe", b"x" * 5000])
def test_a_file_that_holds_no_address_is_said_in_one_sentence(tmp_path, content):
    file = tmp_path / "camera"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=rf"^--source @{file}.*one line.*\.$") as refused:
        parse_settings(["--source", f"@{file}"], {})
    assert "two" not in str(refused.value)


def test_what_is_not_a_regular_file_is_not_waited_for(tmp_path):
    with pytest.raises(SettingsError, match="one line"):
        parse_settings(["--source", f"@{tmp_path}"], {})
    with pytest.raises(SettingsError, match="one line"):
        parse_settings(["--source", "@/dev/zero"], {})


def test_a_file_whose_name_begins_so_is_still_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "@film.mp4").touch()
    assert parse_settings(["--source", "./@film.mp4"], {}).source == "./@film.mp4"


def test_the_process_list_shows_no_password(run_app, tmp_path):
    file = tmp_path / "camera"
    file.write_text(URL)
    app = run_app("--source", f"@{file}")
    assert "secret" not in " ".join(psutil.Process(app.process.pid).cmdline())
    assert app.json("/healthz")["status"] == "ok"
    app.stop()
    assert "secret" not in "\n".join(app.lines)


def test_who_gives_a_password_on_the_command_line_is_told(run_app):
    app = run_app("--source", URL)
    app.stop()
    (line,) = [line for line in app.lines if "event=password" in line]
    assert "--source @FILE" in line
    assert "secret" not in line
