/** Where the files of this release are: two folders above this one, in `src/` as in `dist/`. */
import { fileURLToPath } from 'node:url';

/** Folder that holds `tools/`, `charts/`, `manifests/` and `package.json`. */
export const projectFolder: string = fileURLToPath(new URL('../../', import.meta.url));
