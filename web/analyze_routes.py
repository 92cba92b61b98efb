"""`POST /api/v1/analyze`: a picture in, its faces out, as JSON. Uploads stay in memory.

curl --data-binary @me.jpg localhost:5000/api/v1/analyze
curl -F image=@me.jpg -F previous={} localhost:5000/api/v1/analyze     # the first of a stream; then the answer before
"""

from __future__ import annotations

import io
import json
import time
from typing import IO, Any

from flask import Blueprint, Request, Response, jsonify, request

from common.errors import PictureError, SmileError
from visitors.analysis import MAX_BYTES, TooBusy, TooLarge, VisitorAnalysis
from visitors.carried import PreviousError
from web.errors import NO_STORE, error_json, refuse_other_sites
from web.rate_limits import VisitorLimits


class InMemoryRequest(Request):
    """Pictures of people are not written to disk, not even to temporary files, which Werkzeug takes for large uploads."""

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        return io.BytesIO()


def visitor_api(analysis: VisitorAnalysis, limits: VisitorLimits, *, allow_host: str = "") -> Blueprint:
    """The routes under `/api/v1` that analyse visitors' pictures.

    `limits` has let the request through and is told here how much work it was. `allow_host`: names of this server behind a
    proxy, as `Settings.allow_host`.
    """
    api = Blueprint("visitor_api", __name__, url_prefix="/api/v1")

    @api.before_request
    def only_our_pages() -> Response | None:
        if refused := refuse_other_sites("pictures", allow_host):
            return refused
        request.max_content_length = MAX_BYTES
        return None

    @api.post("/analyze")
    def analyze() -> Response:
        began = time.thread_time()  # of work, not of waiting
        try:
            response = jsonify(analysis.analyze(*_read_request()))
        finally:
            limits.worked(request.remote_addr, time.thread_time() - began)
        response.headers.update(NO_STORE)
        return response

    @api.errorhandler(SmileError)
    def not_analysed(error: SmileError) -> Response:
        status = 503 if isinstance(error, TooBusy) else 500
        status = 413 if isinstance(error, TooLarge) else status
        status = 400 if isinstance(error, (PictureError, PreviousError)) else status
        return error_json(str(error), status)

    @api.errorhandler(413)
    def too_large(_) -> Response:
        return error_json(
            f"The request is too large, or has too many parts; send a picture of at most {MAX_BYTES >> 20} MB.", 413
        )

    return api


def _read_request() -> tuple[bytes, Any]:
    """The picture's bytes and the answer before, None for a still. Raises PictureError or PreviousError."""
    if request.mimetype != "multipart/form-data":
        data = request.get_data(cache=False, parse_form_data=False)
        if not data:
            raise PictureError("There is no picture in this request; send it as the body, or as the form field 'image'.")
        return data, None
    upload = request.files.get("image")
    if upload is None:
        raise PictureError("There is no picture in this request; send it as the body, or as the form field 'image'.")
    text = request.form.get("previous")
    if text is None:
        return upload.read(), None
    try:
        previous = json.loads(text)
    except (ValueError, RecursionError):
        previous = None
    if previous is None:  # null is no answer either
        raise PreviousError
    return upload.read(), previous
