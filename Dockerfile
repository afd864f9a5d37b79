# audiocli on the CPU, with its weights inside.
#
#   docker build -t audiocli .
#   docker run --rm -v "$PWD:/data" -u "$(id -u):$(id -g)" audiocli separate song.mp3
#
# `-u` makes what is written yours; without it the container's own user must be able to write
# to the folder.

FROM python:3.12-slim AS build

WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE LICENSE-APACHE LICENSE-MUSICNN NOTICE ./
COPY pretrained pretrained
COPY audiocli audiocli
RUN python -m venv /opt/audiocli \
    && /opt/audiocli/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu .

FROM python:3.12-slim

RUN useradd --create-home --uid 1000 audiocli
COPY --from=build /opt/audiocli /opt/audiocli

# Any user may run it: what numba compiles and matplotlib caches is where all may write.
ENV PATH=/opt/audiocli/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/opt/cache/numba \
    MPLCONFIGDIR=/opt/cache/matplotlib \
    HOME=/tmp
RUN mkdir -p /opt/cache /data \
    && python -c "from audiocli.dsp.compiled import import_librosa; import_librosa()" \
    && chown audiocli /data && chmod -R a+rwX /opt/cache

USER audiocli
VOLUME /data
WORKDIR /data
ENTRYPOINT ["audiocli"]
CMD ["--help"]
