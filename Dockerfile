# syntax=docker/dockerfile:1
# docker build --build-arg VERSION=1.2.3 -t siemrelay .
# docker run --read-only --cap-drop ALL --security-opt no-new-privileges --memory 512m -p 8443:8443 \
#   -v siemrelay-data:/var/lib/siemrelay -v ./siemrelay.yaml:/etc/siemrelay/siemrelay.yaml:ro siemrelay
FROM golang:1.26 AS build
ARG VERSION=0.0.0-dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN VERSION=$VERSION deploy/build.sh /out/siemrelay
# An empty folder that the volume gets its owner from.
RUN mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/siemrelay /siemrelay
COPY --from=build --chown=65532:65532 /out/data /var/lib/siemrelay
USER 65532:65532
VOLUME /var/lib/siemrelay
EXPOSE 8443
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s CMD ["/siemrelay", "health"]
ENTRYPOINT ["/siemrelay"]
CMD ["serve"]
