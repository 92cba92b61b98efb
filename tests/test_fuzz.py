"""Some hundreds of unexpected inputs, the same ones every time; `python -m benchmarks.fuzz` sends thousands."""

import io
import json
import math

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from benchmarks.actors import broken_forms
from benchmarks.actors.broken_pictures import declared_png, encoded, interlaced_png, many_scans
from benchmarks.fuzz import LIVE, Source, described_sources, draw, main, picture_sources
from benchmarks.stages.fuzz_findings import Answer, Description, Findings, Sent
from common.settings import Settings
from web.application import close_app, create_app
from web.openapi import describe

pytestmark = pytest.mark.slow

ANALYZE = "/api/v1/analyze"
EACH = 60
# Right requests of every kind, and wrong ones where a body is sent.
DESCRIBED = [
    f"{method.upper()} {path} {mode}"
    for path, methods in describe()["paths"].items()
    if path not in LIVE
    for method in methods
    for mode in ("positive", "negative")[: 2 if method == "post" else 1]
]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    board = tmp_path_factory.mktemp("board") / "board.sqlite3"
    app = create_app(Settings(source="none", joke_url="", board=str(board), visitor_rate=0))
    yield app.test_client()  # not `testing`: what a visitor would get as 500 is to be one here too
    close_app(app)


@pytest.fixture(scope="module")
def send(client):
    def send(sent: Sent) -> Answer:
        response = client.open(sent.path, method=sent.method, data=sent.body, headers=list(sent.headers.items()))
        return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, response.data)

    return send


@pytest.fixture
def findings(send) -> Findings:
    return Findings(Description(describe()), send)


@pytest.mark.parametrize("source", picture_sources(), ids=lambda source: source.name)
def test_broken_pictures_forms_and_reactions_get_a_described_answer(findings, source):
    assert draw(source, EACH, 1, findings.look) == EACH
    assert [complaint for complaint, _, _ in findings.complaints] == []
    statuses = {int(name.rpartition(" ")[2]) for name in findings.statuses}
    assert statuses <= {200, 204, 400, 403, 409, 413}
    assert 400 in statuses


@pytest.fixture(scope="module")
def described() -> dict[str, Source]:
    """Schemathesis takes seconds to load: not while tests are gathered, which every process does."""
    return {source.name: source for source in described_sources(describe(), "http://localhost")}


def test_every_kind_of_request_that_the_description_describes_is_sent(described):
    assert sorted(described) == sorted(DESCRIBED)


@pytest.mark.parametrize("name", DESCRIBED)
def test_what_the_description_describes_gets_a_described_answer(findings, described, name):
    assert 1 <= draw(described[name], EACH, 1, findings.look) <= EACH
    assert [complaint for complaint, _, _ in findings.complaints] == []


