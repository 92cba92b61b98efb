"""waitress's own refusals, of requests that never reach the app, in the app's JSON shape: `{"error": sentence}`."""

from __future__ import annotations

import json

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from serving.visitor_analysis import MAX_BYTES

_SENTENCES = {
    400: "This is not HTTP as it should be.",
    413: f"The request is too large; send a picture of at most {MAX_BYTES >> 20} MB.",
    431: "The request's headers are too long; send fewer and shorter ones.",
    501: "This way of sending a body is not understood; send it with Content-Length, or chunked.",
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
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class JsonErrorChannel(HTTPChannel):
    """One connection."""

    error_task_class = JsonErrorTask
