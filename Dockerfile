# The service without the embedded server: it needs DATABASE_URL and SECRET_KEY. `python -m app migrate` migrates.
# The Python is the newest that is supported: its garbage collector does its work in small steps, which shows in the
# slowest answers. The tests run on the oldest, and `make test-newer` on this one.
FROM python:3.13-slim AS packages
COPY requirements.lock .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --only-binary :all: --no-deps --require-hashes --requirement requirements.lock \
    && /venv/bin/pip check

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin bindery
COPY --from=packages /venv /venv
WORKDIR /bindery
COPY migrations migrations
COPY sql sql
COPY app app
COPY yoyo.ini .
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8000
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=2); c.request('GET', '/health/live'); sys.exit(c.getresponse().status != 200)"]
CMD ["python", "-m", "app", "serve"]
