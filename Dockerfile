# The images of Murmuration:
#   murmuration             operator and validator; trains with WebAssembly
#   murmuration-tensorflow  the same with native TensorFlow on the CPU
#   murmuration-gpu         the same with native TensorFlow on NVIDIA GPUs
# docker build --target murmuration --tag murmuration .
# Only what every builder knows is used, so that BuildKit is not needed.
ARG NODE_IMAGE=node:24-bookworm-slim

# What the program needs at run time. Apart from the compiler's, so that a change of
# the sources costs neither.
FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY tools/image/trim.sh /usr/local/bin/
RUN npm ci --omit=dev && trim.sh node_modules

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npx tsc -p tsconfig.build.json

# Node, its libraries and a shell: no package manager, nothing else to keep patched.
FROM ${NODE_IMAGE} AS runtime
COPY tools/image/runtime.sh /usr/local/bin/
RUN runtime.sh /runtime

FROM scratch AS murmuration
COPY --from=runtime /runtime /
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY crds crds
COPY data data
COPY --from=build /app/dist dist
ENV PATH=/usr/local/bin:/usr/bin NODE_ENV=production HOME=/tmp
USER 65532:65532
ENTRYPOINT ["murmur"]

# What the native add-ons are compiled with.
FROM ${NODE_IMAGE} AS addon-tools
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ python3 python3-pip \
 && rm -rf /var/lib/apt/lists/*
COPY tools/image/tensorflow-addon.sh /usr/local/bin/
WORKDIR /app

# Installed into the same node_modules, since the add-on and the program must share
# one copy of tfjs-core.
FROM addon-tools AS tensorflow-addon
COPY --from=packages /app/package.json ./
COPY --from=packages /app/node_modules node_modules
RUN npm install --no-save --omit=dev --ignore-scripts --no-audit --no-fund @tensorflow/tfjs-node@4.22.0 node-api-headers@1.6.0
RUN tensorflow-addon.sh tfjs-node tensorflow-cpu==2.21.0
COPY tools/image/trim.sh /usr/local/bin/
RUN trim.sh node_modules

FROM murmuration AS murmuration-tensorflow
ENV TF_CPP_MIN_LOG_LEVEL=2
COPY --from=tensorflow-addon /app/node_modules node_modules

FROM addon-tools AS gpu-addon
COPY --from=packages /app/package.json ./
COPY --from=packages /app/node_modules node_modules
RUN npm install --no-save --omit=dev --ignore-scripts --no-audit --no-fund @tensorflow/tfjs-node-gpu@4.22.0 node-api-headers@1.6.0
RUN tensorflow-addon.sh tfjs-node-gpu tensorflow==2.21.0
COPY tools/image/trim.sh /usr/local/bin/
RUN trim.sh node_modules

# CUDA as TensorFlow's own extra `and-cuda` names it; the driver comes from the node.
FROM addon-tools AS cuda
RUN python3 -m pip download --only-binary=:all: --python-version 311 --platform manylinux_2_27_x86_64 \
      --platform manylinux2014_x86_64 --dest /tmp/wheels 'tensorflow[and-cuda]==2.21.0' \
 && mkdir -p /cuda/lib \
 && for wheel in /tmp/wheels/nvidia_*.whl; do python3 -m zipfile -e "$wheel" /tmp/files; done \
 && find /tmp/files/nvidia -name '*.so*' -exec mv {} /cuda/lib/ \; \
 && rm -rf /tmp/wheels /tmp/files

FROM murmuration AS murmuration-gpu
COPY --from=cuda /cuda/lib /usr/local/cuda/lib
COPY --from=gpu-addon /app/node_modules node_modules
ENV LD_LIBRARY_PATH=/usr/local/cuda/lib TF_CPP_MIN_LOG_LEVEL=2 NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

# What `docker build .` makes when no target is named.
FROM murmuration
