"""`POST /api/v1/analyze`: a picture in, its faces out, as JSON. Uploads stay in memory.

curl --data-binary @me.jpg localhost:5000/api/v1/analyze
curl -F image=@me.jpg -F previous={} localhost:5000/api/v1/analyze     # the first of a stream; then the answer before
"""

from __future__ import annotations

import io
import json
from typing import IO, Any

from flask import Blueprint, Request, Response, jsonify, request

from errors import PictureError, SmileError
from visitor_analysis import MAX_BYTES, PreviousError, TooBusy, TooLarge, VisitorAnalysis

_NO_STORE = {"Cache-Control": "no-store"}


class InMemoryRequest(Request):
    """Pictures of people are not written to disk, not even to temporary files, which Werkzeug takes for large uploads."""

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        return io.BytesIO()


def visitor_api(analysis: VisitorAnalysis) -> Blueprint:
    """The routes under `/api/v1` that analyse visitors' pictures."""
    api = Blueprint("visitor_api", __name__, url_prefix="/api/v1")

    @api.before_request
    def refuse_other_sites() -> Response | None:
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            return error_json("Other sites may not send pictures here.", 403)
        request.max_content_length = MAX_BYTES
        return None

    @api.post("/analyze")
    def analyze() -> Response:
        response = jsonify(analysis.analyze(*_read_request()))
        response.headers.update(_NO_STORE)
        return response

    @api.errorhandler(SmileError)
    def not_analysed(error: SmileError) -> Response:
        status = 503 if isinstance(error, TooBusy) else 500
        status = 413 if isinstance(error, TooLarge) else status
        status = 400 if isinstance(error, (PictureError, PreviousError)) else status
        return error_json(str(error), status)

    @api.errorhandler(413)
    def too_large(_) -> Response:
        return error_json(f"The request is too large; send a picture of at most {MAX_BYTES >> 20} MB.", 413)

    return api


def error_json(sentence: str, status: int) -> Response:
    """`{"error": sentence}`: how every error under `/api/` looks."""
    response = jsonify({"error": sentence})
    response.status_code = status
    response.headers.update(_NO_STORE)
    if status == 503:
        response.headers["Retry-After"] = "1"
    return response


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
        return upload.read(), json.loads(text)
    except (ValueError, RecursionError):
        raise PreviousError("The field 'previous' is not JSON; send the answer to the picture before, or {}.") from None
