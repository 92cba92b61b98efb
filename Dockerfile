# The app for visitors' own cameras, without TensorFlow. compose.yaml puts a TLS proxy and PostgreSQL beside it.
#
#   docker build -t dad-jokes-for-smiles .
#   docker run --rm -p 127.0.0.1:5000:5000 dad-jokes-for-smiles
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS packages
WORKDIR /build
COPY requirements/app.lock requirements/
# Everything by version and hash, from whichever index it comes. The app asks dlib itself, so face_recognition and its four
# networks, 100 MB, are left out.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r requirements/app.lock

# The runtime by which visitors' own browsers read pictures, by version and hash.
FROM node:22-slim AS browser
WORKDIR /build
COPY tools/browser tools/browser
COPY models/smile.tflite models/finder.tflite models/
RUN mkdir -p build/npm \
    && cp tools/browser/package.json tools/browser/package-lock.json tools/browser/.npmrc build/npm/ \
    && (cd build/npm && npm ci --silent) \
    && node tools/browser/gather.mjs

FROM python:${PYTHON}-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin smile \
    && install --directory --owner smile --group smile /data
COPY --from=packages /venv /venv
WORKDIR /app
COPY *.py ./
COPY common common
COPY faces faces
COPY jokes jokes
COPY live live
COPY pictures pictures
COPY serving serving
COPY visitors visitors
COPY web web
COPY templates templates
COPY static static
COPY --from=browser /build/build/browser build/browser
COPY models/smile.tflite models/finder.tflite models/
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    SMILE_SOURCE=none \
    SMILE_HOST=0.0.0.0 \
    SMILE_PORT=5000 \
    SMILE_WORKERS=2 \
    SMILE_BOARD=/data/joke_board.sqlite3 \
    SMILE_LOG_FORMAT=json
# The app's files belong to root and can't be written; without this they would be compiled anew at each start.
RUN python -m compileall -q .
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
VOLUME /data
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"SMILE_PORT\"]}/healthz', timeout=4)"]
CMD ["python", "app.py"]
