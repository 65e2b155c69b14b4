# syntax=docker/dockerfile:1
# The marketplace as an image: the browser's files from npm, the program from cargo, both as their
# lock files pin them, and a small system round the one binary.

FROM node:22-bookworm-slim AS browser
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-progress

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
COPY --from=browser /build/node_modules node_modules
# The caches stay with the builder; the binary leaves its cache for the next stage.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin sluice \
    && cp target/release/sluice /usr/local/bin/sluice

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin sluice
COPY --from=build /usr/local/bin/sluice /usr/local/bin/sluice
USER 10001:10001
WORKDIR /tmp
# A container's own network, where only what it is published to reaches it; the program asks for
# SLUICE_PUBLIC_URL, the https address of the proxy in front, before it listens there.
ENV SLUICE_LISTEN=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
# Bash itself asks, so that the image needs no program for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${SLUICE_LISTEN##*:} && printf 'GET /readyz HTTP/1.0\\r\\nhost: localhost\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["sluice"]
CMD ["serve"]
