// Exit code 0 when node_modules holds just what package-lock.json names. npm leaves
// its own list in node_modules/.package-lock.json; packages for other platforms are
// in the lockfile only.
const { readFileSync } = require('node:fs');

const read = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;
try {
  const wanted = read('package-lock.json');
  const installed = read('node_modules/.package-lock.json');
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const there = installed[path];
    if (there === undefined ? entry.optional !== true : there.version !== entry.version) process.exit(1);
  }
  const surplus = Object.keys(installed).filter((path) => !(path in wanted) && installed[path].optional !== true);
  process.exit(surplus.length === 0 ? 0 : 1);
} catch {
  process.exit(1);
}
