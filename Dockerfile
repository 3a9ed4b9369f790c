# The image holds one static binary and the public certificate authorities. It runs as nobody in particular.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /prodaccess ./cmd/prodaccess

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /prodaccess /prodaccess
USER 65532:65532
ENV PRODACCESS_CONFIG=/etc/prodaccess/config.yaml
EXPOSE 8080
ENTRYPOINT ["/prodaccess"]
CMD ["serve"]
