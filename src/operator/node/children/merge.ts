type Json = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields by which Kubernetes merges lists (`patchMergeKey` in its types); other lists are replaced whole. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  ephemeralContainers: 'name',
  volumes: 'name',
  env: 'name',
  imagePullSecrets: 'name',
  resourceClaims: 'name',
  claims: 'name',
  volumeMounts: 'mountPath',
  volumeDevices: 'devicePath',
  ports: 'containerPort',
  hostAliases: 'ip',
};

/**
 * Lays `patch` over `base` as a strategic merge patch does: maps field by field, null removes, lists of named things by
 * their merge key (new ones at the end), other lists replaced. Source: sig-api-machinery, strategic-merge-patch.md.
 */
export function strategicMerge(base: unknown, patch: unknown, field = ''): unknown {
  if (patch === undefined) return base;
  if (Array.isArray(patch)) {
    const key = MERGE_KEYS[field];
    return key !== undefined && Array.isArray(base) ? mergeLists(base, patch, key) : patch;
  }
  if (!isRecord(patch)) return patch;
  const out: Record<string, unknown> = isRecord(base) ? { ...base } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete out[name];
    else out[name] = strategicMerge(out[name], value, name);
  }
  return out;
}

function mergeLists(base: readonly unknown[], patch: readonly unknown[], key: string): readonly unknown[] {
  const named = (value: unknown): unknown => (isRecord(value) ? value[key] : undefined);
  const merged = base.map((item) => {
    const over = patch.find((one) => named(one) !== undefined && named(one) === named(item));
    return over === undefined ? item : strategicMerge(item, over);
  });
  const added = patch.filter((one) => !base.some((item) => named(item) !== undefined && named(item) === named(one)));
  return [...merged, ...added];
}
