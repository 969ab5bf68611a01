# The web page and its HTTP interface, offline: docker build -t aucue . && docker run --rm -p 127.0.0.1:7860:7860 aucue
# Smaller, without CUDA: --build-arg PIP_EXTRA_INDEX_URL=ADDRESS of torch's CPU wheels.
FROM python:3.12-slim

ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN PIP_EXTRA_INDEX_URL="$PIP_EXTRA_INDEX_URL" pip install '.[app,video]' && rm -rf /source

RUN useradd --create-home --uid 10001 aucue
USER aucue
WORKDIR /home/aucue

# Nothing is fetched, and nothing sent, when it runs: the model in the box and the networks that find faces are in the image.
ENV HF_HUB_OFFLINE=1 ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/api/health', timeout=4)"]
ENTRYPOINT ["aucue", "serve", "--host", "0.0.0.0"]
