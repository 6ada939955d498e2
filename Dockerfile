# The program with everything it needs but Postgres (compose.yaml brings that). `docker compose up` uses it.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/smartcampaign
COPY requirements-run.lock .
RUN /opt/smartcampaign/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-run.lock
COPY . .
RUN /opt/smartcampaign/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home smartcampaign && install -d -o smartcampaign -m 700 /data
COPY --from=build /opt/smartcampaign /opt/smartcampaign
ENV PATH=/opt/smartcampaign/bin:$PATH SMARTCAMPAIGN_HOME=/data PYTHONUNBUFFERED=1
USER smartcampaign
VOLUME /data
EXPOSE 8000
# Of what answers here: serve. compose.yaml turns it off for the worker, which listens to nobody.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["smartcampaign"]
CMD ["serve", "--host", "0.0.0.0"]