def test_the_fuzzers_pictures_hold_what_they_are_meant_to(client):
    """Or thousands of inputs would all be turned away at the door."""
    data = {"image": (io.BytesIO(encoded("JPEG", "RGB", 96, 96, None, "plain")), "me.jpg"), "previous": "{}"}
    answer = client.post(ANALYZE, data=data).json
    assert [face["label"] for face in answer["faces"]] == ["smile"]
    for kind, modes in (
        ("JPEG", ("L", "RGB", "CMYK")),
        ("PNG", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        ("WEBP", ("RGBA",)),
    ):
        for mode in modes:
            for how in ("plain", "progressive", "animated"):
                response = client.post(ANALYZE, data=encoded(kind, mode, 64, 33, None, how))
                assert (response.status_code, response.json.get("width")) == (200, 64), (kind, mode, how)
    assert client.post(ANALYZE, data=interlaced_png(64, 33, 16)).json["height"] == 33
    assert client.post(ANALYZE, data=many_scans(64, 3)).status_code == 200


@pytest.mark.parametrize(
    ("data", "status", "sentence"),
    [
        (many_scans(64, 500), 400, "too many scans"),
        (declared_png(2**31 - 1, 2**31 - 1), 413, "25 megapixels"),
        (declared_png(2**32 - 1, 1), 413, "25 megapixels"),
        (declared_png(0, 5), 400, "picture"),
        (declared_png(5000, 5001), 413, "25 megapixels"),
        (declared_png(40, 40), 400, "damaged"),
        (encoded("GIF", "P", 33, 33, None, "animated"), 400, "JPEG, PNG or WebP"),
        (encoded("TIFF", "RGB", 33, 33, None, "plain"), 400, "JPEG, PNG or WebP"),
    ],
)
def test_pictures_that_would_cost_too_much_are_refused_by_their_first_bytes(client, data, status, sentence):
    response = client.post(ANALYZE, data=data)
    assert response.status_code == status
    assert sentence in response.json["error"]


def answered(status: int = 200, body: bytes = b'{"id": "a", "source": "house", "text": "x"}', **headers: str) -> Answer:
    return Answer(status, {"content-type": "application/json", **headers}, body)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (answered(), ""),
        (Answer(0, {}, b""), "no answer"),
        (answered(500), "status 500"),
        (answered(404), "not described"),
        (answered(200, b'{"id": "a", "source": "house", "text": ""}'), "text"),
        (answered(200, b'{"id": "a", "source": "house", "text": "x", "more": 1}'), "more"),
        (answered(200, b'{"id": NaN}'), "not JSON"),
        (Answer(200, {"content-type": "text/html"}, b"{}"), "Content-Type"),
        (answered(429, b'{"error": "Too many."}'), "Retry-After"),
        (answered(429, b'{"error": "Too many."}', **{"retry-after": "soon"}), "Retry-After"),
        (answered(429, b'{"error": "Too many."}', **{"retry-after": "3"}), ""),
        (answered(429, b'{"problem": "Too many."}', **{"retry-after": "3"}), "error"),
    ],
)
def test_a_wrong_answer_would_be_noticed(answer, complaint):
    sent = Sent("GET", "/api/v1/jokes/random", {}, b"")
    found = Description(describe()).complaint(sent, answer)
    assert complaint in found
    assert bool(found) == bool(complaint)


def test_the_same_seed_makes_the_same_inputs():
    source = picture_sources()[1]
    made: list[list[Sent]] = [[], []]
    for inputs in made:
        draw(source, 20, 3, inputs.append)
    assert made[0] == made[1]
    other: list[Sent] = []
    draw(source, 20, 4, other.append)
    assert other != made[0]


def test_answers_before_in_all_wrong_forms_are_read_or_refused(client):
    """The field alone, since it costs nothing: with a picture that has no face it is read and then found gone."""
    picture = encoded("PNG", "L", 8, 8, None, "plain")
    texts: list[str] = []

    @settings(
        max_examples=200,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(broken_forms.previous_fields())
    def each(text: str) -> None:
        head = b'--part\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + picture
        field = b'\r\n--part\r\nContent-Disposition: form-data; name="previous"\r\n\r\n'
        body = head + field + text.encode("utf-8", "surrogatepass") + b"\r\n--part--\r\n"
        response = client.post(ANALYZE, data=body, content_type="multipart/form-data; boundary=part")
        too_long = len(field) + len(text) > 500_000  # more than a form's field may take of the memory
        assert response.status_code in (200, 400, *([413] if too_long else [])), response.text
        if response.status_code == 200:
            answer = response.json
            assert "state" in answer, text.encode("unicode-escape")
            assert math.isfinite(answer["elapsed_ms"])
            json.dumps(answer, allow_nan=False)
            texts.append(text)

    each()
    assert len(texts) > 20, "some are read"


def test_the_command_says_what_came_of_it(capsys, tmp_path):
    assert main(["--inputs", "12", "--seed", "2", "--keep", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "12 inputs in" in printed
    assert "No answer was wrong." in printed
    assert main(["--inputs", "0"]) == 2
