# The messenger as an image: `docker build -t hubbub-messenger .` (docs/deploying.md).

FROM node:22-slim AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
COPY web/client/package.json client/
COPY web/app/package.json app/
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY web/ ./
RUN npm run build

FROM python:3.13-slim AS wheel
RUN pip install --no-cache-dir "uv>=0.13,<0.14"
ENV UV_PROJECT_ENVIRONMENT=/opt/hubbub \
    UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1
WORKDIR /src
# The layer that rarely changes comes first: the locked dependencies, then the project.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --locked --no-default-groups --extra messenger --extra redis --no-install-project
COPY src/ src/
COPY --from=web /src/src/hubbub_messenger/static/ src/hubbub_messenger/static/
RUN uv build --wheel --out-dir dist && uv pip install --python /opt/hubbub --no-deps dist/*.whl

FROM python:3.13-slim
# A numeric user, so that a platform that forbids root can verify it. /data is for SQLite. With PostgreSQL it stays
# empty, and the whole file system may be read-only.
RUN install --directory --owner 10001 --group 10001 /data
COPY --from=wheel /opt/hubbub /opt/hubbub
ENV PATH=/opt/hubbub/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HUBBUB_ENVIRONMENT=production
USER 10001:10001
WORKDIR /data
EXPOSE 8000
# Liveness only. While Redis is down a node is not ready, and a restart would close its sockets for nothing.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", 8000)}/healthz', timeout=2)"]
# By default Docker kills the container 10 s after this signal, exactly the length of the drain: `docker stop -t 30`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["hubbub"]
CMD ["run", "hubbub_messenger.app:app", "--host", "0.0.0.0"]
