# The image holds one binary, the certificates that TLS needs, and no shell. See "Deploy" in README.md.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY config config
COPY migrations migrations
# Named in Cargo.toml, and not built.
COPY benches benches
RUN cargo build --release --locked --bin lumasync
# Whoever runs it owns the folder of its data: a new volume takes that over.
RUN mkdir -p /empty/lumasync

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/lumasync /usr/local/bin/lumasync
COPY --from=build --chown=65532:65532 /empty/lumasync /var/lib/lumasync
# `credential:NAME` in the configuration is read from here.
ENV CREDENTIALS_DIRECTORY=/run/secrets
WORKDIR /var/lib/lumasync
VOLUME /var/lib/lumasync
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/lumasync", "status", "--alive"]
ENTRYPOINT ["/usr/local/bin/lumasync"]
CMD ["run"]
