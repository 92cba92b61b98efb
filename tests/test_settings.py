import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import SettingsError
from common.settings import Settings, parse_settings
from common.urls import without_password
from pictures.sources import check_source
from tests.project import ROOT, clean_environment


def test_defaults_listen_on_this_computer_only():
    settings = parse_settings([], {})
    assert (settings.host, settings.port, settings.source) == ("127.0.0.1", 5000, "auto")


def test_environment_sets_options_and_the_command_line_wins():
    environment = {"SMILE_PORT": "8080", "SMILE_SOURCE": "none", "SMILE_LOOP": "no", "SMILE_DETECTOR_MODEL": "x.onnx"}
    settings = parse_settings(["--source", "0"], environment)
    assert (settings.port, settings.source, settings.loop) == (8080, "0", False)
    assert settings.detector_model == Path("x.onnx")


@pytest.mark.parametrize(
    ("variable", "value"), [("SMILE_PORT", "many"), ("SMILE_PORT", "²"), ("SMILE_PORT", "70000"), ("SMILE_LOOP", "perhaps")]
)
def test_a_useless_environment_variable_is_named(variable, value):
    with pytest.raises(SettingsError, match=r"port|LOOP|PORT"):
        parse_settings([], {variable: value})


def test_an_empty_joke_url_in_the_environment_means_no_request():
    assert parse_settings([], {"SMILE_JOKE_URL": ""}).joke_url == ""


def test_landmarks_are_drawn_only_when_asked_for():
    assert parse_settings([], {}).landmarks is False
    assert parse_settings(["--landmarks"], {}).landmarks is True
    assert parse_settings([], {"SMILE_LANDMARKS": "yes"}).landmarks is True
    assert parse_settings(["--no-landmarks"], {"SMILE_LANDMARKS": "yes"}).landmarks is False
    with pytest.raises(SettingsError, match="SMILE_LANDMARKS"):
        parse_settings([], {"SMILE_LANDMARKS": "blue"})


def test_settings_reject_values_out_of_range():
    for wrong in ({"port": -1}, {"viewer_limit": 0}, {"max_width": 1}, {"jpeg_quality": 101}, {"source": ""}):
        with pytest.raises(SettingsError):
            Settings(**wrong)


@pytest.mark.parametrize("source", ["missing.mp4", "ftp://host/x", "rtsp://", "x" * 300, "rtsp://a:p[ss@host/x", str(ROOT)])
def test_a_source_that_can_never_work_is_refused(source):
    with pytest.raises(SettingsError):
        check_source(source)


@pytest.mark.parametrize("source", ["auto", "none", "0", "rtsp://me:secret@host/live", __file__])
def test_a_source_that_may_work_is_accepted(source):
    check_source(source)


def test_a_shown_address_holds_no_password():
    assert without_password("rtsp://me:secret@host:554/live?key=1") == "rtsp://host:554"
    assert without_password("rtsp://10.0.0.7/user=admin&password=secret&channel=1") == "rtsp://10.0.0.7"
    for secret in ("pa/ss", "p#ss", "p[ss", "p@ss"):
        assert without_password(f"rtsp://admin:{secret}@host/live") == "rtsp://host"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--sauce", "0"], "unrecognized arguments: --sauce"),
        (["--port", "many"], "invalid int value: 'many'"),
        (["--port", "70000"], "--port must be a number from 1 to 65535"),
        (["--source", "missing.mp4"], "There is no file missing.mp4"),
        (["--detector", "crystal-ball"], "choose one of: finder, face_recognition, haar, yunet"),
        (["--host", "203.0.113.7"], "This computer has no address 203.0.113.7"),
    ],
)
def test_bad_options_get_one_sentence_and_code_2(options, sentence):
    done = subprocess.run(
        [sys.executable, "app.py", *options], cwd=ROOT, capture_output=True, text=True, timeout=120, env=clean_environment()
    )
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
