# syntax=docker/dockerfile:1
# One image for all services: Node.js, one JavaScript file a service, the bundled app and the web app. No shell, no package manager.
# docker buildx build --platform linux/amd64,linux/arm64 -t penstock .
ARG NODE=node:24.21.0-bookworm-slim

# The bundles are the same for every platform: they are made once, on that of the builder.
FROM --platform=$BUILDPLATFORM ${NODE} AS bundle
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
COPY client/package.json client/
RUN npm ci --ignore-scripts
COPY tsconfig.json LICENSE ./
COPY apps apps
COPY client client
COPY image image
COPY jobs jobs
COPY lib lib
COPY services services
COPY web web
RUN node image/main.ts --bundle /out/app

# Node.js and the libraries that it is linked with, of the platform that the image is for.
FROM ${NODE} AS runtime
# Debian keeps only the newest version of a package: a pinned one would not be found soon.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY image/runtime.ts /src/
RUN node /src/runtime.ts /out

FROM scratch
COPY --from=runtime /out /
COPY --from=bundle /out/app /app
WORKDIR /app
USER 65532:65532
# Node.js trusts the list that it was built with, unless told to go by the system's authorities.
ENV NODE_ENV=production NODE_OPTIONS=--use-system-ca
ENTRYPOINT ["/usr/local/bin/node"]
CMD ["services/gateway/main.js"]
