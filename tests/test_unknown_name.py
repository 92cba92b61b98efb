import io

import pytest

POSTS = (("/api/v1/analyze", "pictures"), ("/api/v1/reactions", "smiles"))


def post(client, address, **headers):
    return client.post(address, data=io.BytesIO(b"x"), headers={"Host": "127.0.0.1:5000"} | headers)


@pytest.mark.parametrize(("address", "what"), POSTS)
def test_the_app_behind_a_proxy_that_it_does_not_know_says_what_to_do(make_client, address, what, caplog):
    ours = make_client()
    for fetch_site in ({"Sec-Fetch-Site": "same-origin"}, {}):  # older browsers do not say
        answer = post(ours, address, Origin="https://Smiles.example.org:8443", **fetch_site)
        assert answer.status_code == 403
        assert answer.json["error"] == (
            f"Other sites may not send {what} here, and the app does not know smiles.example.org as its own name; "
            "whoever runs it can start it with --allow-host smiles.example.org."
        )
    told = [record.fields["message"] for record in caplog.records if record.msg == "unknown_name"]
    assert len(told) == 1, "once for each name"
    assert "--allow-host smiles.example.org" in told[0]


@pytest.mark.parametrize(("address", "what"), POSTS)
def test_another_site_is_told_nothing_about_the_app(make_client, address, what, caplog):
    ours = make_client()
    for site in ("cross-site", "same-site"):
        answer = post(ours, address, Origin="https://evil.example", **{"Sec-Fetch-Site": site})
        assert (answer.status_code, answer.json["error"]) == (403, f"Other sites may not send {what} here.")
    for origin in ("null", "https://", "file://x", 'https://a"b<c>', "https://" + "x" * 400):
        answer = post(ours, address, Origin=origin)
        assert (answer.status_code, answer.json["error"]) == (403, f"Other sites may not send {what} here.")
    assert not [record for record in caplog.records if record.msg == "unknown_name"]


def test_a_stranger_can_not_fill_the_log_with_names(make_client, caplog):
    ours = make_client()
    for number in range(100):
        assert post(ours, POSTS[0][0], Origin=f"https://a{number}.example").status_code == 403
    assert len([record for record in caplog.records if record.msg == "unknown_name"]) <= 10


def test_the_named_host_is_let_through(make_client):
    ours = make_client(allow_host="smiles.example.org")
    answer = post(ours, POSTS[0][0], Origin="https://smiles.example.org", **{"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 400, "it is no picture, and that is all"
