#!/bin/sh
# tensorflow-addon.sh PACKAGE WHEEL: builds the native part of @tensorflow/PACKAGE
# (tfjs-node or tfjs-node-gpu) in ./node_modules against the TensorFlow of a wheel
# from PyPI. The package's own install script would fetch TensorFlow 2.9 from a
# storage bucket, and node-gyp the headers of Node; this needs neither.
set -eu
package=node_modules/@tensorflow/$1
python3 -m pip download --no-deps --only-binary=:all: --python-version 311 \
  --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 --dest /tmp/wheel "$2"
python3 -m zipfile -e /tmp/wheel/*.whl /tmp/wheel/files
tensorflow=/tmp/wheel/files/tensorflow
mkdir -p "$package/deps/lib" "$package/lib/napi-v8"
for name in cc framework; do
  mv "$tensorflow/libtensorflow_$name.so.2" "$package/deps/lib/"
done
# the linker looks for these two; the wheel has no libtensorflow.so of its own
ln -s libtensorflow_cc.so.2 "$package/deps/lib/libtensorflow.so"
ln -s libtensorflow_framework.so.2 "$package/deps/lib/libtensorflow_framework.so"
(
  cd "$package"
  # The GPU build of TensorFlow refers to CUDA libraries that are not here yet.
  g++ -O2 -shared -fPIC -std=c++17 -DNAPI_VERSION=8 -I ../../node-api-headers/include -I "$tensorflow/include" \
    binding/*.cc -L deps/lib -ltensorflow -ltensorflow_framework -Wl,--allow-shlib-undefined \
    -Wl,-rpath,'$ORIGIN/../../deps/lib' -o lib/napi-v8/tfjs_binding.node
)
rm -rf /tmp/wheel
