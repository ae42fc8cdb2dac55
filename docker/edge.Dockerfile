# The edge as one image for two containers: the ear hears and has no network, the link talks and has no microphone.
# How they are run is what makes it so: docker/edge/compose.yml. Build it from the root of a checkout:
#   docker build -f docker/edge.Dockerfile -t roomtone-edge .
FROM debian:12-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3-venv python3-pyaudio \
 && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml README.md LICENSE NOTICE /src/
COPY edge /src/edge
COPY provisioning/requirements /src/requirements
COPY models /src/models
# Debian's PyAudio, so that no compiler is needed; ALSA comes with it. Everything else is checked by its hash.
RUN python3 -m venv /opt/roomtone \
 && ln -s /usr/lib/python3/dist-packages/pyaudio /usr/lib/python3/dist-packages/[Pp]y[Aa]udio-*-info \
      /opt/roomtone/lib/python3*/site-packages/ \
 && pip="/opt/roomtone/bin/pip --disable-pip-version-check install -q --no-cache-dir" \
 && $pip --require-hashes -r /src/requirements/device.txt \
 && $pip --require-hashes -r /src/requirements/build.txt --target /tools \
 && PYTHONPATH=/tools $pip --no-deps --no-build-isolation /src /src/models

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 python3-pyaudio \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 2000 roomtone \
 && useradd --uid 2001 --gid roomtone --no-create-home --home-dir /run/roomtone-ear roomtone-ear \
 && useradd --uid 2002 --gid roomtone --no-create-home --home-dir /run/roomtone-link roomtone-link \
 && install -d -m 2770 -o root -g roomtone /run/roomtone \
 && install -d -m 700 -o roomtone-ear -g roomtone /var/lib/roomtone-ear /run/roomtone-ear \
 && install -d -m 700 -o roomtone-link -g roomtone /var/lib/roomtone-link /run/roomtone-link
COPY --from=build /opt/roomtone /opt/roomtone
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/opt/roomtone/bin:/usr/bin:/bin
# Nobody is root in it, whoever forgets to say so.
USER roomtone-link
ENTRYPOINT ["roomtone"]
CMD ["--help"]
