import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const root = new URL('../../../', import.meta.url);

it('the users’ library is a door of the package, made from src/user/index.ts', () => {
  const { exports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  const { types, default: code } = exports['./user'];
  expect(types).toBe(code.replace(/\.js$/, '.d.ts'));
  expect(existsSync(new URL(code.replace('/dist/', '/src/').replace(/\.js$/, '.ts'), root))).toBe(true);
  const { compilerOptions } = JSON.parse(readFileSync(new URL('tsconfig.build.json', root), 'utf8'));
  expect(compilerOptions).toMatchObject({ declaration: true, outDir: 'dist', rootDir: 'src' });
});
