"""Pages elsewhere can't show this camera's picture, nor switch the camera on, whatever their browser says of them."""

WATCHING = ("/video_feed", "/events", "/snapshot.jpg")
ELSEWHERE = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Referer": "http://evil.example/page"},  # no browser says Sec-Fetch-Site over http to an address in a LAN
    {"Referer": "http://localhost:3000/"},
    {"Referer": "http://[broken"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
)
OURS = (
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},  # typed into the address bar
    {"Referer": "http://localhost/"},
    {"Referer": "https://smile.example/"},
    {"Origin": "http://localhost", "Referer": "http://localhost/"},
)


def test_another_site_gets_no_picture_and_switches_no_camera_on(make_client):
    client = make_client(source="0")
    for path in WATCHING:
        for headers in ELSEWHERE:
            response = client.get(path, headers=headers)
            assert (response.status_code, headers) == (403, headers)
            assert response.json == {"error": "Other sites may not show this camera."}
    assert client.application.extensions["smile_watch"]._thread is None
    assert client.application.extensions["refusals"].counts()["foreign"] == len(WATCHING) * len(ELSEWHERE)


def test_our_own_page_and_what_is_no_browser_get_the_picture(make_client):
    client = make_client(allow_host="smile.example", detector="haar")
    for headers in OURS:
        response = client.get("/snapshot.jpg", headers=headers)
        assert (response.status_code, headers) == (200, headers)
