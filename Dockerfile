# The gateway alone, run by a user who owns nothing. Its configuration is mounted at /etc/paystream/paystream.toml.
#
#   docker build -t paystream .
#
# `packaging/image` makes the same image without Docker.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The time in the list of components.
ARG SOURCE_DATE_EPOCH=0
RUN cargo build --release --locked --bin paystream && packaging/rootfs target/release/paystream /image

FROM scratch
COPY --from=build /image /
# Where relative paths of the environment begin. For the embedded store, mount a volume here and set path =
# "/var/lib/paystream/data" in the configuration, whose own relative paths begin at /etc/paystream.
COPY --from=build --chown=65532:65532 /image/var/lib/paystream /var/lib/paystream
WORKDIR /var/lib/paystream
USER 65532:65532
ENV PAYSTREAM_CONFIG=/etc/paystream/paystream.toml
EXPOSE 8080 8081 9090
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/usr/bin/paystream", "health"]
ENTRYPOINT ["/usr/bin/paystream"]
CMD ["serve"]
