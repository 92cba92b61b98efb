import cv2
import numpy as np
import pytest

from common.settings import Settings
from serving.server import warm_up
from visitors import analysis
from visitors.analysis import VisitorAnalysis
from web.application import close_app, create_app

pytestmark = pytest.mark.slow

PICTURE = cv2.imencode(".png", np.full((240, 320, 3), 90, np.uint8))[1].tobytes()


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """What was loaded, one after the other."""
    loaded: list[str] = []
    for name in ("create_detector", "SmileRecognizer"):
        original = getattr(analysis, name)

        def load(*values, original=original, name=name, **options):
            loaded.append(name)
            return original(*values, **options)

        monkeypatch.setattr(analysis, name, load)
    return loaded


def test_after_warming_up_no_visitor_waits_for_network_and_detector(made):
    visitors = VisitorAnalysis(Settings(), places=2)
    assert made == []
    visitors.warm_up()
    assert sorted(made) == ["SmileRecognizer"] * 2 + ["create_detector"] * 2, "every place is ready"
    made.clear()
    with visitors._desk(PICTURE, still=False), visitors._desk(PICTURE, still=False):
        pass
    assert visitors.analyze(PICTURE)["faces"] == []
    assert made == []


@pytest.mark.parametrize(("source", "visitors"), [("none", True), ("auto", False), ("0", False)])
def test_what_is_sure_to_be_needed_is_loaded_at_the_start(source, visitors, made):
    app = create_app(Settings(source=source, joke_url="", board="none"))
    try:
        warm_up(app, Settings(source=source))
        assert bool(made) == visitors
        assert (app.extensions["smile_watch"]._tracker is None) == visitors
        assert app.extensions["smile_watch"].health()["status"] == "ok"
    finally:
        close_app(app)


def test_what_is_wrong_with_the_network_is_said_without_a_visitor(tmp_path):
    settings = Settings(source="none", joke_url="", board="none", model=tmp_path / "missing.tflite")
    app = create_app(settings)
    try:
        warm_up(app, settings)
        health = app.test_client().get("/healthz").json
        assert health["status"] == "degraded"
        assert "missing.tflite" in health["message"]
        assert app.test_client().post("/api/v1/analyze", data=PICTURE).status_code == 500, "and tried again"
    finally:
        close_app(app)
