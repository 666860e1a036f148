/** Results for programs: one JSON document with a version, so that readers can rely on its fields. */

/** Version of the JSON that commands print; fields are added, never changed, within one. */
export const outputVersion = 'murmuration.dev/output/v1';

/** Writes `{apiVersion, kind, ...fields}`. */
export function printJson(out: { write(text: string): unknown }, kind: string, fields: object): void {
  out.write(`${JSON.stringify({ apiVersion: outputVersion, kind, ...fields }, null, 2)}\n`);
}
