# The gateway alone, run by a user who owns nothing. Its configuration is mounted at /etc/paystream/paystream.toml.
#
#   docker build -t paystream .

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin paystream && strip target/release/paystream

FROM debian:bookworm-slim
# For a Redis server with a certificate of a public authority (rediss://).
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/target/release/paystream /usr/local/bin/
# Where relative paths of the environment begin. For the embedded store, mount a volume here and set path =
# "/var/lib/paystream/data" in the configuration, whose own relative paths begin at /etc/paystream.
RUN install -d -o 65532 -g 65532 /var/lib/paystream
WORKDIR /var/lib/paystream
USER 65532:65532
ENV PAYSTREAM_CONFIG=/etc/paystream/paystream.toml
EXPOSE 8080 8081 9090
# The image has no HTTP client, but a shell that can speak to a socket.
HEALTHCHECK --interval=5s --timeout=2s --start-period=30s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9090; printf 'GET /livez HTTP/1.0\\r\\n\\r\\n' >&3; grep -q '200 OK' <&3"]
ENTRYPOINT ["paystream"]
CMD ["serve"]
