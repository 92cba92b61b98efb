"""waitress's own refusals, in the app's JSON shape, `{"error": sentence}`. These requests never reach the app."""

from __future__ import annotations

import json

from waitress.task import ErrorTask

from visitors.analysis import MAX_BYTES

_SENTENCES = {
    400: "This is not valid HTTP.",
    408: "The request was too slow; send all of it at once.",
    413: f"The request is too large; send a picture of at most {MAX_BYTES >> 20} MB.",
    431: "The request's headers are too long; send fewer and shorter ones.",
    503: "Too many requests at once; try again in a second.",
    501: "The app does not know this way of sending a body; send it with Content-Length, or chunked.",
}


class JsonErrorTask(ErrorTask):
    """Answers a request that waitress refuses, and closes its connection."""

    def execute(self) -> None:
        error = self.request.error
        sentence = _SENTENCES.get(error.code, "Something went wrong in the app; its log says what.")
        body = json.dumps({"error": sentence}).encode() + b"\n"
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if error.code == 503:
            self.response_headers.append(("Retry-After", "1"))
        elif error.code != 408:  # these two are counted where they are decided
            self.channel.keeper.refusals.count_status(error.code)
        self.channel.lingers = True
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
